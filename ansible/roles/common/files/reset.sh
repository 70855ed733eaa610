#!/bin/bash
# Takes away what kubeadm and the pod network made. Packages and their settings stay.
set -euo pipefail

# A run that was interrupted may have left this script at work: wait for it instead of working against it. What kubeadm
# starts must not keep the lock, hence `9>&-`.
exec 9>/run/kubesmith.lock
flock --timeout 600 9 || { echo "FAILED: an earlier run still works on this machine" >&2; exit 1; }

found=
for trace in '/etc/kubernetes/*.conf' '/etc/kubernetes/manifests/*.yaml' /etc/kubesmith/initialised '/var/lib/etcd/*'; do
    if compgen -G "$trace" >/dev/null; then found=$trace; fi
done
[ -n "$found" ] || exit 0

kubeadm reset -f 9>&-
rm -rf /var/lib/etcd/* /etc/cni/net.d/* /var/lib/cni /run/flannel
rm -f /etc/kubesmith/initialised /etc/kubesmith/kubeadm.yaml /etc/kubesmith/network.yaml
for interface in cni0 flannel.1; do
    ip link delete "$interface" 2>/dev/null || true
done
echo "CHANGED: reset"
