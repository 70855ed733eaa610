//! The Kubesmith provider: clusters on Proxmox VE, their addresses, and the ledger these are kept in.
//!
//! Terraform starts this program and speaks to it over the plugin protocol.

use std::process::ExitCode;

mod ansible;
mod cluster;
mod diagnose;
mod events;
mod ip_lease;
mod ip_pool;
mod kube;
mod ledger;
mod machine;
mod provider;
mod ssh;
mod stamp;
mod wait;

/// The provider's address in a configuration's `required_providers`.
const ADDRESS: &str = "registry.terraform.io/kubesmith/kubesmith";

fn main() -> ExitCode {
    kubesmith_tfplugin::serve(ADDRESS, provider::Kubesmith)
}
