#!/bin/bash
# With the text of a JoinConfiguration in JOIN_CONFIG, which holds a token and so is neither exported nor left behind:
# `kubeadm join`, after traces of an attempt that did not end well, or of a node that was deleted, are gone.
set -euo pipefail
config=/run/kubesmith-join.yaml
trap 'rm -f "$config"' EXIT

# A run that was interrupted may have left this script at work: wait for it instead of working against it. What kubeadm
# starts must not keep the lock, hence `9>&-`.
exec 9>/run/kubesmith.lock
flock --timeout 600 9 || { echo "FAILED: an earlier run still works on this machine" >&2; exit 1; }

if [ -e /etc/kubernetes/kubelet.conf ] || [ -e /etc/kubernetes/bootstrap-kubelet.conf ] || [ -e /etc/kubernetes/pki/ca.crt ]; then
    echo "found traces of an earlier join: starting again"
    kubeadm reset -f 9>&-
fi
install -m 0600 /dev/null "$config"
printf '%s\n' "$JOIN_CONFIG" >"$config"
kubeadm join --config "$config" 9>&-
echo "CHANGED: joined"
