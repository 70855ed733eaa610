//! The configurations of the tests: what a user would write.

/// Where Terraform finds the provider.
pub(crate) const VERSIONS: &str = r#"terraform {
  required_providers {
    kubesmith = {
      source = "kubesmith/kubesmith"
    }
  }
}

provider "kubesmith" {}
"#;

/// The pool that an admin makes.
pub(crate) fn pool() -> String {
    pool_of("10.40.19.201", "10.40.19.253")
}

/// The pool with a range of its own.
pub(crate) fn pool_of(first: &str, last: &str) -> String {
    format!(
        r#"
resource "kubesmith_ip_pool" "lab" {{
  name          = "lab"
  first         = "{first}"
  last          = "{last}"
  prefix_length = 24
  gateway       = "10.40.19.254"
  nameservers   = ["10.40.2.1"]
  first_vmid    = 19201
}}
"#
    )
}

/// A lease of the pool named `lab`.
pub(crate) fn lease(name: &str, size: u32) -> String {
    format!(
        r#"
resource "kubesmith_ip_lease" "{name}" {{
  name = "{name}"
  pool = "lab"
  size = {size}
}}
"#
    )
}

/// A lease of six and a cluster of one control plane and `workers` workers in it.
pub(crate) fn cluster(workers: usize) -> String {
    format!(
        r#"{}
resource "kubesmith_cluster" "demo" {{
  name     = "demo"
  leases   = [kubesmith_ip_lease.demo]
  template = "ubuntu-24.04-k8s-1.36"
  kubernetes_version = "1.36.4"
  network       = {{ bridge = "vmbr0", vlan = 119 }}
  control_plane = {{ cores = 2, memory_mib = 4096, disk_gib = 20 }}
  workers       = {{ count = {workers}, cores = 2, memory_mib = 4096, disk_gib = 20 }}
}}
"#,
        lease("demo", 6)
    )
}

/// The same of another template, with the version that its machines carry.
pub(crate) fn cluster_of(template: &str, version: &str, workers: usize) -> String {
    cluster(workers).replace("ubuntu-24.04-k8s-1.36", template).replace("1.36.4", version)
}

/// Pool, lease and cluster in one state.
pub(crate) fn all(workers: usize) -> String {
    let lease = cluster(workers).replace("pool = \"lab\"", "pool = kubesmith_ip_pool.lab.name");
    format!("{}{lease}", pool())
}
