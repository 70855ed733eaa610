# A pool of addresses, a lease from it, and a cluster on the lease.
terraform {
  required_providers {
    kubesmith = {
      source = "kubesmith/kubesmith"
    }
  }
}

# Endpoint, token and owner come from the environment: see ../README.md.
provider "kubesmith" {}

# An administrator makes this once, for everyone. The first address gets the VMID `first_vmid`, the next one the next.
resource "kubesmith_ip_pool" "lab" {
  name          = "lab"
  first         = "10.40.19.201"
  last          = "10.40.19.253"
  prefix_length = 24
  gateway       = "10.40.19.254"
  nameservers   = ["10.40.2.1"]
  first_vmid    = 19201
}

# One address for the control plane, and room for five workers.
resource "kubesmith_ip_lease" "demo" {
  name = "demo"
  pool = kubesmith_ip_pool.lab.name
  size = 6
}

resource "kubesmith_cluster" "demo" {
  name               = "demo"
  leases             = [kubesmith_ip_lease.demo]
  template           = "ubuntu-24.04-k8s-1.36"
  kubernetes_version = "1.36.4"
  network            = { bridge = "vmbr0", vlan = 119 }
  control_plane      = { cores = 2, memory_mib = 4096, disk_gib = 20 }
  workers            = { count = 2, cores = 2, memory_mib = 4096, disk_gib = 20 }
}

output "endpoint" {
  value = kubesmith_cluster.demo.endpoint
}

output "nodes" {
  value = kubesmith_cluster.demo.nodes
}

output "kubeconfig" {
  value     = kubesmith_cluster.demo.kubeconfig
  sensitive = true
}
