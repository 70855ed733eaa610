use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

/// One control plane and two workers on a lease of six: a spec without problems.
fn demo() -> ClusterSpec {
    let size = MachineSize { cores: 2, memory_mib: 4096, disk_gib: 20 };
    ClusterSpec {
        name: "demo".parse().unwrap(),
        leases: vec![lease("demo", [10, 40, 19, 201], 6, 19201)],
        template: "ubuntu-24.04-k8s-1.36".parse().unwrap(),
        kubernetes_version: "1.36.4".parse().unwrap(),
        network: MachineNetwork {
            bridge: "vmbr0".parse().unwrap(),
            vlan: Some(119.try_into().unwrap()),
        },
        control_plane: size,
        workers: Workers { count: 2, size },
        storage: None,
        clone: CloneMode::Linked,
        proxmox_nodes: vec![],
        proxmox_pool: None,
        pod_cidr: DEFAULT_POD_CIDR.parse().unwrap(),
        service_cidr: DEFAULT_SERVICE_CIDR.parse().unwrap(),
        package_mirror: None,
        registry_mirror: None,
        ssh_user: DEFAULT_SSH_USER.parse().unwrap(),
    }
}

fn lease(name: &str, first: [u8; 4], count: u32, first_vmid: u32) -> Lease {
    let range = AddressRange::starting_at(Ipv4Addr::from(first), count).unwrap();
    Lease {
        name: name.parse().unwrap(),
        pool: "lab".parse().unwrap(),
        transaction: Transaction::from_bits(7),
        addresses: range.addresses().collect(),
        prefix_length: 24,
        gateway: Ipv4Addr::new(10, 40, 19, 254),
        nameservers: vec![Ipv4Addr::new(10, 40, 19, 254)],
        first_vmid,
    }
}

fn problems(spec: &ClusterSpec) -> String {
    spec.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn machines_take_the_lowest_addresses_control_plane_first() {
    let machines = demo()
        .machines()
        .iter()
        .map(|m| format!("{} {} {} {}", m.name, m.role, m.address, m.vmid))
        .collect::<Vec<_>>()
        .join("\n");
    insta::assert_snapshot!(machines, @r"
    demo-cp-1 control-plane 10.40.19.201 19201
    demo-worker-1 worker 10.40.19.202 19202
    demo-worker-2 worker 10.40.19.203 19203
    ");
    assert_eq!(demo().api_endpoint().as_deref(), Some("10.40.19.201:6443"));
}

#[test]
fn a_second_lease_is_used_when_the_first_is_full() {
    let mut spec = demo();
    spec.leases = vec![
        lease("demo", [10, 40, 19, 201], 2, 19201),
        lease("more", [10, 40, 19, 230], 4, 19230),
    ];
    spec.workers.count = 3;
    assert_eq!(problems(&spec), "");
    let last = spec.machines().pop().unwrap();
    assert_eq!((last.name.as_str(), last.vmid, last.lease), ("demo-worker-3", 19231, 1));
}

#[test]
fn every_problem_is_reported_at_once_with_its_path() {
    let mut spec = demo();
    spec.control_plane = MachineSize { cores: 1, memory_mib: 1024, disk_gib: 4 };
    spec.workers.count = 9;
    spec.pod_cidr = "10.40.0.0/16".parse().unwrap();
    spec.service_cidr = "10.40.128.0/17".parse().unwrap();
    spec.proxmox_nodes = vec!["pve1".parse().unwrap(), "pve1".parse().unwrap()];
    spec.leases.push(spec.leases[0].clone());
    spec.leases[1].name = "twin".parse().unwrap();
    spec.leases[1].gateway = Ipv4Addr::new(10, 40, 20, 254);
    spec.leases[1].addresses.truncate(1);
    insta::assert_snapshot!(problems(&spec), @r"
    leases[1]: lease lab/twin shares a VMID with an earlier lease
    leases[1].gateway: 10.40.20.254 lies outside the network 10.40.19.0/24
    control_plane.cores: 1 is too little: at least 2
    control_plane.memory_mib: 1024 is too little: at least 1700
    control_plane.disk_gib: 4 is too little: at least 8
    workers.count: 1 control plane and 9 workers need 10 addresses, but the leases hold 7; lower the count or add a second lease
    proxmox_nodes[1]: pve1 is given twice
    service_cidr: 10.40.128.0/17 overlaps the pod network 10.40.0.0/16
    pod_cidr: 10.40.0.0/16 overlaps 10.40.19.0/24, the network of lease lab/demo
    ");
}

#[test]
fn a_lease_that_was_written_by_hand_is_held_to_what_a_lease_is() {
    let mut spec = demo();
    spec.leases.clear();
    assert!(
        problems(&spec)
            .starts_with("leases: at least one lease is needed: the machines have no addresses")
    );
    let with = |change: &dyn Fn(&mut Lease)| {
        let mut spec = demo();
        change(&mut spec.leases[0]);
        problems(&spec)
    };
    let none = with(&|lease| lease.addresses.clear());
    assert!(
        none.starts_with("leases[0]: it has no addresses, or no valid prefix length"),
        "{none}"
    );
    let gap = with(&|lease| {
        lease.addresses.remove(2);
    });
    assert_eq!(gap, "leases[0].addresses: the addresses are not in a row");
    let gateway = with(&|lease| lease.gateway = lease.addresses[1]);
    assert_eq!(gateway, "leases[0].gateway: 10.40.19.202 is also one of the lease's addresses");
    let numbers = with(&|lease| lease.first_vmid = 99);
    assert_eq!(numbers, "leases[0].first_vmid: VMIDs 99 to 104 are not all from 100 to 999999999");

    let mut spec = demo();
    spec.leases.push(spec.leases[0].clone());
    assert!(problems(&spec).starts_with("leases[1]: lease lab/demo is given twice"));
    let mut spec = demo();
    spec.service_cidr = "10.96.0.0/29".parse().unwrap();
    assert_eq!(problems(&spec), "service_cidr: 10.96.0.0/29 should be between a /8 and a /28");
}

#[test]
fn a_pod_network_must_hold_every_node() {
    let mut spec = demo();
    spec.pod_cidr = "10.244.0.0/23".parse().unwrap();
    insta::assert_snapshot!(problems(&spec), @"pod_cidr: 10.244.0.0/23 has room for 2 nodes (each takes a /24), but 3 are wanted");
}

#[test]
fn a_spec_survives_being_written_and_read() {
    let text = serde_json::to_string(&demo()).unwrap();
    assert_eq!(serde_json::from_str::<ClusterSpec>(&text).unwrap(), demo());
}

proptest! {
    #[test]
    fn machines_never_share_anything_and_never_move(
        counts in prop::collection::vec(1u32..12, 1..4),
        workers in 0u32..30,
    ) {
        let mut spec = demo();
        spec.leases = counts
            .iter()
            .zip(0u8..)
            .map(|(count, i)| lease(&format!("l{i}"), [10, 40, 19, 1 + 20 * i], *count, 19001 + 20 * u32::from(i)))
            .collect();
        spec.workers.count = workers;
        let machines = spec.machines();
        let room: u32 = counts.iter().sum();
        prop_assert_eq!(machines.len(), room.min(1 + workers) as usize);

        let distinct: BTreeSet<_> = machines.iter().map(|m| (m.address, m.vmid)).collect();
        prop_assert_eq!(distinct.len(), machines.len());
        let names: BTreeSet<_> = machines.iter().map(|m| m.name.clone()).collect();
        prop_assert_eq!(names.len(), machines.len());

        let lacks_room = spec.problems().iter().any(|p| p.path == "workers.count");
        prop_assert_eq!(lacks_room, 1 + workers > room);

        spec.workers.count += 1;
        prop_assert_eq!(&spec.machines()[..machines.len()], &machines[..]);
    }
}
