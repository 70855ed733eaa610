# What the module makes of its inputs, and which it refuses. No Proxmox is asked.
mock_provider "kubesmith" {
  source = "./tests/mocks"
}

variables {
  name               = "demo"
  pool               = "lab"
  template           = "ubuntu-24.04-k8s-1.36"
  kubernetes_version = "1.36.4"
}

run "four_inputs_are_enough" {
  assert {
    condition     = kubesmith_ip_lease.this.name == "demo" && kubesmith_ip_lease.this.size == 6
    error_message = "The lease is not named after the cluster, or not of the documented size."
  }

  assert {
    condition     = kubesmith_cluster.this.workers.count == 2 && kubesmith_cluster.this.clone == "linked"
    error_message = "The cluster does not have the documented defaults."
  }

  assert {
    condition     = kubesmith_cluster.this.network.bridge == "vmbr0" && kubesmith_cluster.this.network.vlan == null
    error_message = "The machines are not attached to the default bridge, untagged."
  }

  assert {
    condition     = kubesmith_cluster.this.leases[0].addresses == kubesmith_ip_lease.this.addresses
    error_message = "The cluster does not stand on the addresses of its lease."
  }
}

run "a_part_of_a_size_keeps_the_other_defaults" {
  variables {
    workers = { count = 3, cores = 4 }
  }

  assert {
    condition     = kubesmith_cluster.this.workers == { count = 3, cores = 4, memory_mib = 4096, disk_gib = 20 }
    error_message = "Cores were given, and something else has changed."
  }
}

run "a_name_that_no_machine_can_have_is_refused" {
  command = plan

  variables {
    name = "Demo_1"
  }

  expect_failures = [var.name]
}

run "a_version_without_a_patch_is_refused" {
  command = plan

  variables {
    kubernetes_version = "1.36"
  }

  expect_failures = [var.kubernetes_version]
}

run "a_lease_too_small_for_its_workers_is_refused" {
  command = plan

  variables {
    lease_size = 3
    workers    = { count = 3 }
  }

  expect_failures = [var.lease_size]
}

run "a_storage_without_full_clones_is_refused" {
  command = plan

  variables {
    storage = "ceph"
  }

  expect_failures = [var.storage]
}

run "networks_that_are_none_are_refused" {
  command = plan

  variables {
    pod_cidr     = "10.244.0.0"
    service_cidr = "fd00::/108"
  }

  expect_failures = [var.pod_cidr, var.service_cidr]
}
