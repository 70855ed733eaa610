//! A world for one test: a lab of its own, workspaces in it, and the programs a user would run.
//!
//! Dropping a [`World`] ends its lab, and panics if the lab left anything on the machine.

mod lab;
mod machine;
mod playbook;
mod programs;
mod running;
mod workspace;

pub(crate) use lab::World;
pub(crate) use machine::Machine;
pub(crate) use playbook::{Playbooks, tasks};
pub(crate) use programs::{command, lab_tool, one_line, provider_folder, root, terraform, text};
pub(crate) use running::Running;
pub(crate) use workspace::Workspace;

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kubesmith_lab::components;

/// What a test needs of the machine. A miss is a visible skip, and a failure when `CI` is set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Terraform.
    Terraform,
    /// Terraform, and root on Linux for light guests.
    Guests,
    /// Guests, and Kubernetes' own programs for them: the folder that `KUBESMITH_LAB_KUBERNETES` names. The one thing
    /// that a machine may lack under CI as well, because no package source has it.
    Kubernetes,
}

/// Clusters of real programs are heavy: one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Begins a test: `None` (and a line that says why) where the machine can't run it.
pub(crate) fn world(needs: Needs) -> Option<World> {
    start(needs, None)
}

/// The same with this version of Proxmox VE.
pub(crate) fn world_of(needs: Needs, version: &str) -> Option<World> {
    start(needs, Some(version))
}

fn start(needs: Needs, version: Option<&str>) -> Option<World> {
    if !able(needs) {
        return None;
    }
    let turn = (needs == Needs::Kubernetes)
        .then(|| ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner));
    Some(World::start(needs, version, turn))
}

/// Whether the machine has what a test needs; says why not.
pub(crate) fn able(needs: Needs) -> bool {
    let missing = if command(terraform()).arg("version").output().is_err() {
        "terraform is not on PATH (or KUBESMITH_TERRAFORM is not a program)"
    } else if needs != Needs::Terraform && !cfg!(target_os = "linux") {
        "light guests need Linux"
    } else if needs != Needs::Terraform && !rustix::process::geteuid().is_root() {
        "light guests need root"
    } else if needs == Needs::Kubernetes
        && std::env::var_os(components::FOLDER).is_none_or(|folder| folder.is_empty())
    {
        eprintln!("SKIPPED: Kubernetes' own programs: {} is not set", components::FOLDER);
        return false;
    } else {
        return true;
    };
    assert!(std::env::var_os("CI").is_none(), "CI runs every test, but {missing}");
    eprintln!("SKIPPED: {missing}");
    false
}

/// Looks until it is so: a condition with a deadline, never a pause that hopes.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
