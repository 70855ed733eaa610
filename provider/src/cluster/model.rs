//! The attributes of `kubesmith_cluster`, and their way to and from a `ClusterSpec`.
//!
//! The only place of this resource where values may be unknown or null.

mod checks;
mod spec;

use std::net::Ipv4Addr;

use kubesmith_spec::{
    BridgeName, Cidr, ClusterName, KubernetesVersion, LeaseName, PackageMirror, PoolName,
    ProxmoxNodeName, ProxmoxPoolName, RegistryMirror, Role, SshUser, StorageName, TemplateName,
    Transaction,
};
use kubesmith_tfplugin::{Model, Secret, Text, Value};

use self::checks::{check_clone, check_control_plane, check_vlan, check_workers};
use super::step::Existing;
use super::target::Machine;

pub(crate) use self::spec::clone_mode;

/// A Kubernetes cluster on virtual machines: one control plane and workers, cloned from a template,
/// made a cluster by kubeadm.
///
/// Workers are added and removed in place, and drained first; machines that were lost are made again. A
/// change of cores, memory or disk restarts the machines one at a time. Changes of what machines are made
/// of (template, network, addresses, pod and service networks) replace the cluster.
#[derive(Debug, Model)]
#[tf(type_name = "kubesmith_cluster", timeouts(create = "60m", update = "60m", delete = "30m"))]
pub(crate) struct Cluster {
    /// The cluster's name.
    #[tf(computed, keep)]
    pub(crate) id: Value<String>,
    /// Name of the cluster: 1 to 40 lower-case letters, digits and hyphens. Machines are named after it.
    #[tf(required, replace)]
    pub(crate) name: Text<ClusterName>,
    /// The leases whose addresses the machines take, lowest address first: the control plane, then the
    /// workers. More room is one more lease at the end.
    #[tf(required)]
    pub(crate) leases: Vec<LeaseRef>,
    /// Name or tag of the template to clone. Where its disks are not on shared storage, give one copy on each
    /// Proxmox node the same tag.
    #[tf(required, replace)]
    pub(crate) template: Text<TemplateName>,
    /// The Kubernetes version, for instance `1.36.4`.
    #[tf(required)]
    pub(crate) kubernetes_version: Text<KubernetesVersion>,
    /// The network that the machines are attached to.
    #[tf(required)]
    pub(crate) network: Network,
    /// Size of the control plane's machine.
    #[tf(required, validate = check_control_plane)]
    pub(crate) control_plane: ControlPlane,
    /// Number and size of the workers.
    #[tf(required, validate = check_workers)]
    pub(crate) workers: Workers,
    /// Storage for the disks. Needs `clone = "full"`; linked clones lie where the template lies.
    #[tf(optional, replace)]
    pub(crate) storage: Option<Text<StorageName>>,
    /// `linked` (made in a second, needs the template as long as it lives) or `full` (a copy).
    #[tf(default = "linked", replace, validate = check_clone)]
    pub(crate) clone: String,
    /// The Proxmox nodes that new machines may go to; any if not given.
    #[tf(optional)]
    pub(crate) proxmox_nodes: Option<Vec<Text<ProxmoxNodeName>>>,
    /// The Proxmox pool that the machines become members of.
    #[tf(optional, replace)]
    pub(crate) proxmox_pool: Option<Text<ProxmoxPoolName>>,
    /// Network that pods get addresses from.
    #[tf(default = "10.244.0.0/16", replace)]
    pub(crate) pod_cidr: Text<Cidr>,
    /// Network that services get addresses from.
    #[tf(default = "10.96.0.0/16", replace)]
    pub(crate) service_cidr: Text<Cidr>,
    /// Where Kubernetes packages come from, if the template does not hold them: a URL with the layout of
    /// `https://pkgs.k8s.io`, which is used if none is given.
    #[tf(optional)]
    pub(crate) package_mirror: Option<Text<PackageMirror>>,
    /// A registry mirror that machines ask first for every container image, for instance
    /// `https://mirror.example.edu`. Where it has no answer, or none is given, the image's own registry is asked.
    #[tf(optional)]
    pub(crate) registry_mirror: Option<Text<RegistryMirror>>,
    /// The account that is made on the machines.
    #[tf(default = "kubesmith", replace)]
    pub(crate) ssh_user: Text<SshUser>,
    /// Address of the Kubernetes API, for instance `https://10.40.19.201:6443`.
    #[tf(computed, keep)]
    pub(crate) endpoint: Value<String>,
    /// The administrator's kubeconfig.
    #[tf(computed, keep)]
    pub(crate) kubeconfig: Value<Secret<String>>,
    /// The machines that are as they should be. One that is missing, stopped or unfinished is not in the list, one
    /// that is too many is; the next apply repairs both.
    #[tf(computed, keep)]
    pub(crate) nodes: Value<Vec<Node>>,
    /// Private key of the account on the machines, in OpenSSH format.
    #[tf(computed, keep)]
    pub(crate) ssh_private_key: Value<Secret<String>>,
    /// The machines' SSH host keys, for a `known_hosts` file.
    #[tf(computed, keep)]
    pub(crate) known_hosts: Value<String>,
}

/// A lease, as `kubesmith_ip_lease` has it: give the whole resource.
#[derive(Clone, Debug, Model)]
pub(crate) struct LeaseRef {
    /// Name of the lease.
    #[tf(required, replace)]
    pub(crate) name: Text<LeaseName>,
    /// Name of its pool.
    #[tf(required, replace)]
    pub(crate) pool: Text<PoolName>,
    /// The mark under which its addresses stand in the ledger.
    #[tf(required, replace)]
    pub(crate) transaction: Text<Transaction>,
    /// Its addresses, ascending and without gaps.
    #[tf(required, replace)]
    pub(crate) addresses: Vec<Ipv4Addr>,
    /// Prefix length of the network that they lie in.
    #[tf(required)]
    pub(crate) prefix_length: u8,
    /// Default gateway of new machines.
    #[tf(required)]
    pub(crate) gateway: Ipv4Addr,
    /// Name servers of new machines.
    #[tf(required)]
    pub(crate) nameservers: Vec<Ipv4Addr>,
    /// VMID that belongs to the first address.
    #[tf(required, replace)]
    pub(crate) first_vmid: u32,
}

/// A network.
#[derive(Debug, Model)]
pub(crate) struct Network {
    /// Bridge or virtual network on the Proxmox nodes, for instance `vmbr0`.
    #[tf(required, replace)]
    pub(crate) bridge: Text<BridgeName>,
    /// VLAN tag, 1 to 4094.
    #[tf(optional, replace, validate = check_vlan)]
    pub(crate) vlan: Option<u16>,
}

/// The size of a machine.
#[derive(Debug, Model)]
pub(crate) struct ControlPlane {
    /// Processor cores, at least 2.
    #[tf(required)]
    pub(crate) cores: u32,
    /// Memory in MiB, at least 1700.
    #[tf(required)]
    pub(crate) memory_mib: u32,
    /// Disk in GiB; it can grow, not shrink.
    #[tf(required)]
    pub(crate) disk_gib: u32,
}

/// Workers.
#[derive(Debug, Model)]
pub(crate) struct Workers {
    /// How many. Lowering it drains and removes the ones with the highest numbers.
    #[tf(required)]
    pub(crate) count: u32,
    /// Processor cores of each.
    #[tf(required)]
    pub(crate) cores: u32,
    /// Memory of each in MiB, at least 1024.
    #[tf(required)]
    pub(crate) memory_mib: u32,
    /// Disk of each in GiB; it can grow, not shrink.
    #[tf(required)]
    pub(crate) disk_gib: u32,
}

/// A machine of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Model)]
#[tf(computed)]
#[expect(
    clippy::struct_field_names,
    reason = "a Proxmox node is not the same as a Kubernetes node"
)]
pub(crate) struct Node {
    /// VM name, host name and Kubernetes node name.
    pub(crate) name: String,
    /// `control-plane` or `worker`.
    pub(crate) role: String,
    /// Its address.
    pub(crate) address: String,
    /// Id of the virtual machine.
    pub(crate) vmid: u32,
    /// The Proxmox node that it is on.
    pub(crate) proxmox_node: String,
}

impl Node {
    /// The machine, on this Proxmox node.
    pub(crate) fn of(machine: &Machine, host: &str) -> Self {
        Self {
            name: machine.name.to_string(),
            role: machine.role.to_string(),
            address: machine.address.to_string(),
            vmid: machine.vmid,
            proxmox_node: host.to_owned(),
        }
    }

    /// A worker that should not be there any more.
    pub(crate) fn surplus(existing: &Existing, address: Ipv4Addr) -> Self {
        let Existing { name, vmid, host } = existing;
        Self {
            name: name.to_string(),
            role: Role::Worker.to_string(),
            address: address.to_string(),
            vmid: *vmid,
            proxmox_node: host.clone(),
        }
    }
}
