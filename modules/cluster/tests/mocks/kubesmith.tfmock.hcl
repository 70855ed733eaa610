# A lease as the provider returns one. The provider itself still checks what the cluster is given.
mock_resource "kubesmith_ip_lease" {
  defaults = {
    addresses     = ["10.40.19.201", "10.40.19.202", "10.40.19.203", "10.40.19.204", "10.40.19.205", "10.40.19.206"]
    prefix_length = 24
    gateway       = "10.40.19.254"
    nameservers   = ["10.40.2.1"]
    first_vmid    = 19201
    transaction   = "0123456789abcdef"
  }
}
