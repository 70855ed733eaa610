# An administrator makes this once, for everyone.
resource "kubesmith_ip_pool" "lab" {
  name          = "lab"
  first         = "10.40.19.201"
  last          = "10.40.19.253"
  prefix_length = 24
  gateway       = "10.40.19.254"
  nameservers   = ["10.40.2.1"]
  first_vmid    = 19201
  excluded      = ["10.40.19.210", "10.40.19.220-10.40.19.222"]
}
