data "kubesmith_ip_pool" "lab" {
  name = "lab"
}

# Refuses before anything is made, and says how much room there is.
check "room" {
  assert {
    condition     = data.kubesmith_ip_pool.lab.longest_free_run >= 6
    error_message = "Only ${data.kubesmith_ip_pool.lab.free} addresses are free in the pool."
  }
}
