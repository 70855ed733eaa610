# From Ubuntu's cloud image: three to six minutes. The image lies on Proxmox as a template already (README.md).
source "proxmox-clone" "ubuntu" {
  proxmox_url              = var.proxmox_url
  username                 = var.proxmox_username
  token                    = var.proxmox_token
  insecure_skip_tls_verify = var.insecure_skip_tls_verify
  node                     = var.node
  pool                     = var.proxmox_pool
  task_timeout             = "10m"

  clone_vm   = var.cloud_image
  full_clone = true

  vm_id                = var.vm_id
  vm_name              = local.hostname
  template_name        = local.template
  template_description = local.description
  tags                 = local.tags

  os              = "l26"
  cpu_type        = var.cpu_type
  cores           = 2
  memory          = 4096
  scsi_controller = "virtio-scsi-single"
  # Ubuntu's cloud image has no guest agent before the roles have been there.
  qemu_agent = var.ssh_host == ""
  serials    = ["socket"]

  network_adapters {
    model    = "virtio"
    bridge   = var.bridge
    vlan_tag = var.vlan
    firewall = false
  }

  # The key goes in through cloud-init, as it does for every machine later.
  ipconfig {
    ip      = var.ip
    gateway = var.gateway
  }

  cloud_init                          = true
  cloud_init_storage_pool             = var.storage
  cloud_init_disk_type                = "ide"
  cloud_init_disable_upgrade_packages = true

  ssh_host             = var.ssh_host
  ssh_username         = "ubuntu"
  ssh_private_key_file = var.ssh_key_file
  ssh_timeout          = "10m"
}
