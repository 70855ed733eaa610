# A cluster that exists, and that this state does not know: made by another state that was lost, or moved here.
#
#   export KUBESMITH_OWNER=...                             # the name of the state that made it
#   export KUBESMITH_IMPORT_SSH_KEY_FILE=demo.key          # its private key: `ssh_private_key` of that state
#   terraform plan                                         # says what it would import, and whether anything differs
#
# Write the resources as they are; the plan shows each difference, and an import alone changes nothing.
terraform {
  required_providers {
    kubesmith = {
      source = "kubesmith/kubesmith"
    }
  }
}

provider "kubesmith" {}

import {
  to = kubesmith_ip_lease.demo
  id = "lab/demo"
}

import {
  to = kubesmith_cluster.demo
  id = "demo"
}

resource "kubesmith_ip_lease" "demo" {
  name = "demo"
  pool = "lab"
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
