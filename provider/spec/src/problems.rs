//! Everything that is wrong with a spec, found at once and without asking anyone.

use std::collections::BTreeSet;
use std::fmt;

use crate::{Cidr, ClusterSpec, Lease, MachineSize};

/// Every node gets a network of this size out of the pod network.
const NODE_POD_PREFIX: u8 = 24;
/// Proxmox's VMIDs end here.
const LAST_VMID: u64 = 999_999_999;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field, as HCL writes it: `control_plane.cores`, `leases[1].gateway`.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl MachineSize {
    /// The least that kubeadm accepts for a control plane.
    pub const CONTROL_PLANE_MINIMUM: Self = Self { cores: 2, memory_mib: 1700, disk_gib: 8 };
    /// The least on which a kubelet and a container runtime live.
    pub const WORKER_MINIMUM: Self = Self { cores: 1, memory_mib: 1024, disk_gib: 8 };

    /// The fields that are smaller than these, each with what is wrong.
    pub fn below(self, minimum: Self) -> Vec<(&'static str, String)> {
        let Self { cores, memory_mib, disk_gib } = self;
        let fields = [
            ("cores", cores, minimum.cores),
            ("memory_mib", memory_mib, minimum.memory_mib),
            ("disk_gib", disk_gib, minimum.disk_gib),
        ];
        let below = fields.into_iter().filter(|(_, value, least)| value < least);
        below
            .map(|(field, value, least)| {
                let message = format!("{value} is too little: at least {least}");
                (field, message)
            })
            .collect()
    }
}

impl ClusterSpec {
    /// Every problem of the spec, in the order of its fields; empty if it can be built.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Found(Vec::new());
        self.check_leases(&mut found);
        self.check_sizes(&mut found);
        self.check_room(&mut found);
        self.check_proxmox_nodes(&mut found);
        self.check_networks(&mut found);
        found.0
    }

    fn check_leases(&self, found: &mut Found) {
        if self.leases.is_empty() {
            found.add("leases", "at least one lease is needed: the machines have no addresses");
        }
        let mut names = BTreeSet::new();
        let mut vmids = BTreeSet::new();
        for (i, lease) in self.leases.iter().enumerate() {
            if !names.insert(lease.id()) {
                found.add(format!("leases[{i}]"), format!("lease {} is given twice", lease.id()));
            } else if lease.places().any(|(_, vmid)| !vmids.insert(vmid)) {
                let message = format!("lease {} shares a VMID with an earlier lease", lease.id());
                found.add(format!("leases[{i}]"), message);
            }
            check_lease(lease, i, found);
        }
    }

    fn check_sizes(&self, found: &mut Found) {
        for (field, message) in self.control_plane.below(MachineSize::CONTROL_PLANE_MINIMUM) {
            found.add(format!("control_plane.{field}"), message);
        }
        if self.workers.count > 0 {
            for (field, message) in self.workers.size.below(MachineSize::WORKER_MINIMUM) {
                found.add(format!("workers.{field}"), message);
            }
        }
    }

    fn check_room(&self, found: &mut Found) {
        let wanted = self.machine_count();
        let held: u64 = self.leases.iter().map(|lease| lease.addresses.len() as u64).sum();
        if wanted > held && !self.leases.is_empty() {
            found.add(
                "workers.count",
                format!(
                    "1 control plane and {} workers need {wanted} addresses, but the leases hold {held}; \
                     lower the count or add a second lease",
                    self.workers.count
                ),
            );
        }
    }

    fn check_proxmox_nodes(&self, found: &mut Found) {
        let mut seen = BTreeSet::new();
        for (i, node) in self.proxmox_nodes.iter().enumerate() {
            if !seen.insert(node) {
                found.add(format!("proxmox_nodes[{i}]"), format!("{node} is given twice"));
            }
        }
    }

    fn check_networks(&self, found: &mut Found) {
        if self.pod_cidr.overlaps(self.service_cidr) {
            found.add(
                "service_cidr",
                format!("{} overlaps the pod network {}", self.service_cidr, self.pod_cidr),
            );
        }
        for (path, cidr) in [("pod_cidr", self.pod_cidr), ("service_cidr", self.service_cidr)] {
            let overlapping =
                self.leases.iter().find(|lease| lease.network().is_some_and(|n| n.overlaps(cidr)));
            if let Some((lease, network)) = overlapping.and_then(|l| Some((l, l.network()?))) {
                let id = lease.id();
                let message = format!("{cidr} overlaps {network}, the network of lease {id}");
                found.add(path, message);
            }
        }
        if pod_networks(self.pod_cidr) < self.machine_count() {
            found.add(
                "pod_cidr",
                format!(
                    "{} has room for {} nodes (each takes a /{NODE_POD_PREFIX}), but {} are wanted",
                    self.pod_cidr,
                    pod_networks(self.pod_cidr),
                    self.machine_count()
                ),
            );
        }
        if !(8..=28).contains(&self.service_cidr.prefix_length()) {
            let message = format!("{} should be between a /8 and a /28", self.service_cidr);
            found.add("service_cidr", message);
        }
    }
}

fn check_lease(lease: &Lease, i: usize, found: &mut Found) {
    let Some(network) = lease.network() else {
        found.add(format!("leases[{i}]"), "it has no addresses, or no valid prefix length");
        return;
    };
    let contiguous = lease
        .addresses
        .windows(2)
        .all(|pair| pair[0].to_bits().checked_add(1) == Some(pair[1].to_bits()));
    if !contiguous {
        found.add(format!("leases[{i}].addresses"), "the addresses are not in a row");
    }
    if let Some(outside) = lease.addresses.iter().find(|address| !network.contains(**address)) {
        let message = format!("{outside} lies outside the network {network}");
        found.add(format!("leases[{i}].addresses"), message);
    }
    if !network.contains(lease.gateway) {
        let message = format!("{} lies outside the network {network}", lease.gateway);
        found.add(format!("leases[{i}].gateway"), message);
    } else if lease.addresses.contains(&lease.gateway) {
        let message = format!("{} is also one of the lease's addresses", lease.gateway);
        found.add(format!("leases[{i}].gateway"), message);
    }
    let last = u64::from(lease.first_vmid) + lease.addresses.len() as u64 - 1;
    if lease.first_vmid < 100 || last > LAST_VMID {
        let message =
            format!("VMIDs {} to {last} are not all from 100 to {LAST_VMID}", lease.first_vmid);
        found.add(format!("leases[{i}].first_vmid"), message);
    }
}

/// How many nodes the pod network has room for.
fn pod_networks(pod_cidr: Cidr) -> u64 {
    match NODE_POD_PREFIX.checked_sub(pod_cidr.prefix_length()) {
        Some(bits) => 1 << bits,
        None => 0,
    }
}

struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { path: path.into(), message: message.into() });
    }
}
