# The addresses are leased before the machines exist, and given back after the last of them is gone.
resource "kubesmith_ip_lease" "this" {
  name = var.name
  pool = var.pool
  size = var.lease_size
}

resource "kubesmith_cluster" "this" {
  name               = var.name
  leases             = [kubesmith_ip_lease.this]
  template           = var.template
  kubernetes_version = var.kubernetes_version
  network            = var.network
  control_plane      = var.control_plane
  workers            = var.workers
  storage            = var.storage
  package_mirror     = var.package_mirror
}
