# The addresses are leased before the machines exist, and given back after the last of them is gone.
resource "kubesmith_ip_lease" "this" {
  name = var.name
  pool = var.pool
  size = var.lease_size
}
