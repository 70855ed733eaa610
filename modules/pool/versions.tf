terraform {
  # Rules that compare two variables came with 1.9.
  required_version = ">= 1.9"

  required_providers {
    kubesmith = {
      source = "kubesmith/kubesmith"
    }
  }
}
