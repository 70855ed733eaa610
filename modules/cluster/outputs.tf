output "endpoint" {
  description = "URL of the Kubernetes API."
  value       = kubesmith_cluster.this.endpoint
}

output "kubeconfig" {
  description = "Kubeconfig of the cluster's administrator."
  value       = kubesmith_cluster.this.kubeconfig
  sensitive   = true
}

output "nodes" {
  description = "The machines: name, role, address, VMID and Proxmox node of each."
  value       = kubesmith_cluster.this.nodes
}

output "ssh_private_key" {
  description = "Key that opens the machines, in OpenSSH's format."
  value       = kubesmith_cluster.this.ssh_private_key
  sensitive   = true
}

output "known_hosts" {
  description = "Host keys of the machines, as a known_hosts file."
  value       = kubesmith_cluster.this.known_hosts
}
