# One address for the control plane, and room for five workers.
resource "kubesmith_ip_lease" "demo" {
  name = "demo"
  pool = "lab"
  size = 6
}
