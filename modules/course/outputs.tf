output "clusters" {
  description = "By login: `name`, `endpoint` and `nodes` of each cluster."
  value = {
    for login, cluster in module.cluster :
    login => { name = "${var.name}-${login}", endpoint = cluster.endpoint, nodes = cluster.nodes }
  }
}

output "kubeconfigs" {
  description = "By login: the kubeconfig of each cluster's administrator."
  value       = { for login, cluster in module.cluster : login => cluster.kubeconfig }
  sensitive   = true
}
