# A cluster that another Terraform state manages.
data "kubesmith_cluster" "shared" {
  name = "shared"
}

output "shared_endpoint" {
  value = data.kubesmith_cluster.shared.endpoint
}
