# A course: everybody on the roster gets a small cluster of their own. The pool `lab` exists already: ../minimal makes one.
terraform {
  required_providers {
    kubesmith = {
      source = "kubesmith/kubesmith"
    }
  }
}

provider "kubesmith" {}

locals {
  roster = csvdecode(file("${path.module}/roster.csv"))
}

module "course" {
  source = "../../modules/course"

  name               = "net1"
  roster             = local.roster[*].login
  pool               = "lab"
  template           = "ubuntu-24.04-k8s-1.36"
  kubernetes_version = "1.36.4"

  # One machine for the control plane and one worker, and no room for more.
  lease_size = 2
  workers    = { count = 1, memory_mib = 2048 }
}

output "clusters" {
  value = module.course.clusters
}

# For handing out: terraform output -json kubeconfigs
output "kubeconfigs" {
  value     = module.course.kubeconfigs
  sensitive = true
}
