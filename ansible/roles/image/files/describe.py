"""Writes /etc/kubesmith/image.json: what the image holds, for the roles and for whoever asks a node where it came from.

Read by the role `control_plane` (`flannel_manifest`). Versions are what the programs say, digests what containerd has.
"""

import json
import os
import pathlib
import re
import subprocess


def says(*command):
    """What a program prints, or nothing where it is missing."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def version(*command):
    """The first thing that looks like a version in what a program prints."""
    found = re.search(r"\d+\.\d+\.\d+[^\s,]*", says(*command))
    return found.group() if found else None


def images():
    """Name and digest of each image in kubelet's store, by name."""
    stored = json.loads(says("crictl", "images", "-o", "json") or '{"images": []}')["images"]
    rows = [{"name": tag, "digest": next(iter(image.get("repoDigests") or []), "").partition("@")[2]}
            for image in stored for tag in image.get("repoTags") or []]
    return sorted(rows, key=lambda row: row["name"])


release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
description = {
    "version": 1,
    "kubernetes_version": os.environ["KUBERNETES_VERSION"],
    "system": f"{release['ID']} {release['VERSION_ID']}".replace('"', ""),
    "architecture": says("dpkg", "--print-architecture").strip(),
    "kernel": os.uname().release,
    "containerd": version("containerd", "--version"),
    "runc": version("runc", "--version"),
    "crictl": version("crictl", "--version"),
    "flannel_manifest": "/etc/kubesmith/manifests/kube-flannel.yml",
    "images": images(),
}
target = pathlib.Path("/etc/kubesmith/image.json")
text = json.dumps(description, indent=2) + "\n"
if not target.exists() or target.read_text() != text:
    target.parent.mkdir(mode=0o755, exist_ok=True)
    target.write_text(text)
    target.chmod(0o644)
    print("CHANGED:", target)
