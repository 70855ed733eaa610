//! What a converge aims at: the machines that should be, with their sizes.
//!
//! Create, change, repair and destroy are the same converge with different targets.

use std::fmt;
use std::net::Ipv4Addr;

use kubesmith_spec::{ClusterSpec, MachineSize, NodeName, Role};

/// The machines that should be, control plane first. Empty: nothing should be left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// In the order of their addresses in the leases.
    pub(crate) machines: Vec<Machine>,
    /// The user was told that all of them are there and stay: none may be made.
    pub(crate) settled: bool,
}

/// One machine as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// VM name, host name and Kubernetes node name.
    pub(crate) name: NodeName,
    /// What it does in the cluster.
    pub(crate) role: Role,
    /// Its leased address.
    pub(crate) address: Ipv4Addr,
    /// The VM's id, which follows from the address: Proxmox itself refuses a second machine on it.
    pub(crate) vmid: u32,
    /// The position of its lease in the spec.
    pub(crate) lease: usize,
    /// How large it is.
    pub(crate) size: MachineSize,
}

impl Target {
    /// The whole cluster.
    pub(crate) fn of(spec: &ClusterSpec) -> Self {
        let machines = spec.machines().into_iter().map(|machine| {
            let kubesmith_spec::Machine { name, role, index: _, address, vmid, lease } = machine;
            let size = match role {
                Role::ControlPlane => spec.control_plane,
                Role::Worker => spec.workers.size,
            };
            Machine { name, role, address, vmid, lease, size }
        });
        Self { machines: machines.collect(), settled: false }
    }

    /// Nothing at all: what a destroy aims at.
    pub(crate) fn nothing() -> Self {
        Self::default()
    }

    /// The machine that has this VMID.
    pub(crate) fn machine(&self, vmid: u32) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.vmid == vmid)
    }
}

/// The name of the machine that a VMID of the leases belongs to, whether or not the cluster is that large.
pub(crate) fn name_on(spec: &ClusterSpec, vmid: u32) -> Option<NodeName> {
    let mut whole = spec.clone();
    whole.workers.count = u32::MAX;
    whole.machines().into_iter().find(|machine| machine.vmid == vmid).map(|machine| machine.name)
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (VM {})", self.name, self.vmid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::model::Cluster;

    /// Two leases with two addresses each, and one worker.
    fn spec() -> ClusterSpec {
        let lease = |name: &str, first: u8, vmid: u32| {
            serde_json::json!({
                "name": name, "pool": "lab", "transaction": "00000000000000ff", "prefix_length": 24,
                "gateway": "10.40.19.254", "nameservers": [], "first_vmid": vmid,
                "addresses": [format!("10.40.19.{first}"), format!("10.40.19.{}", first + 1)],
            })
        };
        let size = serde_json::json!({"cores": 2, "memory_mib": 2048, "disk_gib": 8});
        serde_json::from_value(serde_json::json!({
            "name": "demo", "leases": [lease("one", 201, 19201), lease("two", 230, 19230)], "template": "ubuntu",
            "kubernetes_version": "1.36.4", "network": {"bridge": "vmbr0", "vlan": null}, "control_plane": size,
            "workers": {"count": 1, "size": size}, "storage": null, "clone": "linked", "proxmox_nodes": [],
            "proxmox_pool": null, "pod_cidr": "10.244.0.0/16", "service_cidr": "10.96.0.0/16",
            "package_mirror": null, "registry_mirror": null, "ssh_user": "kubesmith",
        }))
        .unwrap()
    }

    #[test]
    fn every_vmid_of_the_leases_belongs_to_one_name() {
        let names = [19200, 19201, 19202, 19203, 19230, 19231, 19232].map(|vmid| {
            name_on(&spec(), vmid).map_or_else(|| "-".to_owned(), |name| name.to_string())
        });
        assert_eq!(
            names,
            ["-", "demo-cp-1", "demo-worker-1", "-", "demo-worker-2", "demo-worker-3", "-"]
        );
    }

    #[test]
    fn a_lease_that_is_given_up_is_still_looked_at() {
        let prior = Cluster::of(spec());
        let mut plan = Cluster::of(ClusterSpec { leases: spec().leases[..1].to_vec(), ..spec() });
        plan.keep_leases_of(&prior);
        assert_eq!(plan.spec().leases, spec().leases);
        let mut more = Cluster::of(spec());
        more.keep_leases_of(&Cluster::of(ClusterSpec {
            leases: spec().leases[..1].to_vec(),
            ..spec()
        }));
        assert_eq!(more.spec().leases, spec().leases);
    }
}
