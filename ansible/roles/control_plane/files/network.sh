#!/bin/bash
# Applies Flannel's manifest with this cluster's pod network, from the image if it brings one, and waits for Ready.
# What was applied is kept, so that the same manifest is not applied twice.
set -euo pipefail
export KUBECONFIG=/etc/kubernetes/admin.conf
applied=/etc/kubesmith/network.yaml
manifest=$(mktemp)
trap 'rm -f "$manifest"' EXIT
deadline=$((SECONDS + READY_TIMEOUT))

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# The file that the image's description names, if any.
baked_manifest() {
    python3 - <<'PYTHON'
import json, pathlib
description = pathlib.Path("/etc/kubesmith/image.json")
print(json.loads(description.read_text()).get("flannel_manifest", "") if description.exists() else "")
PYTHON
}

download() {
    python3 - "$FLANNEL_MANIFEST_URL" "$manifest" <<'PYTHON'
import sys, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1], timeout=60) as answer, open(sys.argv[2], "wb") as file:
        file.write(answer.read())
except OSError as error:
    sys.exit(str(error))
PYTHON
}

fetch() {
    local reason
    reason=$(download 2>&1) ||
        fail "$FLANNEL_MANIFEST_URL could not be fetched ($reason): let the machine reach it, or use an image whose /etc/kubesmith/image.json names a manifest"
    echo "$FLANNEL_MANIFEST_SHA256  $manifest" | sha256sum --check --status ||
        fail "$FLANNEL_MANIFEST_URL has sha256 $(sha256sum "$manifest" | cut -d' ' -f1), wanted is $FLANNEL_MANIFEST_SHA256"
}

baked=$(baked_manifest)
if [ -n "$baked" ]; then
    cp "$baked" "$manifest"
elif [ -e "$applied" ] && grep -qx "# from $FLANNEL_MANIFEST_URL $FLANNEL_MANIFEST_SHA256" "$applied"; then
    cp "$applied" "$manifest"
else
    fetch
    echo "# from $FLANNEL_MANIFEST_URL $FLANNEL_MANIFEST_SHA256" >>"$manifest"
fi
sed -i -E 's|("Network": *)"[^"]*"|\1"'"$POD_CIDR"'"|' "$manifest"
grep -qF "\"$POD_CIDR\"" "$manifest" || fail "the manifest of the pod network has no net-conf.json with a Network"

if ! cmp --silent "$manifest" "$applied"; then
    until output=$(kubectl apply -f "$manifest" 2>&1); do
        [ "$SECONDS" -lt 60 ] || fail "the pod network could not be applied: $output"
        sleep 2
    done
    install -m 0644 "$manifest" "$applied"
    echo "CHANGED: applied the pod network"
fi

# Refused connections are part of a control plane's first seconds: ask again until the deadline.
until output=$(kubectl wait --for=condition=Ready "node/$NODE_NAME" --timeout="$((deadline > SECONDS ? deadline - SECONDS : 1))s" 2>&1); do
    [ "$SECONDS" -lt "$deadline" ] ||
        fail "the node $NODE_NAME is not Ready after $READY_TIMEOUT s: $output; last seen: $(kubectl get nodes -o wide 2>&1)"
    sleep 1
done
