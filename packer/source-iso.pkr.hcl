# From Ubuntu's installer: twelve to twenty-five minutes, and nothing on Proxmox beforehand.
source "proxmox-iso" "ubuntu" {
  proxmox_url              = var.proxmox_url
  username                 = var.proxmox_username
  token                    = var.proxmox_token
  insecure_skip_tls_verify = var.insecure_skip_tls_verify
  node                     = var.node
  pool                     = var.proxmox_pool
  task_timeout             = "10m"

  vm_id                = var.vm_id
  vm_name              = local.hostname
  template_name        = local.template
  template_description = local.description
  tags                 = local.tags

  boot_iso {
    type             = "scsi"
    iso_url          = var.iso_url
    iso_checksum     = var.iso_checksum
    iso_storage_pool = var.iso_storage
    # The node fetches it: what it has is not sent through this machine.
    iso_download_pve = true
    unmount          = true
  }

  dynamic "additional_iso_files" {
    for_each = var.seed == "cd" ? ["cidata"] : []
    content {
      type             = "sata"
      index            = 1
      cd_label         = additional_iso_files.value
      cd_content       = { "user-data" = local.autoinstall, "meta-data" = "" }
      iso_storage_pool = var.iso_storage
      unmount          = true
    }
  }

  http_content = { "/user-data" = local.autoinstall, "/meta-data" = "" }

  # Typed into GRUB's command line, because its menu differs between releases and firmwares.
  boot_wait         = "10s"
  boot_key_interval = "50ms"
  boot_command = [
    "c<wait2>",
    "linux /casper/vmlinuz autoinstall ",
    var.seed == "http" ? "ds=\"nocloud-net;s=http://{{ .HTTPIP }}:{{ .HTTPPort }}/\" " : "",
    "console=ttyS0 ---<enter><wait2>",
    "initrd /casper/initrd<enter><wait2>",
    "boot<enter>",
  ]

  os              = "l26"
  machine         = "q35"
  bios            = var.firmware == "uefi" ? "ovmf" : "seabios"
  boot            = "order=scsi0;scsi1"
  cpu_type        = var.cpu_type
  cores           = 2
  memory          = 4096
  scsi_controller = "virtio-scsi-single"
  qemu_agent      = true
  serials         = ["socket"]

  dynamic "efi_config" {
    for_each = var.firmware == "uefi" ? ["4m"] : []
    content {
      efi_storage_pool  = var.storage
      efi_type          = efi_config.value
      pre_enrolled_keys = true
    }
  }

  disks {
    type         = "scsi"
    disk_size    = var.disk_size
    storage_pool = var.storage
    format       = "raw"
    discard      = true
    io_thread    = true
    ssd          = true
  }

  network_adapters {
    model    = "virtio"
    bridge   = var.bridge
    vlan_tag = var.vlan
    firewall = false
  }

  rng0 {
    source    = "/dev/urandom"
    max_bytes = 1024
    period    = 1000
  }

  cloud_init                          = true
  cloud_init_storage_pool             = var.storage
  cloud_init_disk_type                = "ide"
  cloud_init_disable_upgrade_packages = true

  ssh_username         = local.user
  ssh_private_key_file = var.ssh_key_file
  ssh_timeout          = "40m"
}
