#!/bin/bash
# What a node needs beyond `common`, so that nothing is fetched when it is made: the guest agent, a clock, the container
# images of this Kubernetes version and of the pod network, and the pod network's manifest.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
manifest=/etc/kubesmith/manifests/kube-flannel.yml
packages="qemu-guest-agent cloud-init chrony conntrack socat ethtool nfs-common jq"
deadline=$((SECONDS + PULL_TIMEOUT))

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

missing=()
for package in $packages; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
    apt-get -q -y -o DPkg::Lock::Timeout=300 update
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}" ||
        fail "${missing[*]} could not be installed"
    echo "CHANGED: installed ${missing[*]}"
fi

has_manifest() {
    echo "$FLANNEL_MANIFEST_SHA256  $manifest" | sha256sum --check --status 2>/dev/null
}

if ! has_manifest; then
    install -d -m 0755 "${manifest%/*}"
    python3 - "$FLANNEL_MANIFEST_URL" "$manifest" <<'PYTHON' || fail "$FLANNEL_MANIFEST_URL could not be fetched"
import sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=60) as answer, open(sys.argv[2], "wb") as file:
    file.write(answer.read())
PYTHON
    has_manifest || fail "$FLANNEL_MANIFEST_URL has sha256 $(sha256sum "$manifest" | cut -d' ' -f1), wanted is $FLANNEL_MANIFEST_SHA256"
    echo "CHANGED: $manifest"
fi

wanted_images() {
    kubeadm config images list --kubernetes-version "v$KUBERNETES_VERSION"
    sed -nE 's/^[[:space:]-]*image:[[:space:]]*"?([^"[:space:]]+)"?[[:space:]]*$/\1/p' "$manifest"
}

# crictl answers from the store that kubelet will look into; an image that is there is not asked for again.
for image in $(wanted_images | sort -u); do
    if ! crictl inspecti -q "$image" >/dev/null 2>&1; then
        until output=$(crictl pull "$image" 2>&1); do
            [ "$SECONDS" -lt "$deadline" ] || fail "$image could not be pulled within $PULL_TIMEOUT s: $output"
            sleep 5
        done
        echo "CHANGED: pulled $image"
    fi
    # kubelet's garbage collection takes images that nothing uses when a disk fills up, unless they are pinned.
    ctr -n k8s.io images label "$image" io.cri-containerd.pinned=pinned >/dev/null 2>&1 || fail "$image could not be pinned"
done
