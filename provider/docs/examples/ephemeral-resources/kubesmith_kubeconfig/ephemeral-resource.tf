ephemeral "kubesmith_kubeconfig" "demo" {
  endpoint        = kubesmith_cluster.demo.endpoint
  ssh_private_key = kubesmith_cluster.demo.ssh_private_key
  known_hosts     = kubesmith_cluster.demo.known_hosts
  client_name     = "course-42-ci"
  validity        = "30m"
}

provider "kubernetes" {
  host                   = ephemeral.kubesmith_kubeconfig.demo.endpoint
  cluster_ca_certificate = ephemeral.kubesmith_kubeconfig.demo.cluster_ca_certificate
  client_certificate     = ephemeral.kubesmith_kubeconfig.demo.client_certificate
  client_key             = ephemeral.kubesmith_kubeconfig.demo.client_key
}
