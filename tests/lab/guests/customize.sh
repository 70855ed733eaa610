# Turns a fresh distribution root into the lab's `plain` image: fast to boot, and with nothing in it
# that should be a machine's own. Called by mmdebstrap with the root as its argument.
set -eu
root=$1

# What is a machine's own is made at its first boot.
: > "$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id"
echo localhost > "$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n' > "$root/etc/hosts"

# Guests have no way out: package lists would only time out, and a name server at the gateway
# that answers "nobody here" at once beats one that is never reached.
rm -f "$root/etc/apt/sources.list" "$root"/etc/apt/sources.list.d/*
rm -f "$root/etc/resolv.conf"
printf 'nameserver 10.40.19.254\noptions attempts:1 timeout:1\n' > "$root/etc/resolv.conf"

# Units that have no work in a guest, or wait for what it does not have.
for unit in systemd-networkd-wait-online.service systemd-resolved.service systemd-timesyncd.service \
    systemd-logind.service systemd-pstore.service systemd-udev-trigger.service systemd-udevd.service \
    systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-firstboot.service \
    systemd-machine-id-commit.service systemd-random-seed.service systemd-modules-load.service \
    systemd-boot-random-seed.service systemd-hwdb-update.service ldconfig.service \
    systemd-journal-catalog-update.service systemd-update-done.service systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service console-getty.service getty.target getty-static.service \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-config.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount sys-fs-fuse-connections.mount remote-fs.target \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer \
    e2scrub_reap.service motd-news.timer man-db.timer logrotate.timer sshd-keygen.service \
    ssh.socket cloud-init-hotplugd.socket nftables.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
rm -f "$root/etc/systemd/system/multi-user.target.wants/remote-fs.target"
chroot "$root" systemctl --quiet enable systemd-networkd.service ssh.service

# One kind of host key: the others cost a second of prime numbers at each first boot.
mkdir -p "$root/etc/ssh/sshd_config.d"
cat > "$root/etc/ssh/sshd_config.d/lab.conf" << 'CONF'
HostKey /etc/ssh/ssh_host_ed25519_key
UseDNS no
GSSAPIAuthentication no
PrintLastLog no
CONF

# containerd is not needed before the first login, which it would only slow down.
mkdir -p "$root/etc/systemd/system/containerd.service.d"
printf '[Unit]\nAfter=ssh.service\n' > "$root/etc/systemd/system/containerd.service.d/lab.conf"

# Journals die with the machine, so nothing is flushed to disk while it boots.
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\n' > "$root/etc/systemd/journald.conf.d/lab.conf"

# The modules of cloud-init that Proxmox's drive makes use of, and no search for other clouds.
echo 'policy: enabled' > "$root/etc/cloud/ds-identify.cfg"
cat > "$root/etc/cloud/cloud.cfg.d/99_lab.cfg" << 'CONF'
datasource_list: [ NoCloud, None ]
ssh_genkeytypes: [ ed25519 ]
ssh_deletekeys: true
cloud_init_modules: [ write-files, set_hostname, update_hostname, update_etc_hosts, users-groups, ssh, set-passwords ]
cloud_config_modules: [ runcmd ]
cloud_final_modules: [ scripts-user, final-message ]
system_info:
  network:
    renderers: [ networkd ]
CONF
