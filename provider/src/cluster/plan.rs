//! What to do next, decided from what should be and what is. Pure: no clock, no network, no chance.
//!
//! Returns the steps of the earliest unfinished phase. A machine's own steps, from clone to first SSH
//! answer, are one chain, because machines do not wait for each other until Ansible needs them all.
//! Planning again after a converge gives nothing, and a converge may stop after any step.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kubesmith_spec::{MachineSize, NodeName, Role};

use super::placement::{self, NoPlace, Placement, Room};
use super::step::{Existing, Step};
use super::target::{Machine, Target};

/// What is, as far as planning needs to know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// The VM on each VMID of the cluster's leases; a VMID that is not here is free.
    pub(crate) machines: BTreeMap<u32, Seen>,
    /// What Kubernetes says.
    pub(crate) kubernetes: Kubernetes,
    /// VMIDs of the machines over which the playbook ran in this converge.
    pub(crate) configured: BTreeSet<u32>,
    /// Where new machines may go.
    pub(crate) room: Room,
}

/// The VM that was found on a VMID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Its stamp says that it is this cluster's.
    Ours(Ours),
    /// Its Proxmox node is down, so nobody can say or change anything.
    OutOfReach {
        /// The Proxmox node.
        host: String,
    },
    /// It has no stamp, or somebody else's.
    Stranger {
        /// Its name, or what can be said about it.
        what: String,
        /// The Proxmox node it is on.
        host: String,
    },
}

/// A VM with this cluster's stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ours {
    /// Name and place.
    pub(crate) existing: Existing,
    /// How far its creation went, and who can log in.
    pub(crate) standing: Standing,
    /// Whether it runs.
    pub(crate) running: bool,
    /// Whether its SSH host key is known.
    pub(crate) pinned: bool,
    /// Its size, its disk rounded down to GiB.
    pub(crate) size: MachineSize,
    /// The boot disk's key, such as `scsi0`.
    pub(crate) disk: String,
}

/// How far the creation of a machine went, and whose key it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Finished, with this state's key.
    Made,
    /// Begun by this converge.
    Begun,
    /// Begun by an earlier run with this state's key, and it had answered over SSH.
    Resumed,
    /// Begun by a run that is gone: nobody has its key, or it never answered.
    Abandoned,
    /// Finished, but with a key that this state does not have.
    Unknown,
}

/// What Kubernetes says about the nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kubernetes {
    /// There are no credentials yet, so nobody asked.
    #[default]
    NotAsked,
    /// The API did not answer; the text says what was seen.
    Unreachable(String),
    /// The registered nodes, and whether each is ready.
    Nodes(BTreeMap<NodeName, bool>),
}

impl fmt::Display for Kubernetes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("not asked yet"),
            Self::Unreachable(why) => f.write_str(why),
            Self::Nodes(nodes) => {
                let states = nodes.iter().map(|(name, ready)| {
                    format!("{name} {}", if *ready { "Ready" } else { "NotReady" })
                });
                f.write_str(&states.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Why there is no plan: something is in the way that only a person may move.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Another VM has the VMID that belongs to a leased address.
    #[error(
        "VM {vmid} on {host}, {what}, is not a machine of this cluster, but its VMID belongs to the leased address {address}; \
         nothing was changed: remove or renumber that VM, or exclude the address from the pool and take a new lease"
    )]
    Stranger {
        /// The VMID.
        vmid: u32,
        /// The node it is on.
        host: String,
        /// What it is.
        what: String,
        /// The address that the VMID stands for.
        address: std::net::Ipv4Addr,
    },
    /// A finished machine of this owner and cluster whose key this state does not have.
    #[error(
        "there are finished machines of this cluster that this Terraform state does not know: {}; nothing was changed. \
         To keep them, import the cluster with its SSH key: KUBESMITH_IMPORT_SSH_KEY_FILE=<private key> terraform import <resource address> <cluster name>. \
         To start afresh, remove them with `terraform-provider-kubesmith orphans --remove --cluster <cluster name>` and apply again",
        machines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Unknown {
        /// The machines.
        machines: Vec<Existing>,
    },
    /// A machine lies on a Proxmox node that is down.
    #[error(
        "VM {vmid} is on Proxmox node {host}, which is down; nothing was changed: bring {host} back and apply again"
    )]
    HostDown {
        /// The VMID.
        vmid: u32,
        /// The node.
        host: String,
    },
    /// The user agreed to a change that leaves the machines alone, but one of them is not there.
    #[error(
        "{machine} is gone or unfinished, and Terraform's plan does not say that it is made anew; \
         plan again, with a refresh, and apply that"
    )]
    Unplanned {
        /// Which machine.
        machine: String,
    },
    /// A disk cannot become smaller.
    #[error(
        "the disk of {machine} has {is} GiB and cannot shrink to {wanted} GiB; raise disk_gib or replace the cluster"
    )]
    Shrink {
        /// Which machine.
        machine: String,
        /// GiB now.
        is: u32,
        /// GiB wanted.
        wanted: u32,
    },
    /// No Proxmox node can take a machine.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
}

/// The next steps; none when everything is as it should be.
pub(crate) fn plan(target: &Target, seen: &Observed) -> Result<Vec<Step>, Refusal> {
    refuse(target, seen)?;
    let world = World::new(target, seen);
    let missing = machines(target, &world)?;
    let phases = [configure, ready, shrink, change_size];
    let mut all = std::iter::once(missing).chain(phases.iter().map(|phase| phase(target, &world)));
    Ok(all.find(|steps| !steps.is_empty()).unwrap_or_default())
}

/// Everything that a person must decide comes first, before anything is touched.
fn refuse(target: &Target, seen: &Observed) -> Result<(), Refusal> {
    let mut unknown = Vec::new();
    for (vmid, found) in &seen.machines {
        if let Seen::OutOfReach { host } = found {
            return Err(Refusal::HostDown { vmid: *vmid, host: host.clone() });
        }
    }
    for machine in &target.machines {
        match seen.machines.get(&machine.vmid) {
            Some(Seen::Stranger { what, host }) => {
                return Err(Refusal::Stranger {
                    vmid: machine.vmid,
                    host: host.clone(),
                    what: what.clone(),
                    address: machine.address,
                });
            }
            Some(Seen::Ours(ours)) if ours.standing == Standing::Unknown => {
                unknown.push(ours.existing.clone());
            }
            Some(Seen::Ours(ours))
                if ours.standing == Standing::Made
                    && ours.size.disk_gib > machine.size.disk_gib =>
            {
                return Err(Refusal::Shrink {
                    machine: machine.to_string(),
                    is: ours.size.disk_gib,
                    wanted: machine.size.disk_gib,
                });
            }
            Some(Seen::Ours(_) | Seen::OutOfReach { .. }) | None => {}
        }
    }
    if unknown.is_empty() { Ok(()) } else { Err(Refusal::Unknown { machines: unknown }) }
}

/// What was seen, with the consequences that several phases need.
struct World<'a> {
    seen: &'a Observed,
    /// The control plane must be made anew, and with it every machine that had joined the old one.
    reborn: bool,
}

impl<'a> World<'a> {
    fn new(target: &Target, seen: &'a Observed) -> Self {
        let mut world = World { seen, reborn: false };
        let control_plane =
            target.machines.iter().find(|machine| machine.role == Role::ControlPlane);
        world.reborn = control_plane.is_some_and(|machine| world.usable(machine).is_none());
        world
    }

    /// The machine, if it exists and is worth going on with.
    fn usable(&self, machine: &Machine) -> Option<&'a Ours> {
        let ours = self.ours(machine.vmid)?;
        let usable = match ours.standing {
            Standing::Begun => true,
            // It may have joined a control plane that is gone.
            Standing::Made | Standing::Resumed => {
                !self.reborn || self.seen.configured.contains(&machine.vmid)
            }
            Standing::Abandoned | Standing::Unknown => false,
        };
        usable.then_some(ours)
    }

    fn ours(&self, vmid: u32) -> Option<&'a Ours> {
        match self.seen.machines.get(&vmid) {
            Some(Seen::Ours(ours)) => Some(ours),
            Some(Seen::Stranger { .. } | Seen::OutOfReach { .. }) | None => None,
        }
    }

    /// Whether Kubernetes has a node of that name.
    fn registered(&self, name: &NodeName) -> bool {
        matches!(&self.seen.kubernetes, Kubernetes::Nodes(nodes) if nodes.contains_key(name))
    }

    fn is_ready(&self, name: &NodeName) -> bool {
        matches!(&self.seen.kubernetes, Kubernetes::Nodes(nodes) if nodes.get(name) == Some(&true))
    }

    /// Whether the playbook made it a node of this cluster. A registration alone proves nothing
    /// about a machine that is still being made: it may be left over from the one it replaces.
    fn configured(&self, machine: &Machine) -> bool {
        let finished = self.usable(machine).is_some_and(|ours| ours.standing == Standing::Made);
        self.seen.configured.contains(&machine.vmid) || (finished && self.registered(&machine.name))
    }
}

/// Makes what is missing and starts what does not run.
fn machines(target: &Target, world: &World<'_>) -> Result<Vec<Step>, Refusal> {
    let missing: Vec<Machine> =
        target.machines.iter().filter(|machine| world.usable(machine).is_none()).cloned().collect();
    let mut counts = BTreeMap::new();
    for ours in target.machines.iter().filter_map(|machine| world.usable(machine)) {
        *counts.entry(ours.existing.host.clone()).or_default() += 1;
    }
    let mut placements = placement::place(&missing, &world.seen.room, counts)?;
    let mut steps = Vec::new();
    for machine in &target.machines {
        match world.usable(machine) {
            None if target.settled => {
                return Err(Refusal::Unplanned { machine: machine.to_string() });
            }
            None => {
                steps.extend(world.ours(machine.vmid).into_iter().flat_map(remove));
                let placement =
                    placements.remove(&machine.vmid).expect("every missing machine was placed");
                steps.extend(make(machine, placement));
            }
            Some(ours) => steps.extend(start(machine, ours)),
        }
    }
    Ok(steps)
}

/// The whole way of a new machine, from nothing to its first answer.
fn make(machine: &Machine, placement: Placement) -> Vec<Step> {
    let (disk, disk_gib) = (placement.template.disk.clone(), placement.template.disk_gib);
    let mut steps = vec![
        Step::CloneMachine { machine: machine.clone(), placement },
        Step::ConfigureMachine { machine: machine.clone() },
    ];
    if disk_gib < machine.size.disk_gib {
        steps.push(Step::ResizeDisk { machine: machine.clone(), disk });
    }
    steps.push(Step::StartMachine { machine: machine.clone() });
    steps.push(Step::AwaitSsh { machine: machine.clone() });
    steps
}

/// What an existing machine needs to run and answer.
fn start(machine: &Machine, ours: &Ours) -> Vec<Step> {
    let mut steps = Vec::new();
    if !ours.running {
        // A finished machine keeps its network and cloud-init as they are: other values would
        // make cloud-init start over.
        if ours.standing != Standing::Made || cpu_or_memory_differs(machine, ours) {
            steps.push(Step::ConfigureMachine { machine: machine.clone() });
        }
        if ours.size.disk_gib < machine.size.disk_gib {
            steps.push(Step::ResizeDisk { machine: machine.clone(), disk: ours.disk.clone() });
        }
        steps.push(Step::StartMachine { machine: machine.clone() });
    }
    if !ours.running || !ours.pinned {
        steps.push(Step::AwaitSsh { machine: machine.clone() });
    }
    steps
}

/// Takes a machine away. What was never finished goes in one step.
fn remove(ours: &Ours) -> Vec<Step> {
    let existing = &ours.existing;
    match (ours.standing, ours.running) {
        (Standing::Abandoned, _) => vec![Step::RemoveUnfinished(existing.clone())],
        (_, true) => {
            vec![Step::StopMachine(existing.clone()), Step::DestroyMachine(existing.clone())]
        }
        (_, false) => vec![Step::DestroyMachine(existing.clone())],
    }
}

/// Makes nodes of machines that are none yet. The role lets a new machine take the place of an old
/// node of its name.
fn configure(target: &Target, world: &World<'_>) -> Vec<Step> {
    let needed = target.machines.iter().filter(|machine| !world.configured(machine));
    let nodes: Vec<NodeName> = needed.map(|machine| machine.name.clone()).collect();
    if nodes.is_empty() { Vec::new() } else { vec![Step::RunPlaybook { nodes }] }
}

fn ready(target: &Target, world: &World<'_>) -> Vec<Step> {
    let waiting = target.machines.iter().filter(|machine| !world.is_ready(&machine.name));
    let nodes: Vec<NodeName> = waiting.map(|machine| machine.name.clone()).collect();
    if !nodes.is_empty() {
        return vec![Step::AwaitReady { nodes }];
    }
    let unmarked = target.machines.iter().filter(|machine| {
        world.usable(machine).is_some_and(|ours| ours.standing != Standing::Made)
    });
    unmarked.map(|machine| Step::MarkMade { machine: machine.clone() }).collect()
}

/// Removes machines that should not be, when the rest is ready: nodes are drained first, highest
/// index first. A destroy aims at no machine at all, so it comes here at once and drains nothing.
fn shrink(target: &Target, world: &World<'_>) -> Vec<Step> {
    let surplus = || {
        let others =
            world.seen.machines.keys().rev().filter(|vmid| target.machine(**vmid).is_none());
        others
            .filter_map(|vmid| world.ours(*vmid))
            .filter(|ours| ours.standing != Standing::Unknown)
    };
    let registered =
        surplus().map(|ours| &ours.existing.name).filter(|name| world.registered(name));
    let nodes: Vec<NodeName> = registered.cloned().collect();
    if !nodes.is_empty() && !target.machines.is_empty() {
        return vec![Step::DrainNodes { nodes }];
    }
    surplus().flat_map(remove).collect()
}

/// Changes the size of one running machine. Only reached when everything else is right and ready, so
/// that never more than one node is down.
fn change_size(target: &Target, world: &World<'_>) -> Vec<Step> {
    let differing = target.machines.iter().find_map(|machine| {
        let ours = world.usable(machine)?;
        let differs =
            cpu_or_memory_differs(machine, ours) || ours.size.disk_gib < machine.size.disk_gib;
        differs.then_some((machine, ours))
    });
    let Some((machine, ours)) = differing else { return Vec::new() };
    let mut steps = vec![Step::ShutDownMachine { machine: machine.clone(), from: ours.size }];
    steps.extend(start(machine, &Ours { running: false, ..ours.clone() }));
    steps
}

fn cpu_or_memory_differs(machine: &Machine, ours: &Ours) -> bool {
    (machine.size.cores, machine.size.memory_mib) != (ours.size.cores, ours.size.memory_mib)
}

#[cfg(test)]
mod tests;
