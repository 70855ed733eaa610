# A cluster for one merge request. It has a state and an owner of its own, named after the request, and goes with it.
terraform {
  # PG_CONN_STR and PG_SCHEMA_NAME come from the pipeline.
  backend "pg" {}

  required_providers {
    kubesmith = {
      source = "kubesmith/kubesmith"
    }
  }
}

provider "kubesmith" {}

variable "name" {
  description = "Name of the cluster, for instance review-42."
  type        = string
}

module "cluster" {
  source = "../../../modules/cluster"

  name               = var.name
  pool               = "lab"
  template           = "ubuntu-24.04-k8s-1.36"
  kubernetes_version = "1.36.4"
  lease_size         = 2
  workers            = { count = 0 }
}

output "endpoint" {
  value = module.cluster.endpoint
}
