# A course of thirty as the datacentre sees it: every lease and every cluster is planned, none is made.
run "pool" {
  module {
    source = "../pool"
  }

  variables {
    name        = "module"
    first       = "10.40.19.1"
    last        = "10.40.19.253"
    gateway     = "10.40.19.254"
    nameservers = ["10.40.2.1"]
    first_vmid  = 19001
  }
}

run "thirty" {
  command = plan

  variables {
    name               = "net1"
    pool               = run.pool.name
    roster             = [for number in range(1, 31) : format("student-%02d", number)]
    template           = "ubuntu-24.04-k8s-1.36"
    kubernetes_version = "1.36.4"
    lease_size         = 2
    workers            = { count = 1 }
  }

  assert {
    condition     = length(output.clusters) == 30
    error_message = "Thirty people, and not thirty clusters."
  }
}
