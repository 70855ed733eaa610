output "name" {
  description = "Name of the pool, once it exists: give it to `modules/cluster` and `modules/course`."
  value       = kubesmith_ip_pool.this.name
}

output "size" {
  description = "How many addresses the range has, the excluded ones among them."
  value       = local.size
}

output "vmids" {
  description = "The VMIDs that belong to the pool: `first` and `last`."
  value       = { first = var.first_vmid, last = var.first_vmid + local.size - 1 }
}
