# What the module makes of its inputs, and which it refuses. No Proxmox is asked.
mock_provider "kubesmith" {}

variables {
  name        = "lab"
  first       = "10.40.19.201"
  last        = "10.40.19.253"
  gateway     = "10.40.19.254"
  nameservers = ["10.40.2.1"]
  first_vmid  = 19201
}

run "a_range_of_one_network" {
  assert {
    condition     = output.size == 53 && output.vmids == { first = 19201, last = 19253 }
    error_message = "Every address of the range has a VMID of its own."
  }
}

run "a_range_across_octets" {
  variables {
    first         = "10.40.19.250"
    last          = "10.40.20.9"
    prefix_length = 21
    gateway       = "10.40.16.1"
  }

  assert {
    condition     = output.size == 16
    error_message = "The range has 6 addresses in .19 and 10 in .20."
  }
}

run "what_is_no_address_is_refused" {
  command = plan

  variables {
    nameservers = ["dns.example.edu"]
  }

  expect_failures = [var.nameservers]
}

run "a_gateway_in_another_network_is_refused" {
  command = plan

  variables {
    gateway = "10.40.20.254"
  }

  expect_failures = [var.gateway]
}

run "an_end_in_another_network_is_refused" {
  command = plan

  variables {
    last = "10.40.20.9"
  }

  expect_failures = [var.last]
}
