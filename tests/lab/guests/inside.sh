# The first process of a guest: builds its root from inside its new namespaces, then becomes init.
# All mounts are private to the guest's mount namespace, so they vanish with its last process.
# Standard output is a pipe to the lab: one line `ready <pid>` says that the root stands
# and what this process is called on the host.
set -eu
root=$KUBESMITH_ROOT
# The old /proc is still in place, so this is the process's number on the host.
read -r pid_on_host _ < /proc/self/stat

mount -t overlay overlay "$root" \
    -o "lowerdir=$KUBESMITH_LOWER,upperdir=$KUBESMITH_UPPER,workdir=$KUBESMITH_WORK"

# The cloud-init drive, written anew at each start as Proxmox does; a new instance-id in it makes
# cloud-init run again.
seed=$root/var/lib/cloud/seed/nocloud-net
mkdir -p "$seed"
cp "$KUBESMITH_SEED"/* "$seed"/
# Whatever stands between this machine and the net may re-sign TLS, so trust what the host trusts.
if [ -n "$KUBESMITH_CA" ] && ! cmp -s "$KUBESMITH_CA" "$root/etc/ssl/certs/ca-certificates.crt"; then
    cp "$KUBESMITH_CA" "$root/etc/ssl/certs/ca-certificates.crt"
fi

# containerd's overlay snapshots cannot lie on an overlay, so its state is a plain folder. Container images that the
# guest's image brings are linked, not copied: nobody writes to them. Only containerd's databases change in place.
if [ ! -e "$KUBESMITH_CONTAINERD" ]; then
    mkdir -p "$root/var/lib/containerd"
    new=$KUBESMITH_CONTAINERD.new
    rm -rf "$new"
    IFS=:
    for layer in $KUBESMITH_LOWER; do
        if [ -d "$layer/var/lib/containerd" ]; then
            break
        fi
    done
    unset IFS
    if cp -al "$layer/var/lib/containerd" "$new" 2> /dev/null; then
        find "$new" -name '*.db' -exec sh -c 'cp -p "$1" "$1.new" && mv "$1.new" "$1"' - {} \;
    else
        rm -rf "$new"
        cp -a "$root/var/lib/containerd" "$new"
    fi
    mv "$new" "$KUBESMITH_CONTAINERD"
fi
mount --bind "$KUBESMITH_CONTAINERD" "$root/var/lib/containerd"

# A guest runs the host's kernel and must not load into it: to its modprobe, everything that
# Kubernetes asks for is built in.
modules=$root/usr/lib/modules/$(uname -r)
if [ ! -d "$modules" ]; then
    mkdir -p "$modules"
    : > "$modules/modules.order"
    for module in overlay br_netfilter bridge veth vxlan dummy tun nf_conntrack nf_nat nf_tables \
        ip_tables ip6_tables iptable_nat iptable_filter xt_comment xt_conntrack xt_MASQUERADE \
        ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh; do
        echo "kernel/lab/$module.ko"
    done > "$modules/modules.builtin"
    chroot "$root" depmod 2> /dev/null || true
fi

if [ -e "$KUBESMITH_BREAK" ]; then
    chroot "$root" /bin/sh -c "$(cat "$KUBESMITH_BREAK")" >&2 || echo "the break script failed" >&2
    rm "$KUBESMITH_BREAK"
fi

mount -t proc -o nosuid,noexec,nodev proc "$root/proc"
mount -t sysfs -o nosuid,noexec,nodev sysfs "$root/sys"

# Fresh device nodes: with the host's own ones the guest's systemd would change owner and mode
# of the host's files.
mount -t tmpfs -o nosuid,noexec,mode=755,size=4m tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue"
while read -r name major minor mode; do
    mknod -m "$mode" "$root/dev/$name" c "$major" "$minor"
done << 'NODES'
null 1 3 666
zero 1 5 666
full 1 7 666
random 1 8 666
urandom 1 9 666
tty 5 0 666
fuse 10 229 666
console 1 3 600
kmsg 1 3 600
NODES
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs "$root/run"

# Settings of the kernel itself are the host's: the guest reads them, and those that Kubernetes or
# the distribution's own files set are copies. What is under net belongs to the guest's network.
sysctl=$root/proc/sys
copies=$root/run/kubesmith-lab
mkdir -p "$copies"
mount --bind "$sysctl" "$sysctl"
mount --bind "$sysctl/net" "$sysctl/net"
mount -o remount,bind,ro "$sysctl"
cd "$sysctl"
for name in kernel/panic kernel/panic_on_oops kernel/core_pattern kernel/core_uses_pid kernel/pid_max \
    kernel/printk kernel/sysrq kernel/kptr_restrict kernel/yama/ptrace_scope vm/overcommit_memory \
    vm/panic_on_oom vm/swappiness vm/max_map_count vm/mmap_min_addr fs/inotify/max_user_instances \
    fs/inotify/max_user_watches fs/file-max fs/nr_open fs/aio-max-nr fs/protected_hardlinks \
    fs/protected_symlinks fs/protected_fifos fs/protected_regular; do
    # Some are missing where the kernel was built without them.
    if cp --no-preserve=all --parents "$name" "$copies" 2> /dev/null; then
        mount --bind "$copies/$name" "$name"
    fi
done
cd /
if [ -e "$root/proc/sysrq-trigger" ]; then
    mount --bind "$root/dev/null" "$root/proc/sysrq-trigger"
fi

# The same control groups that the host has: systemd and runc use what they find.
groups=$root/sys/fs/cgroup
if [ "$KUBESMITH_HIERARCHIES" = unified ]; then
    mount -t cgroup2 -o nosuid,noexec,nodev cgroup2 "$groups"
    set -- systemd.unified_cgroup_hierarchy=1
else
    mount -t tmpfs -o nosuid,noexec,nodev,mode=755 tmpfs "$groups"
    for hierarchy in $KUBESMITH_HIERARCHIES; do
        name=${hierarchy%%:*}
        options=${hierarchy#*:}
        mkdir "$groups/$name"
        if [ "$options" = cgroup2 ]; then
            mount -t cgroup2 -o nosuid,noexec,nodev cgroup2 "$groups/$name"
        else
            mount -t cgroup -o "nosuid,noexec,nodev,$options" cgroup "$groups/$name"
        fi
    done
    mount -o remount,ro "$groups"
    set -- systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1
fi
# A writable /sys makes the guest wait for a udev that has no devices to announce.
mount -o remount,ro "$root/sys"

if [ -n "$KUBESMITH_SSH_REFUSED" ]; then
    mkdir -p "$root/run/systemd/system"
    ln -s /dev/null "$root/run/systemd/system/ssh.service"
    ln -s /dev/null "$root/run/systemd/system/ssh.socket"
fi

ip link set lo up
cd "$root"
pivot_root . .
umount -l .
cd /
echo "ready $pid_on_host"
if [ -n "$KUBESMITH_NEVER_BOOTS" ]; then
    exec sleep infinity < /dev/null > /dev/null 2>&1
fi
# The clock and the modules are the host's too. Nothing of the host stays open: neither the pipe
# nor the console file.
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio,-syslog /sbin/init "$@" \
    < /dev/null > /dev/null 2>&1
