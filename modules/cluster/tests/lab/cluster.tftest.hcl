# From nothing to a kubeconfig and back, with the provider's settings from the environment.
run "pool" {
  module {
    source = "../pool"
  }

  variables {
    name        = "module"
    first       = "10.40.19.201"
    last        = "10.40.19.210"
    gateway     = "10.40.19.254"
    nameservers = ["10.40.2.1"]
    first_vmid  = 19201
  }
}

run "cluster" {
  variables {
    name               = "demo"
    pool               = run.pool.name
    template           = "ubuntu-24.04-k8s-1.36"
    kubernetes_version = "1.36.4"
    lease_size         = 3
    network            = { bridge = "vmbr0", vlan = 119 }
    workers            = { count = 1 }
  }

  assert {
    condition     = output.endpoint == "https://10.40.19.201:6443"
    error_message = "The API is not at the lowest address of the lease."
  }

  assert {
    condition     = [for node in output.nodes : node.name] == ["demo-cp-1", "demo-worker-1"]
    error_message = "There is not one control plane and one worker."
  }

  assert {
    condition     = strcontains(nonsensitive(output.kubeconfig), output.endpoint)
    error_message = "The kubeconfig does not lead to the endpoint."
  }
}
