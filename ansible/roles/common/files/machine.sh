#!/bin/bash
# Kernel modules, sysctls and swap as kubelet, kube-proxy and the pod network need them, now and after a reboot.
set -euo pipefail

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Writes standard input to a file, only if that changes it.
put() {
    local path=$1 wanted
    wanted=$(cat)
    if [ "$(cat "$path" 2>/dev/null)" != "$wanted" ]; then
        printf '%s\n' "$wanted" >"$path"
        chmod 0644 "$path"
        echo "CHANGED: $path"
    fi
}

# What counts is what a module brings, so that one which is built into the kernel is as good.
printf '%s\n' overlay br_netfilter | put /etc/modules-load.d/kubesmith.conf
grep -qw overlay /proc/filesystems || modprobe overlay || fail "the kernel has no overlayfs: boot the distribution's generic or virtual kernel"
[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || modprobe br_netfilter || fail "the kernel has no br_netfilter: boot the distribution's generic or virtual kernel"

# kubeadm's preflight no longer looks at these; without them Services do not answer.
required="net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1"
# Only raised: many pods watch many files. The kernel.* and vm.* values are kubelet's own affair.
wished="fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=524288"
# shellcheck disable=SC2086 # one setting a line
printf '%s\n' $required $wished | put /etc/sysctl.d/99-kubesmith.conf

# Sets one value unless it is there already: then /proc/sys may well be read-only.
set_sysctl() {
    local path
    path=/proc/sys/$(echo "$1" | tr . /)
    [ "$(cat "$path" 2>/dev/null)" = "$2" ] && return
    (echo "$2" >"$path") 2>/dev/null || return 1
    echo "CHANGED: sysctl $1=$2"
}

for setting in $required; do
    set_sysctl "${setting%=*}" "${setting#*=}" || fail "sysctl ${setting%=*} cannot be set to ${setting#*=}"
done
for setting in $wished; do
    current=$(cat "/proc/sys/$(echo "${setting%=*}" | tr . /)" 2>/dev/null || echo 0)
    [ "$current" -ge "${setting#*=}" ] || set_sysctl "${setting%=*}" "${setting#*=}" ||
        echo "left alone: sysctl ${setting%=*} is $current and cannot be changed here"
done

# kubelet does not start with swap on. The unit would come back at the next boot, so fstab loses it as well.
if [ "$(wc -l </proc/swaps)" -gt 1 ]; then
    swapoff -a || true
    [ "$(wc -l </proc/swaps)" -le 1 ] || fail "swap cannot be switched off: $(tail -n +2 /proc/swaps | tr '\n' ' ')"
    echo "CHANGED: swap switched off"
fi
if grep -qE '^[^#]\S*\s+\S+\s+swap\s' /etc/fstab 2>/dev/null; then
    sed -i -E 's/^([^#]\S*\s+\S+\s+swap\s)/# taken out by kubesmith: \1/' /etc/fstab
    echo "CHANGED: swap removed from /etc/fstab"
fi
