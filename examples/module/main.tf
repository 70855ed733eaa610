# The same cluster through the module. The pool `lab` exists already: ../minimal makes one.
terraform {
  required_providers {
    kubesmith = {
      source = "kubesmith/kubesmith"
    }
  }
}

provider "kubesmith" {}

module "cluster" {
  source = "../../modules/cluster"

  name               = "seminar"
  pool               = "lab"
  template           = "ubuntu-24.04-k8s-1.36"
  kubernetes_version = "1.36.4"
}

output "endpoint" {
  value = module.cluster.endpoint
}

output "nodes" {
  value = module.cluster.nodes
}

output "kubeconfig" {
  value     = module.cluster.kubeconfig
  sensitive = true
}
