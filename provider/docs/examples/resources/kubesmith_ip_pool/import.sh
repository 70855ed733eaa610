terraform import kubesmith_ip_pool.lab lab
