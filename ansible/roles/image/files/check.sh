#!/bin/bash
# The image's test: everything that a node made from it relies on, and nothing that would bind it to this machine's past.
# All faults are said at once. An image that fails here never becomes a template.
set -uo pipefail
faults=0

fault() {
    echo "FAILED: $*" >&2
    faults=$((faults + 1))
}

want() { # what, then a command that must succeed
    local what=$1
    shift
    "$@" >/dev/null 2>&1 || fault "$what"
}

for package in kubeadm kubelet kubectl; do
    want "$package is not held: an upgrade of the system would move it" grep -qx "$package" <(apt-mark showhold)
done
for program in kubeadm "kubectl version --client --output=yaml" kubelet; do
    case $program in
        kubeadm) said=$(kubeadm version -o short) ;;
        kubelet) said=$(kubelet --version) ;;
        *) said=$($program) ;;
    esac
    grep -qF "v$KUBERNETES_VERSION" <<<"$said" || fault "${program%% *} is not $KUBERNETES_VERSION: $said"
done

for service in containerd kubelet ssh qemu-guest-agent chrony; do
    # The guest agent is started by its device, so it has no need to be enabled.
    want "the service $service would not start" systemctl cat "$service"
done
for service in containerd kubelet chrony; do
    want "the service $service is not enabled" systemctl is-enabled --quiet "$service"
done
want "containerd's runtime endpoint does not answer" crictl info
want "containerd does not use systemd's cgroups" grep -qE '^\s*SystemdCgroup\s*=\s*true' /etc/containerd/config.toml
for plugin in bridge host-local loopback portmap; do
    want "the CNI plugin $plugin is missing" test -x "/opt/cni/bin/$plugin"
done

want "swap is on" test "$(wc -l </proc/swaps)" -le 1
want "swap would come back at the next boot" bash -c '! grep -qE "^[^#]\S*\s+\S+\s+swap\s" /etc/fstab'
want "overlay and br_netfilter are not loaded at boot" grep -qx br_netfilter /etc/modules-load.d/kubesmith.conf
want "packets would not be forwarded" grep -qx net.ipv4.ip_forward=1 /etc/sysctl.d/99-kubesmith.conf

for image in $(kubeadm config images list --kubernetes-version "v$KUBERNETES_VERSION" 2>/dev/null); do
    want "the container image $image is not in the image" crictl inspecti -q "$image"
    want "/etc/kubesmith/image.json does not list $image" grep -qF "\"$image\"" /etc/kubesmith/image.json
done
want "the pod network's manifest is missing" test -s /etc/kubesmith/manifests/kube-flannel.yml

for leftover in /etc/kubernetes/admin.conf /etc/kubernetes/kubelet.conf /var/lib/etcd/member /var/lib/kubelet/pki; do
    [ ! -e "$leftover" ] || fault "$leftover is left of a cluster"
done
[ "$faults" = 0 ]
