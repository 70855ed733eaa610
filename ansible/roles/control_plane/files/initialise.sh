#!/bin/bash
# `kubeadm init`, once. What proves that it ended well is our own marker: admin.conf appears half-way.
set -euo pipefail
marker=/etc/kubesmith/initialised
config=/etc/kubesmith/kubeadm.yaml

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# A run that was interrupted may have left this script at work: wait for it instead of working against it. What kubeadm
# starts must not keep the lock, hence `9>&-`.
exec 9>/run/kubesmith.lock
flock --timeout 600 9 || { echo "FAILED: an earlier run still works on this machine" >&2; exit 1; }

if [ -e "$marker" ]; then
    owner=$(cat "$marker")
    [ "$owner" = "$CLUSTER_NAME" ] || fail "this machine is the control plane of the cluster '$owner', not of '$CLUSTER_NAME'"
    exit 0
fi

half_done() {
    [ -e /etc/kubernetes/admin.conf ] || compgen -G '/var/lib/etcd/*' >/dev/null || compgen -G '/etc/kubernetes/manifests/*.yaml' >/dev/null
}

clean() {
    # A cluster that has other nodes was not left half-way: somebody else made it, and it is not ours to wipe.
    local others
    others=$(timeout 10 kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes -o name 2>/dev/null | grep -vx "node/$NODE_NAME" || true)
    [ -z "$others" ] || fail "this machine serves a cluster with other nodes (${others//$'\n'/ }) that was not made by this role: run reset.yml if it may go"
    kubeadm reset -f 9>&-
    rm -rf /var/lib/etcd/*
}

if half_done; then
    echo "found an attempt that did not end well: starting again"
    clean
fi
install -d -m 0755 "${config%/*}"
install -m 0600 /dev/null "$config"
printf '%s\n' "$KUBEADM_CONFIG" >"$config"
if ! kubeadm init --config "$config" 9>&-; then
    # Refused by preflight: nothing was made, and asking again gives the same answer.
    half_done || exit 1
    echo "kubeadm init failed half-way: once more from the beginning"
    clean
    kubeadm init --config "$config" 9>&- || exit 1
fi
echo "$CLUSTER_NAME" >"$marker"
# kubeadm makes a token whether one is wanted or not. Workers get tokens of their own when they join.
for token in $(kubeadm token list | awk 'NR > 1 { print $1 }'); do
    kubeadm token delete "${token%.*}" || echo "the token ${token%.*} is left to expire"
done
echo "CHANGED: initialised the control plane"
