#cloud-config
# Answers for Ubuntu's installer. Packages and settings of a node are not its business: the roles bring them.
autoinstall:
  version: 1
  locale: C.UTF-8
  keyboard:
    layout: us
  # Packer would log in to the installer, and use up its attempts there.
  early-commands:
    - systemctl stop ssh.service ssh.socket || true
  identity:
    hostname: ${hostname}
    username: ${user}
    # Locked: this is no hash of any password.
    password: "!"
  ssh:
    install-server: true
    allow-pw: false
    authorized-keys:
      - ${public_key}
  # One partition and no swap: a node's disk grows with its clone, and kubelet refuses swap.
  storage:
    swap:
      size: 0
    config:
      - { type: disk, id: disk, ptable: gpt, match: { size: largest }, wipe: superblock, preserve: false, grub_device: ${uefi ? "false" : "true"} }
%{ if uefi ~}
      - { type: partition, id: efi, device: disk, size: 512M, flag: boot, grub_device: true }
      - { type: format, id: efi-format, volume: efi, fstype: fat32 }
%{ else ~}
      - { type: partition, id: bios, device: disk, size: 1M, flag: bios_grub }
%{ endif ~}
      - { type: partition, id: root, device: disk, size: -1 }
      - { type: format, id: root-format, volume: root, fstype: ext4 }
      - { type: mount, id: root-mount, device: root-format, path: / }
%{ if uefi ~}
      - { type: mount, id: efi-mount, device: efi-format, path: /boot/efi }
%{ endif ~}
  apt:
    # A mirror that is out of reach costs packages, not the installation.
    fallback: offline-install
  updates: security
  packages:
    - qemu-guest-agent
    - python3
  late-commands:
    - echo '${user} ALL=(ALL) NOPASSWD:ALL' >/target/etc/sudoers.d/90-packer
    - chmod 0440 /target/etc/sudoers.d/90-packer
  shutdown: reboot
