//! What a cluster's state is, compared with what is: reads only.
//!
//! Drift is shown where a person sees it in the plan: a machine that is not as it should be is not in
//! `nodes`, and a changed size stands in the size attributes. Apply repairs both.

use kubesmith_spec::Role;
use kubesmith_tfplugin::{Diag, Result, Value};

use super::model::{Cluster, Node};
use super::observe;
use super::plan::{Ours, Seen, Standing};
use super::site::Site;
use super::target::{Machine, Target};
use crate::diagnose;
use crate::kube;

/// What was found.
pub(super) struct Reading {
    /// The state; `None` if every machine is gone.
    pub(super) state: Option<Cluster>,
    /// What a person should know.
    pub(super) warnings: Vec<Diag>,
}

/// Compares.
pub(super) async fn read(site: &Site<'_>, mut state: Cluster) -> Result<Reading> {
    let summary = format!("Unable to read cluster {}", site.spec.name);
    let target = Target::of(site.spec);
    let deadline = site.deadline();
    let seen = async {
        let inventory = site.context.looks.inventory(&deadline).await?;
        observe::machines(site, &inventory, &target, &deadline).await
    };
    let seen = seen.await.map_err(|error| diagnose::proxmox(summary, &error))?;
    let known = |seen: &Seen| match seen {
        Seen::Ours(ours) => {
            matches!(ours.standing, Standing::Made | Standing::Begun | Standing::Resumed)
        }
        Seen::OutOfReach { .. } => true,
        Seen::Stranger { .. } => false,
    };
    if !seen.values().any(known) {
        return Ok(Reading { state: None, warnings: Vec::new() });
    }

    let mut warnings = Vec::new();
    let before = state.nodes.as_ref().cloned().unwrap_or_default();
    let mut nodes = Vec::new();
    for machine in &target.machines {
        match seen.get(&machine.vmid) {
            Some(Seen::Ours(ours)) if ours.standing == Standing::Made => {
                if ours.running {
                    nodes.push(Node::of(machine, &ours.existing.host));
                } else {
                    let summary = format!("{machine} is stopped");
                    warnings.push(repaired(summary, machine, "Apply starts it."));
                }
                show_size(&mut state, machine, ours);
            }
            Some(Seen::OutOfReach { host }) => {
                nodes.extend(before.iter().find(|node| node.vmid == machine.vmid).cloned());
                let detail = format!(
                    "{machine} is on it. Its state is left as it was; bring the node back before the next apply."
                );
                warnings.push(Diag::warning(format!("Proxmox node {host} is down")).detail(detail));
            }
            Some(Seen::Stranger { what, host }) => {
                let detail =
                    format!("VM {} on {host} is now {what}. It is not touched.", machine.vmid);
                warnings.push(Diag::warning(format!("{} is gone", machine.name)).detail(detail));
            }
            None if machine.role == Role::ControlPlane && !state.kubeconfig.is_null() => {
                state.kubeconfig = Value::Null;
                let detail = "What the cluster held is lost with it. Apply makes the whole cluster anew, its workers included.";
                warnings.push(
                    Diag::warning(format!("The control plane {machine} is gone")).detail(detail),
                );
            }
            None if before.iter().any(|node| node.vmid == machine.vmid) => {
                let summary = format!("{machine} is gone");
                warnings.push(repaired(summary, machine, "Apply makes it anew."));
            }
            Some(Seen::Ours(_)) | None => {}
        }
    }
    // What an interrupted change has left beyond them is in the list too: the plan must see that it goes.
    let places = site.spec.leases.iter().flat_map(kubesmith_spec::Lease::places);
    for (address, vmid) in places.filter(|(_, vmid)| target.machine(*vmid).is_none()) {
        if let Some(Seen::Ours(ours)) = seen.get(&vmid)
            && ours.standing != Standing::Unknown
        {
            let detail = format!(
                "It carries the address {address} on {}. Apply removes it.",
                ours.existing.host
            );
            warnings.push(
                Diag::warning(format!("{} (VM {vmid}) is one too many", ours.existing.name))
                    .detail(detail),
            );
            nodes.push(Node::surplus(&ours.existing, address));
        }
    }
    // Nothing would get in any more, so the next apply could not even see whether its nodes are ready.
    if state.kubeconfig.as_ref().is_some_and(|text| kube::has_ended(text.expose())) {
        state.kubeconfig = Value::Null;
        let summary = format!("The kubeconfig of {} has ended", site.spec.name);
        let detail = "Its client certificate is past its end. Apply fetches the one that the control plane has now; if that is old \
                      as well, renew it with ansible/certificates.yml first.";
        warnings.push(Diag::warning(summary).detail(detail));
    }
    state.nodes = Value::Known(nodes);
    Ok(Reading { state: Some(state), warnings })
}

/// What the plan's list of attributes can only hint at: which machine it is about, and why.
fn repaired(summary: String, machine: &Machine, then: &str) -> Diag {
    let address = machine.address;
    Diag::warning(summary).detail(format!("It should run and carry the address {address}. {then}"))
}

/// A size that differs is shown as the size of its role.
fn show_size(state: &mut Cluster, machine: &Machine, ours: &Ours) {
    let (cores, memory_mib, disk_gib) = match machine.role {
        Role::ControlPlane => {
            let size = &mut state.control_plane;
            (&mut size.cores, &mut size.memory_mib, &mut size.disk_gib)
        }
        Role::Worker => {
            let size = &mut state.workers;
            (&mut size.cores, &mut size.memory_mib, &mut size.disk_gib)
        }
    };
    for (shown, wanted, is) in [
        (cores, machine.size.cores, ours.size.cores),
        (memory_mib, machine.size.memory_mib, ours.size.memory_mib),
        (disk_gib, machine.size.disk_gib, ours.size.disk_gib),
    ] {
        if wanted != is {
            *shown = is;
        }
    }
}
