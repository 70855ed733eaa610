//! Plans as people read them, and the two laws: a converge ends, and it may be stopped anywhere.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use kubesmith_spec::MachineSize;
use proptest::prelude::*;

use super::super::placement::{Host, Room, Template};
use super::super::step::Existing;
use super::*;

const CORES: u32 = 2;

fn target(workers: u32) -> Target {
    let machine = |name: String, role, offset: u32| Machine {
        name: NodeName::parse(&name).unwrap(),
        role,
        address: Ipv4Addr::new(10, 40, 19, 201 + u8::try_from(offset).unwrap()),
        vmid: 19201 + offset,
        lease: 0,
        size: MachineSize { cores: CORES, memory_mib: 4096, disk_gib: 20 },
    };
    let first = machine("demo-cp-1".into(), Role::ControlPlane, 0);
    let others =
        (1..=workers).map(|index| machine(format!("demo-worker-{index}"), Role::Worker, index));
    Target { machines: std::iter::once(first).chain(others).collect(), settled: false }
}

fn room() -> Room {
    let host = |name: &str, free| Host { name: name.into(), free_mib: Some(free) };
    let template = Template {
        vmid: 9000,
        name: "ubuntu".into(),
        host: "pve1".into(),
        shared: true,
        disk: "scsi0".into(),
        storage: "shared".into(),
        disk_gib: 4,
    };
    Room { hosts: vec![host("pve1", 8000), host("pve2", 16000)], templates: vec![template] }
}

fn ours(machine: &Machine, standing: Standing) -> Seen {
    Seen::Ours(Ours {
        existing: Existing { name: machine.name.clone(), vmid: machine.vmid, host: "pve1".into() },
        standing,
        running: true,
        pinned: true,
        size: machine.size,
        disk: "scsi0".into(),
    })
}

/// A finished, healthy cluster.
fn healthy(target: &Target) -> Observed {
    Observed {
        machines: target.machines.iter().map(|m| (m.vmid, ours(m, Standing::Made))).collect(),
        kubernetes: Kubernetes::Nodes(
            target.machines.iter().map(|m| (m.name.clone(), true)).collect(),
        ),
        configured: BTreeSet::new(),
        room: room(),
    }
}

fn edit(seen: &mut Observed, vmid: u32, change: impl FnOnce(&mut Ours)) {
    match seen.machines.get_mut(&vmid) {
        Some(Seen::Ours(ours)) => change(ours),
        other => panic!("VM {vmid} is {other:?}"),
    }
}

/// What each step does to the world.
fn perform(step: &Step, seen: &mut Observed) {
    let ready = |seen: &mut Observed, name: &NodeName, is: Option<bool>| {
        if let Kubernetes::Nodes(nodes) = &mut seen.kubernetes {
            match is {
                Some(is) => drop(nodes.insert(name.clone(), is)),
                None => drop(nodes.remove(name)),
            }
        }
    };
    match step {
        Step::CloneMachine { machine, placement } => {
            let fresh = Ours {
                existing: Existing {
                    name: machine.name.clone(),
                    vmid: machine.vmid,
                    host: placement.host.clone(),
                },
                standing: Standing::Begun,
                running: false,
                pinned: false,
                size: MachineSize {
                    cores: 1,
                    memory_mib: 512,
                    disk_gib: placement.template.disk_gib,
                },
                disk: "scsi0".into(),
            };
            assert!(
                seen.machines.insert(machine.vmid, Seen::Ours(fresh)).is_none(),
                "{step} over another VM"
            );
        }
        Step::ConfigureMachine { machine } => edit(seen, machine.vmid, |ours| {
            assert!(!ours.running, "{step} while it runs");
            ours.size = MachineSize { disk_gib: ours.size.disk_gib, ..machine.size };
        }),
        Step::ResizeDisk { machine, .. } => {
            edit(seen, machine.vmid, |ours| ours.size.disk_gib = machine.size.disk_gib);
        }
        Step::StartMachine { machine } => edit(seen, machine.vmid, |ours| ours.running = true),
        Step::AwaitSsh { machine } => edit(seen, machine.vmid, |ours| {
            assert!(ours.running, "{step} while it is off");
            ours.pinned = true;
        }),
        Step::RunPlaybook { nodes } => {
            if !matches!(seen.kubernetes, Kubernetes::Nodes(_)) {
                let all = seen.machines.values().filter_map(|seen| match seen {
                    Seen::Ours(ours) => Some((ours.existing.name.clone(), true)),
                    Seen::Stranger { .. } | Seen::OutOfReach { .. } => None,
                });
                seen.kubernetes = Kubernetes::Nodes(all.collect());
            }
            for (vmid, machine) in &seen.machines {
                if matches!(machine, Seen::Ours(ours) if nodes.contains(&ours.existing.name)) {
                    seen.configured.insert(*vmid);
                }
            }
            for name in nodes {
                ready(seen, name, Some(false));
            }
        }
        Step::AwaitReady { nodes } => nodes.iter().for_each(|name| ready(seen, name, Some(true))),
        Step::MarkMade { machine } => {
            edit(seen, machine.vmid, |ours| ours.standing = Standing::Made);
        }
        Step::DrainNodes { nodes } => nodes.iter().for_each(|name| ready(seen, name, None)),
        Step::ShutDownMachine { machine, .. } => {
            edit(seen, machine.vmid, |ours| ours.running = false);
            ready(seen, &machine.name, Some(false));
        }
        Step::StopMachine(existing) => edit(seen, existing.vmid, |ours| ours.running = false),
        Step::DestroyMachine(existing) | Step::RemoveUnfinished(existing) => {
            if matches!(step, Step::DestroyMachine(_)) {
                edit(seen, existing.vmid, |ours| assert!(!ours.running, "{step} while it runs"));
            }
            seen.machines.remove(&existing.vmid);
            if existing.name.as_str().ends_with("-cp-1") && seen.kubernetes != Kubernetes::NotAsked
            {
                seen.kubernetes = Kubernetes::Unreachable("connection refused".into());
            }
        }
    }
}

/// Converges; `stop` ends it after that many steps. Returns the steps that were done.
fn converge(target: &Target, seen: &mut Observed, stop: usize) -> Vec<Step> {
    let mut done = Vec::new();
    for _round in 0..30 {
        let steps = plan(target, seen).unwrap();
        if steps.is_empty() {
            return done;
        }
        for step in steps {
            if done.len() == stop {
                return done;
            }
            perform(&step, seen);
            done.push(step);
        }
    }
    panic!("it does not end: {}", text(&done));
}

/// The run is killed: what only it knew is lost. `key` says whether the state was kept.
fn kill(seen: &mut Observed, key: bool) {
    seen.configured.clear();
    for machine in seen.machines.values_mut() {
        if let Seen::Ours(ours) = machine {
            ours.standing = match ours.standing {
                Standing::Begun | Standing::Resumed if key && ours.pinned => Standing::Resumed,
                Standing::Begun | Standing::Resumed => Standing::Abandoned,
                other => other,
            };
        }
    }
    if !key {
        seen.kubernetes = Kubernetes::NotAsked;
    }
}

fn text(steps: &[Step]) -> String {
    steps.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn whole(target: &Target, mut seen: Observed) -> String {
    text(&converge(target, &mut seen, usize::MAX))
}

#[test]
fn a_create() {
    let seen = Observed { room: room(), ..Observed::default() };
    insta::assert_snapshot!(whole(&target(1), seen), @"
    clone demo-cp-1 (VM 19201) from ubuntu (VM 9000) to pve2
    configure demo-cp-1 (VM 19201): 2 cores, 4096 MiB, 10.40.19.201
    grow disk scsi0 of demo-cp-1 (VM 19201) to 20 GiB
    start demo-cp-1 (VM 19201)
    wait for SSH on demo-cp-1 (10.40.19.201)
    clone demo-worker-1 (VM 19202) from ubuntu (VM 9000) to pve1
    configure demo-worker-1 (VM 19202): 2 cores, 4096 MiB, 10.40.19.202
    grow disk scsi0 of demo-worker-1 (VM 19202) to 20 GiB
    start demo-worker-1 (VM 19202)
    wait for SSH on demo-worker-1 (10.40.19.202)
    configure Kubernetes on demo-cp-1, demo-worker-1
    wait until ready: demo-cp-1, demo-worker-1
    mark demo-cp-1 (VM 19201) as finished
    mark demo-worker-1 (VM 19202) as finished
    ");
}

#[test]
fn a_destroy_drains_nothing_and_leaves_strangers_alone() {
    let mut seen = healthy(&target(1));
    seen.machines
        .insert(19204, Seen::Stranger { what: "a web server".into(), host: "pve2".into() });
    insta::assert_snapshot!(whole(&Target::nothing(), seen), @"
    stop demo-worker-1 (VM 19202 on pve1)
    destroy demo-worker-1 (VM 19202 on pve1)
    stop demo-cp-1 (VM 19201 on pve1)
    destroy demo-cp-1 (VM 19201 on pve1)
    ");
}

#[test]
fn one_worker_more() {
    let mut seen = healthy(&target(1));
    seen.room = room();
    insta::assert_snapshot!(whole(&target(2), seen), @"
    clone demo-worker-2 (VM 19203) from ubuntu (VM 9000) to pve2
    configure demo-worker-2 (VM 19203): 2 cores, 4096 MiB, 10.40.19.203
    grow disk scsi0 of demo-worker-2 (VM 19203) to 20 GiB
    start demo-worker-2 (VM 19203)
    wait for SSH on demo-worker-2 (10.40.19.203)
    configure Kubernetes on demo-worker-2
    wait until ready: demo-worker-2
    mark demo-worker-2 (VM 19203) as finished
    ");
}

#[test]
fn two_workers_fewer() {
    insta::assert_snapshot!(whole(&target(1), healthy(&target(3))), @"
    drain and remove from Kubernetes: demo-worker-3, demo-worker-2
    stop demo-worker-3 (VM 19204 on pve1)
    destroy demo-worker-3 (VM 19204 on pve1)
    stop demo-worker-2 (VM 19203 on pve1)
    destroy demo-worker-2 (VM 19203 on pve1)
    ");
}

#[test]
fn a_lost_worker_is_made_again_and_joins_anew() {
    let mut seen = healthy(&target(2));
    seen.machines.remove(&19202);
    insta::assert_snapshot!(whole(&target(2), seen), @"
    clone demo-worker-1 (VM 19202) from ubuntu (VM 9000) to pve2
    configure demo-worker-1 (VM 19202): 2 cores, 4096 MiB, 10.40.19.202
    grow disk scsi0 of demo-worker-1 (VM 19202) to 20 GiB
    start demo-worker-1 (VM 19202)
    wait for SSH on demo-worker-1 (10.40.19.202)
    configure Kubernetes on demo-worker-1
    wait until ready: demo-worker-1
    mark demo-worker-1 (VM 19202) as finished
    ");
}

#[test]
fn a_stopped_worker_is_started() {
    let mut seen = healthy(&target(1));
    edit(&mut seen, 19202, |ours| ours.running = false);
    seen.kubernetes = Kubernetes::Nodes(
        [("demo-cp-1", true), ("demo-worker-1", false)]
            .map(|(n, r)| (NodeName::parse(n).unwrap(), r))
            .into(),
    );
    insta::assert_snapshot!(whole(&target(1), seen), @"
    start demo-worker-1 (VM 19202)
    wait for SSH on demo-worker-1 (10.40.19.202)
    wait until ready: demo-worker-1
    ");
}

#[test]
fn a_lost_control_plane_takes_the_cluster_with_it() {
    let mut seen = healthy(&target(1));
    seen.machines.remove(&19201);
    seen.kubernetes = Kubernetes::Unreachable("no route to host".into());
    insta::assert_snapshot!(whole(&target(1), seen), @"
    clone demo-cp-1 (VM 19201) from ubuntu (VM 9000) to pve2
    configure demo-cp-1 (VM 19201): 2 cores, 4096 MiB, 10.40.19.201
    grow disk scsi0 of demo-cp-1 (VM 19201) to 20 GiB
    start demo-cp-1 (VM 19201)
    wait for SSH on demo-cp-1 (10.40.19.201)
    stop demo-worker-1 (VM 19202 on pve1)
    destroy demo-worker-1 (VM 19202 on pve1)
    clone demo-worker-1 (VM 19202) from ubuntu (VM 9000) to pve1
    configure demo-worker-1 (VM 19202): 2 cores, 4096 MiB, 10.40.19.202
    grow disk scsi0 of demo-worker-1 (VM 19202) to 20 GiB
    start demo-worker-1 (VM 19202)
    wait for SSH on demo-worker-1 (10.40.19.202)
    configure Kubernetes on demo-cp-1, demo-worker-1
    wait until ready: demo-cp-1, demo-worker-1
    mark demo-cp-1 (VM 19201) as finished
    mark demo-worker-1 (VM 19202) as finished
    ");
}

#[test]
fn sizes_change_one_machine_at_a_time() {
    let seen = healthy(&target(1));
    let mut target = target(1);
    for machine in &mut target.machines {
        machine.size = MachineSize { cores: 4, memory_mib: 8192, disk_gib: 40 };
    }
    insta::assert_snapshot!(whole(&target, seen), @"
    shut down demo-cp-1 (VM 19201) to change its size from 2 cores, 4096 MiB, 20 GiB
    configure demo-cp-1 (VM 19201): 4 cores, 8192 MiB, 10.40.19.201
    grow disk scsi0 of demo-cp-1 (VM 19201) to 40 GiB
    start demo-cp-1 (VM 19201)
    wait for SSH on demo-cp-1 (10.40.19.201)
    wait until ready: demo-cp-1
    shut down demo-worker-1 (VM 19202) to change its size from 2 cores, 4096 MiB, 20 GiB
    configure demo-worker-1 (VM 19202): 4 cores, 8192 MiB, 10.40.19.202
    grow disk scsi0 of demo-worker-1 (VM 19202) to 40 GiB
    start demo-worker-1 (VM 19202)
    wait for SSH on demo-worker-1 (10.40.19.202)
    wait until ready: demo-worker-1
    ");
}

#[test]
fn a_killed_create_without_state_is_made_again() {
    let mut seen = Observed { room: room(), ..Observed::default() };
    converge(&target(1), &mut seen, 5);
    kill(&mut seen, false);
    insta::assert_snapshot!(text(&plan(&target(1), &seen).unwrap()), @"
    remove unfinished demo-cp-1 (VM 19201 on pve2)
    clone demo-cp-1 (VM 19201) from ubuntu (VM 9000) to pve2
    configure demo-cp-1 (VM 19201): 2 cores, 4096 MiB, 10.40.19.201
    grow disk scsi0 of demo-cp-1 (VM 19201) to 20 GiB
    start demo-cp-1 (VM 19201)
    wait for SSH on demo-cp-1 (10.40.19.201)
    clone demo-worker-1 (VM 19202) from ubuntu (VM 9000) to pve1
    configure demo-worker-1 (VM 19202): 2 cores, 4096 MiB, 10.40.19.202
    grow disk scsi0 of demo-worker-1 (VM 19202) to 20 GiB
    start demo-worker-1 (VM 19202)
    wait for SSH on demo-worker-1 (10.40.19.202)
    ");
}

#[test]
fn a_failed_create_that_kept_its_key_goes_on_where_it_stopped() {
    let mut seen = Observed { room: room(), ..Observed::default() };
    converge(&target(1), &mut seen, 10);
    kill(&mut seen, true);
    insta::assert_snapshot!(text(&plan(&target(1), &seen).unwrap()), @"configure Kubernetes on demo-cp-1, demo-worker-1");
}

#[test]
fn a_machine_that_the_user_was_told_stays_is_not_made_anew_unasked() {
    let target = Target { settled: true, ..target(1) };
    let mut seen = healthy(&target);
    assert_eq!(plan(&target, &seen), Ok(Vec::new()));
    edit(&mut seen, 19202, |worker| worker.running = false);
    assert!(text(&plan(&target, &seen).unwrap()).contains("start demo-worker-1"));
    seen.machines.remove(&19202);
    let refused = plan(&target, &seen).unwrap_err().to_string();
    assert!(refused.starts_with("demo-worker-1 (VM 19202)"), "{refused}");
    assert!(refused.contains("is gone or unfinished, and Terraform's plan"), "{refused}");
}

#[test]
fn nothing_is_planned_while_something_is_in_the_way() {
    let mut seen = healthy(&target(1));
    edit(&mut seen, 19202, |ours| ours.standing = Standing::Unknown);
    insta::assert_snapshot!(plan(&target(1), &seen).unwrap_err(), @"there are finished machines of this cluster that this Terraform state does not know: demo-worker-1 (VM 19202 on pve1); nothing was changed. To keep them, import the cluster with its SSH key: KUBESMITH_IMPORT_SSH_KEY_FILE=<private key> terraform import <resource address> <cluster name>. To start afresh, remove them with `terraform-provider-kubesmith orphans --remove --cluster <cluster name>` and apply again");

    seen.machines.insert(19201, Seen::Stranger { what: "named web1".into(), host: "pve2".into() });
    insta::assert_snapshot!(plan(&target(1), &seen).unwrap_err(), @"VM 19201 on pve2, named web1, is not a machine of this cluster, but its VMID belongs to the leased address 10.40.19.201; nothing was changed: remove or renumber that VM, or exclude the address from the pool and take a new lease");

    let mut seen = healthy(&target(0));
    edit(&mut seen, 19201, |ours| ours.size.disk_gib = 64);
    insta::assert_snapshot!(plan(&target(0), &seen).unwrap_err(), @"the disk of demo-cp-1 (VM 19201) has 64 GiB and cannot shrink to 20 GiB; raise disk_gib or replace the cluster");
}

fn machine() -> impl Strategy<Value = Option<(Standing, bool, bool, MachineSize)>> {
    let standing = prop_oneof![
        3 => Just(Standing::Made),
        1 => Just(Standing::Begun),
        1 => Just(Standing::Resumed),
        1 => Just(Standing::Abandoned),
    ];
    let size = (1..5u32, 1..20u32).prop_map(|(cores, disk_gib)| MachineSize {
        cores,
        memory_mib: 4096,
        disk_gib,
    });
    prop::option::weighted(0.8, (standing, any::<bool>(), any::<bool>(), size))
}

prop_compose! {
    /// Any world: machines in any condition, Kubernetes silent or with any nodes.
    fn world()(
        machines in prop::collection::vec(machine(), 5),
        nodes in prop::collection::vec(prop::option::of(any::<bool>()), 5),
        kubernetes in 0..3,
    ) -> Observed {
        let all = target(4).machines;
        let seen = all.iter().zip(machines).filter_map(|(machine, state)| {
            let (standing, running, pinned, size) = state?;
            let mut seen = Observed { machines: [(machine.vmid, ours(machine, standing))].into(), ..Observed::default() };
            edit(&mut seen, machine.vmid, |ours| {
                (ours.running, ours.size) = (running, size);
                ours.pinned = pinned || standing == Standing::Resumed;
            });
            seen.machines.pop_first()
        });
        let machines: BTreeMap<u32, Seen> = seen.collect();
        let nodes = all.iter().zip(nodes).filter_map(|(machine, ready)| Some((machine.name.clone(), ready?)));
        let alive = machines.contains_key(&19201);
        let kubernetes = match kubernetes {
            0 => Kubernetes::NotAsked,
            1 if alive => Kubernetes::Nodes(nodes.collect()),
            _ => Kubernetes::Unreachable("connection refused".into()),
        };
        Observed { machines, kubernetes, configured: BTreeSet::new(), room: room() }
    }
}

fn is_whole(target: &Target, seen: &Observed) -> bool {
    let expected: BTreeSet<u32> = target.machines.iter().map(|machine| machine.vmid).collect();
    let is: BTreeSet<u32> = seen.machines.keys().copied().collect();
    expected == is
        && target.machines.iter().all(|machine| {
            let Some(Seen::Ours(ours)) = seen.machines.get(&machine.vmid) else { return false };
            ours.standing == Standing::Made
                && ours.running
                && ours.pinned
                && ours.size == machine.size
        })
}

proptest! {
    #[test]
    fn every_world_converges_and_planning_again_gives_nothing(mut seen in world(), workers in 0u32..5, destroy: bool) {
        let target = if destroy { Target::nothing() } else { target(workers) };
        converge(&target, &mut seen, usize::MAX);
        prop_assert!(is_whole(&target, &seen), "{seen:?}");
        prop_assert_eq!(plan(&target, &seen).unwrap(), vec![]);
    }

    #[test]
    fn a_converge_stopped_after_any_step_ends_the_same_when_it_is_taken_up_again(
        mut seen in world(), workers in 0u32..5, stop in 0usize..40, key: bool,
    ) {
        // Without its key a state has no finished machines either; see the refusal.
        if !key {
            seen = Observed { room: room(), ..Observed::default() };
        }
        converge(&target(workers), &mut seen, stop);
        let finished = seen.machines.values().any(|s| matches!(s, Seen::Ours(o) if o.standing == Standing::Made));
        kill(&mut seen, key || finished);
        converge(&target(workers), &mut seen, usize::MAX);
        prop_assert!(is_whole(&target(workers), &seen), "{seen:?}");
    }

    #[test]
    fn growing_never_touches_the_machines_that_are_there(workers in 0u32..3, more in 1u32..3) {
        let before = target(workers);
        let mut seen = healthy(&before);
        for step in converge(&target(workers + more), &mut seen, usize::MAX) {
            let touches = step.machine().is_some_and(|(_, vmid)| before.machine(vmid).is_some());
            prop_assert!(!touches, "{step}");
        }
    }
}
