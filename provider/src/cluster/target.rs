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
        Self { machines: machines.collect() }
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

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (VM {})", self.name, self.vmid)
    }
}
