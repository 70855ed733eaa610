# What main holds is what exists: pipelines plan each merge request against this and apply it when it is merged.
terraform {
  # Where the state lies comes from PG_CONN_STR; it holds secrets, so give the database to the pipelines alone.
  backend "pg" {
    schema_name = "kubesmith_clusters"
  }

  required_providers {
    kubesmith = {
      source = "kubesmith/kubesmith"
    }
  }
}

# Endpoint, token, certificate authority and owner come from the pipeline's environment.
provider "kubesmith" {}

module "seminar" {
  source = "../../../modules/cluster"

  name               = "seminar"
  pool               = "lab"
  template           = "ubuntu-24.04-k8s-1.36"
  kubernetes_version = "1.36.4"
  lease_size         = 4
  workers            = { count = 1 }
}
