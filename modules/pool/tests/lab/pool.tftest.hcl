# A pool in the datacentre that the environment names: made, found unchanged, and gone afterwards.
variables {
  name        = "module"
  first       = "10.40.19.201"
  last        = "10.40.19.210"
  gateway     = "10.40.19.254"
  nameservers = ["10.40.2.1"]
  first_vmid  = 19201
  excluded    = ["10.40.19.203"]
}

run "made" {
  assert {
    condition     = output.name == "module" && output.size == 10
    error_message = "The pool is not the one that was asked for."
  }
}

run "grown_in_place" {
  variables {
    last = "10.40.19.220"
  }

  assert {
    condition     = output.size == 20
    error_message = "The pool did not grow."
  }
}
