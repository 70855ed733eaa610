terraform import kubesmith_ip_lease.demo lab/demo
