# One lease and one cluster for each person. The provider itself limits how many machines are cloned at once, so a
# large roster needs no other care than time.
module "cluster" {
  source   = "../cluster"
  for_each = var.roster

  name               = "${var.name}-${each.value}"
  pool               = var.pool
  lease_size         = var.lease_size
  template           = var.template
  kubernetes_version = var.kubernetes_version

  network       = var.network
  control_plane = var.control_plane
  workers       = var.workers

  storage       = var.storage
  clone         = var.clone
  proxmox_nodes = var.proxmox_nodes
  proxmox_pool  = var.proxmox_pool

  package_mirror  = var.package_mirror
  registry_mirror = var.registry_mirror
}
