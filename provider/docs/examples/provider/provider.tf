terraform {
  required_providers {
    kubesmith = {
      source = "kubesmith/kubesmith"
    }
  }
}

# The token comes from KUBESMITH_API_TOKEN, so that it is not written down.
provider "kubesmith" {
  endpoint = "https://pve.example.edu:8006"
  ca_file  = "pve-root-ca.pem"
  owner    = "course-42"
}
