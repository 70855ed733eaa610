# What the module makes of a roster, and which it refuses. No Proxmox is asked.
mock_provider "kubesmith" {
  source = "../cluster/tests/mocks"
}

variables {
  name               = "net1"
  pool               = "lab"
  roster             = ["ada", "grace", "alan-2"]
  template           = "ubuntu-24.04-k8s-1.36"
  kubernetes_version = "1.36.4"
}

run "everybody_gets_a_cluster" {
  assert {
    condition = { for login, cluster in output.clusters : login => cluster.name } == {
      ada = "net1-ada", grace = "net1-grace", alan-2 = "net1-alan-2"
    }
    error_message = "There is not one cluster for each person of the roster."
  }

  assert {
    condition     = sort(keys(nonsensitive(output.kubeconfigs))) == tolist(["ada", "alan-2", "grace"])
    error_message = "Somebody has no kubeconfig."
  }
}

run "who_leaves_takes_nobody_else_along" {
  variables {
    roster = ["ada", "alan-2"]
  }

  assert {
    condition     = sort(keys(output.clusters)) == tolist(["ada", "alan-2"])
    error_message = "The roster and the clusters differ."
  }
}

run "an_empty_roster_is_no_fault" {
  variables {
    roster = []
  }

  assert {
    condition     = length(output.clusters) == 0
    error_message = "Clusters for nobody."
  }
}

run "a_login_that_no_machine_can_carry_is_refused" {
  command = plan

  variables {
    roster = ["ada", "Grace.Hopper"]
  }

  expect_failures = [var.roster]
}
