# From a plain image of Ubuntu or Debian: the roles install containerd and Kubernetes when a node is made. It takes minutes
# where a golden image (../../packer) takes seconds, and any image with cloud-init will do. The pool `lab` exists already.
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

  name               = "plain"
  pool               = "lab"
  template           = var.template
  kubernetes_version = "1.36.4"
  workers            = { count = 1 }

  # Without them packages come from pkgs.k8s.io and images from their registries. A campus mirror of packages has the same
  # layout as the original; one of images answers for every registry.
  package_mirror  = var.package_mirror
  registry_mirror = var.registry_mirror
}

variable "template" {
  description = "Name or tag of the plain template."
  type        = string
  default     = "debian-13-plain"
}

variable "package_mirror" {
  description = "Mirror with the layout of pkgs.k8s.io."
  type        = string
  default     = null
}

variable "registry_mirror" {
  description = "Registry mirror that machines ask first for every container image."
  type        = string
  default     = null
}

output "endpoint" {
  value = module.cluster.endpoint
}
