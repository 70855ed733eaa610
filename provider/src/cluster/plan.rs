//! PURE: what to do next, decided from what should be and what is. No clock, no network, no chance.
//!
//! Returns the steps of the earliest unfinished phase. A machine's own steps, from clone to first SSH
//! answer, are one chain, because machines do not wait for each other until Ansible needs them all.
//! Planning again after a converge gives nothing, and a converge may stop after any step.

mod observed;
mod refusal;

use std::collections::BTreeMap;

use kubesmith_spec::{NodeName, Role};

use super::placement::{self, Placement};
use super::step::Step;
use super::target::{Machine, Target};

pub(crate) use self::observed::{Kubernetes, Observed, Ours, Seen, Standing};
pub(crate) use self::refusal::Refusal;

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
