# Two groups that share hosts and nothing else: each has its own VLAN, its own addresses and its own Proxmox pool.
#
# An administrator applies this once; `terraform-provider-kubesmith bootstrap` makes the Proxmox pools and a token for each
# group, which then may use its own network only. The VMIDs of two pools must not overlap.
terraform {
  required_providers {
    kubesmith = {
      source = "kubesmith/kubesmith"
    }
  }
}

provider "kubesmith" {}

locals {
  tenants = {
    databases  = { vlan = 119, network = "10.40.19", first_vmid = 19010 }
    networking = { vlan = 120, network = "10.40.20", first_vmid = 20010 }
  }
}

module "pool" {
  source   = "../../modules/pool"
  for_each = local.tenants

  name        = each.key
  first       = "${each.value.network}.10"
  last        = "${each.value.network}.199"
  gateway     = "${each.value.network}.254"
  nameservers = ["10.40.2.1"]
  first_vmid  = each.value.first_vmid
}

# The first cluster of each group, to show that its network works.
module "cluster" {
  source   = "../../modules/cluster"
  for_each = local.tenants

  name               = "${each.key}-first"
  pool               = module.pool[each.key].name
  template           = "ubuntu-24.04-k8s-1.36"
  kubernetes_version = "1.36.4"
  network            = { bridge = "vmbr0", vlan = each.value.vlan }
  proxmox_pool       = each.key
  workers            = { count = 1 }
}

output "endpoints" {
  value = { for tenant, cluster in module.cluster : tenant => cluster.endpoint }
}
