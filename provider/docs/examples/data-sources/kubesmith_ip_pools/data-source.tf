data "kubesmith_ip_pools" "all" {}

output "free_addresses" {
  value = { for pool in data.kubesmith_ip_pools.all.pools : pool.name => pool.free }
}
