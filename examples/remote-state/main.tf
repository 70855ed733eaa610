# A cluster whose state lies in PostgreSQL, locked while anybody works with it: colleagues and CI jobs share one truth.
#
#   export PG_CONN_STR=postgres://terraform:secret@db.example.edu/terraform_state
#
# The state holds the kubeconfig and the key of the machines: whoever can read the database can use the cluster.
terraform {
  backend "pg" {
    schema_name = "kubesmith_seminar"
  }

  required_providers {
    kubesmith = {
      source = "kubesmith/kubesmith"
    }
  }
}

# `owner` names this state, wherever it is applied from.
provider "kubesmith" {
  owner = "seminar"
}

module "cluster" {
  source = "../../modules/cluster"

  name               = "seminar"
  pool               = "lab"
  template           = "ubuntu-24.04-k8s-1.36"
  kubernetes_version = "1.36.4"
  workers            = { count = 1 }
}

output "endpoint" {
  value = module.cluster.endpoint
}
