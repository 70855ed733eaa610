#!/bin/bash
# Says everything that stands in the way of a node, at once, and touches nothing.
# CPUs, memory, ports and cgroups are left to kubeadm's own preflight, which knows its version's limits.
set -euo pipefail
machine_time=$(date +%s)
problems=0

refuse() {
    echo "REFUSED: $*" >&2
    problems=$((problems + 1))
}

# cloud-init may still set the name, the network or install packages. Code 2 means done with warnings.
# Its own program takes half a second to say so: what it leaves behind after a boot without errors says the same.
if command -v cloud-init >/dev/null && [ ! -e /etc/cloud/cloud-init.disabled ] &&
    ! tr -d ' \n' </run/cloud-init/result.json 2>/dev/null | grep -q '"errors":\[\]'; then
    code=0
    timeout "$CLOUD_INIT_TIMEOUT" cloud-init status --wait >/dev/null 2>&1 || code=$?
    case $code in
        0 | 2) ;;
        124) refuse "cloud-init has not finished after $CLOUD_INIT_TIMEOUT s: see /var/log/cloud-init.log on the machine" ;;
        *) refuse "cloud-init failed: $(cloud-init status --long 2>/dev/null | tr '\n' ' ')" ;;
    esac
fi

# shellcheck source=/dev/null
system=$(. /etc/os-release && echo "${ID:-} ${VERSION_ID:-}")
case $system in
    "ubuntu 22.04" | "ubuntu 24.04" | "debian 12" | "debian 13") ;;
    *) refuse "the system is '$system': use an image of Ubuntu 22.04 or 24.04, or Debian 12 or 13" ;;
esac

architecture=$(dpkg --print-architecture)
case $architecture in
    amd64 | arm64) ;;
    *) refuse "the architecture is $architecture: Kubernetes packages exist for amd64 and arm64" ;;
esac

if [ "$(hostname)" != "$NODE_NAME" ]; then
    refuse "the machine calls itself '$(hostname)' but is '$NODE_NAME' in the inventory: the node's name would be wrong"
fi

difference=$((machine_time - CONTROLLER_TIME))
if [ "${difference#-}" -gt "$LARGEST_CLOCK_DIFFERENCE" ]; then
    refuse "the clock is ${difference#-} s off: let chrony or systemd-timesyncd set it, then try again"
fi

if ! [[ $KUBERNETES_VERSION =~ ^1\.[0-9]+\.[0-9]+$ ]]; then
    refuse "kubernetes_version '$KUBERNETES_VERSION' is not of the form 1.36.4"
elif [ -e /etc/kubernetes/kubelet.conf ] && command -v kubelet >/dev/null; then
    # Other packages under a running node are an upgrade, which has an order of its own.
    installed=$(kubelet --version | sed -E 's/^[^0-9]*//')
    [ "$installed" = "$KUBERNETES_VERSION" ] ||
        refuse "this is a node of Kubernetes $installed, and $KUBERNETES_VERSION is asked for: installing does not upgrade a node"
fi

[ "$problems" = 0 ] || exit 1
