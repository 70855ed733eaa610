resource "kubesmith_ip_pool" "this" {
  name          = var.name
  first         = var.first
  last          = var.last
  prefix_length = var.prefix_length
  gateway       = var.gateway
  nameservers   = var.nameservers
  first_vmid    = var.first_vmid
  excluded      = var.excluded
}
