resource "kubesmith_cluster" "demo" {
  name               = "demo"
  leases             = [kubesmith_ip_lease.demo]
  template           = "ubuntu-24.04-k8s-1.36"
  kubernetes_version = "1.36.4"
  network            = { bridge = "vmbr0", vlan = 119 }
  control_plane      = { cores = 2, memory_mib = 4096, disk_gib = 20 }
  workers            = { count = 2, cores = 2, memory_mib = 4096, disk_gib = 20 }
}
