//! What a cluster is: plain types and parsed names, without any input or output.
//!
//! A cluster is described once, here. The Terraform model, a form, rendered HCL and the variables of a
//! playbook are projections of [`ClusterSpec`]; they take it apart field by field, without `..`, so that
//! a new field does not compile until each of them handles it.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

pub mod events;
#[cfg(any(test, fuzzing))]
pub mod hostile;
pub mod machines;
pub mod names;
pub mod network;
pub mod problems;
pub mod version;

pub use machines::{Machine, Role};
pub use names::{
    BridgeName, ClusterName, LeaseName, NodeName, Nonce, OwnerName, PackageMirror, PoolName,
    ProxmoxNodeName, ProxmoxPoolName, RegistryMirror, SshUser, StorageName, TemplateName,
    Transaction,
};
pub use network::{AddressRange, Cidr, VlanTag};
pub use problems::Problem;
pub use version::KubernetesVersion;

/// A cluster as its author wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// The name of the cluster.
    pub name: ClusterName,
    /// The addresses it may use, in the order in which it uses them.
    pub leases: Vec<Lease>,
    /// The template that machines are cloned from.
    pub template: TemplateName,
    /// The Kubernetes version of every node.
    pub kubernetes_version: KubernetesVersion,
    /// The network its machines are attached to.
    pub network: MachineNetwork,
    /// The size of the control plane's machine.
    pub control_plane: MachineSize,
    /// How many workers, and their size.
    pub workers: Workers,
    /// The storage for disks; the template's own if not given.
    pub storage: Option<StorageName>,
    /// Whether disks share the template's blocks or are copies.
    pub clone: CloneMode,
    /// The Proxmox nodes that may carry machines; empty means any.
    pub proxmox_nodes: Vec<ProxmoxNodeName>,
    /// The Proxmox pool that machines become members of.
    pub proxmox_pool: Option<ProxmoxPoolName>,
    /// The network of pods.
    pub pod_cidr: Cidr,
    /// The network of services.
    pub service_cidr: Cidr,
    /// Where packages come from; the public repository if not given.
    pub package_mirror: Option<PackageMirror>,
    /// Where container images are asked for first; only their own registries if not given.
    pub registry_mirror: Option<RegistryMirror>,
    /// The account made on the machines.
    pub ssh_user: SshUser,
}

/// A lease: addresses in a row that belong to one owner, and how machines on them reach the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The name of the lease.
    pub name: LeaseName,
    /// The pool it was taken from.
    pub pool: PoolName,
    /// The mark under which its rows stand in the ledger.
    pub transaction: Transaction,
    /// Its addresses, ascending and contiguous.
    pub addresses: Vec<Ipv4Addr>,
    /// The prefix length of the network the addresses lie in.
    pub prefix_length: u8,
    /// The default gateway.
    pub gateway: Ipv4Addr,
    /// The name servers.
    pub nameservers: Vec<Ipv4Addr>,
    /// The VMID that belongs to the first address; each next address has the next VMID.
    pub first_vmid: u32,
}

impl Lease {
    /// The network the addresses lie in; `None` if the lease is empty or the prefix length impossible.
    pub fn network(&self) -> Option<Cidr> {
        Cidr::containing(*self.addresses.first()?, self.prefix_length)
    }

    /// `pool/name`, as people and stamps write it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.pool, self.name)
    }
}

/// The network that machines are attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineNetwork {
    /// The bridge or virtual network on the Proxmox nodes.
    pub bridge: BridgeName,
    /// The VLAN tag, if the network is tagged.
    pub vlan: Option<VlanTag>,
}

/// The size of one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSize {
    /// Processor cores.
    pub cores: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Root disk in GiB.
    pub disk_gib: u32,
}

/// The workers of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workers {
    /// How many.
    pub count: u32,
    /// The size of each.
    pub size: MachineSize,
}

/// How a machine's disk comes from the template's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CloneMode {
    /// Shares the template's blocks: made in a second, and the template must stay.
    #[default]
    Linked,
    /// A copy that stands alone.
    Full,
}

impl CloneMode {
    /// The word for it in HCL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Full => "full",
        }
    }
}

/// The pod network that is used if none is given.
pub const DEFAULT_POD_CIDR: &str = "10.244.0.0/16";
/// The service network that is used if none is given.
pub const DEFAULT_SERVICE_CIDR: &str = "10.96.0.0/16";
/// The account that is made on machines if none is named.
pub const DEFAULT_SSH_USER: &str = "kubesmith";

#[cfg(test)]
mod tests;
