#!/bin/bash
# Takes from the machine what must not be the same on two clones, and what its installation left. The last thing that is
# done: the builder's own way in goes with it.
set -euo pipefail

# The first boot of a clone is timed by people: no probing of datasources, no package work.
install -d -m 0755 /etc/cloud/cloud.cfg.d
cat >/etc/cloud/cloud.cfg.d/99-kubesmith.cfg <<'YAML'
datasource_list: [NoCloud, ConfigDrive]
manage_etc_hosts: true
apt: { preserve_sources_list: true }
package_update: false
package_upgrade: false
YAML
for timer in apt-daily.timer apt-daily-upgrade.timer; do
    systemctl disable --now "$timer" >/dev/null 2>&1 || true
done
systemctl mask unattended-upgrades.service >/dev/null 2>&1 || true

# What the installer left would make cloud-init on a clone look for the installer's seed.
rm -f /etc/cloud/cloud.cfg.d/{99-installer,90-installer-network,subiquity-disable-cloudinit-networking,curtin-preserve-sources}.cfg \
    /etc/cloud/cloud.cfg.d/00-subiquity*.cfg /etc/cloud/ds-identify.cfg /etc/cloud/cloud-init.disabled /etc/netplan/*.yaml
cloud-init clean --logs --seed >/dev/null

# Empty, not missing: only then does the next boot make a new one. Two machines with one id get one DHCP lease.
truncate --size 0 /etc/machine-id
if [ -e /var/lib/dbus ]; then ln -sf /etc/machine-id /var/lib/dbus/machine-id; fi
rm -f /etc/ssh/ssh_host_*_key* /var/lib/systemd/random-seed /etc/hostname
rm -rf /var/lib/kubelet/pki
# All but the module that runs this script.
find /tmp /var/tmp -mindepth 1 -maxdepth 1 ! -name 'ansible_*' -exec rm -rf {} +

if [ -n "$BUILDER_USER" ] && id "$BUILDER_USER" >/dev/null 2>&1; then
    passwd --lock --quiet "$BUILDER_USER"
    home=$(getent passwd "$BUILDER_USER" | cut -d: -f6)
    rm -rf "${home:?}/.ssh" "$home/.bash_history"
    rm -f /etc/sudoers.d/90-packer /etc/sudoers.d/90-cloud-init-users
fi
rm -rf /root/.ssh /root/.bash_history

apt-get clean
rm -rf /var/lib/apt/lists/*
journalctl --quiet --rotate --vacuum-time=1s || true
find /var/log -type f -exec truncate --size 0 {} +
# A linked clone reads what the template has: free blocks should not be among it.
fstrim --all 2>/dev/null || true
sync
