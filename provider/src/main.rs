//! The Kubesmith provider: clusters on Proxmox VE, their addresses, and the ledger these are kept in.
//!
//! Terraform starts this program and speaks to it over the plugin protocol. People start it with the name
//! of a task for administrators.

use std::process::ExitCode;

use clap::Parser as _;

mod ansible;
mod bootstrap;
mod cluster;
mod diagnose;
mod events;
mod ip_lease;
mod ip_pool;
mod kube;
mod kubeconfig;
mod ledger;
mod looks;
mod machine;
mod orphans;
#[cfg(test)]
mod pages;
mod provider;
mod rebuild;
mod secret_file;
mod ssh;
mod stamp;
mod states;
mod templates;
mod wait;

/// The provider's address in a configuration's `required_providers`.
const ADDRESS: &str = "registry.terraform.io/kubesmith/kubesmith";

/// The Kubesmith provider. Terraform starts it by itself, without arguments; these are tasks for
/// administrators.
#[derive(clap::Parser)]
#[command(arg_required_else_help = true)]
enum Task {
    Bootstrap(bootstrap::Options),
    Orphans(orphans::Options),
    #[command(subcommand)]
    Ledger(rebuild::Task),
}

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        // Terraform's start, and what serving itself understands.
        None | Some("--debug" | "--version") => {
            kubesmith_tfplugin::serve(ADDRESS, provider::Kubesmith)
        }
        Some(_) => match Task::parse() {
            Task::Bootstrap(options) => bootstrap::run(&options),
            Task::Orphans(options) => orphans::run(&options),
            Task::Ledger(task) => rebuild::run(&task),
        },
    }
}
