resource "kubesmith_cluster" "this" {
  name               = var.name
  leases             = [kubesmith_ip_lease.this]
  template           = var.template
  kubernetes_version = var.kubernetes_version

  network       = var.network
  control_plane = var.control_plane
  workers       = var.workers

  storage       = var.storage
  clone         = var.clone
  proxmox_nodes = var.proxmox_nodes
  proxmox_pool  = var.proxmox_pool

  pod_cidr        = var.pod_cidr
  service_cidr    = var.service_cidr
  package_mirror  = var.package_mirror
  registry_mirror = var.registry_mirror
}
