//! The attributes of `kubesmith_cluster`, and their way to and from a `ClusterSpec`.
//!
//! The only place of this resource where values may be unknown or null.

use std::net::Ipv4Addr;

use kubesmith_spec::{
    BridgeName, Cidr, CloneMode, ClusterName, ClusterSpec, KubernetesVersion, Lease, LeaseName,
    MachineNetwork, MachineSize, PackageMirror, PoolName, ProxmoxNodeName, ProxmoxPoolName,
    RegistryMirror, Role, SshUser, StorageName, TemplateName, Transaction, VlanTag,
};
use kubesmith_tfplugin::{Model, Secret, Text, Value};

use super::step::Existing;
use super::target::Machine;

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

impl Cluster {
    /// What the author wants, without anything of Terraform's.
    pub(crate) fn spec(&self) -> ClusterSpec {
        let ControlPlane { cores, memory_mib, disk_gib } = self.control_plane;
        let control_plane = MachineSize { cores, memory_mib, disk_gib };
        let Workers { count, cores, memory_mib, disk_gib } = self.workers;
        let workers =
            kubesmith_spec::Workers { count, size: MachineSize { cores, memory_mib, disk_gib } };
        ClusterSpec {
            name: self.name.0.clone(),
            leases: self.leases.iter().map(LeaseRef::lease).collect(),
            template: self.template.0.clone(),
            kubernetes_version: self.kubernetes_version.0,
            network: MachineNetwork {
                bridge: self.network.bridge.0.clone(),
                vlan: self.network.vlan.and_then(|tag| VlanTag::try_from(tag).ok()),
            },
            control_plane,
            workers,
            storage: self.storage.as_ref().map(|storage| storage.0.clone()),
            clone: clone_mode(&self.clone),
            proxmox_nodes: self.proxmox_nodes.iter().flatten().map(|node| node.0.clone()).collect(),
            proxmox_pool: self.proxmox_pool.as_ref().map(|pool| pool.0.clone()),
            pod_cidr: self.pod_cidr.0,
            service_cidr: self.service_cidr.0,
            package_mirror: self.package_mirror.as_ref().map(|mirror| mirror.0.clone()),
            registry_mirror: self.registry_mirror.as_ref().map(|mirror| mirror.0.clone()),
            ssh_user: self.ssh_user.0.clone(),
        }
    }

    /// Adds the leases that only an earlier state has, behind its own: there stand only machines that must go.
    pub(crate) fn keep_leases_of(&mut self, prior: &Self) {
        let given_up = prior.leases.get(self.leases.len()..).unwrap_or_default();
        self.leases.extend_from_slice(given_up);
    }

    /// The state of a cluster of which only the description is known: what an import begins with.
    pub(crate) fn of(spec: ClusterSpec) -> Self {
        let ClusterSpec {
            name,
            leases,
            template,
            kubernetes_version,
            network: MachineNetwork { bridge, vlan },
            control_plane,
            workers,
            storage,
            clone,
            proxmox_nodes,
            proxmox_pool,
            pod_cidr,
            service_cidr,
            package_mirror,
            registry_mirror,
            ssh_user,
        } = spec;
        let MachineSize { cores, memory_mib, disk_gib } = workers.size;
        Self {
            id: name.to_string().into(),
            name: Text(name),
            leases: leases.into_iter().map(LeaseRef::of).collect(),
            template: Text(template),
            kubernetes_version: Text(kubernetes_version),
            network: Network { bridge: Text(bridge), vlan: vlan.map(u16::from) },
            control_plane: ControlPlane {
                cores: control_plane.cores,
                memory_mib: control_plane.memory_mib,
                disk_gib: control_plane.disk_gib,
            },
            workers: Workers { count: workers.count, cores, memory_mib, disk_gib },
            storage: storage.map(Text),
            clone: clone.as_str().to_owned(),
            proxmox_nodes: Some(proxmox_nodes.into_iter().map(Text).collect::<Vec<_>>())
                .filter(|n| !n.is_empty()),
            proxmox_pool: proxmox_pool.map(Text),
            pod_cidr: Text(pod_cidr),
            service_cidr: Text(service_cidr),
            package_mirror: package_mirror.map(Text),
            registry_mirror: registry_mirror.map(Text),
            ssh_user: Text(ssh_user),
            endpoint: Value::Null,
            kubeconfig: Value::Null,
            nodes: Value::Null,
            ssh_private_key: Value::Null,
            known_hosts: Value::Null,
        }
    }
}

impl LeaseRef {
    fn lease(&self) -> Lease {
        let Self {
            name,
            pool,
            transaction,
            addresses,
            prefix_length,
            gateway,
            nameservers,
            first_vmid,
        } = self.clone();
        Lease {
            name: name.0,
            pool: pool.0,
            transaction: transaction.0,
            addresses,
            prefix_length,
            gateway,
            nameservers,
            first_vmid,
        }
    }

    fn of(lease: Lease) -> Self {
        let Lease {
            name,
            pool,
            transaction,
            addresses,
            prefix_length,
            gateway,
            nameservers,
            first_vmid,
        } = lease;
        Self {
            name: Text(name),
            pool: Text(pool),
            transaction: Text(transaction),
            addresses,
            prefix_length,
            gateway,
            nameservers,
            first_vmid,
        }
    }
}

/// The mode of this name; its validator has refused any other name.
pub(crate) fn clone_mode(name: &str) -> CloneMode {
    if name == CloneMode::Full.as_str() { CloneMode::Full } else { CloneMode::Linked }
}

fn check_clone(clone: &String) -> Result<(), &'static str> {
    let known = [CloneMode::Linked, CloneMode::Full].iter().any(|mode| mode.as_str() == clone);
    if known { Ok(()) } else { Err("It must be \"linked\" or \"full\".") }
}

/// Sizes are looked at alone too, because the whole can only be checked once the leases are known.
fn check_control_plane(size: &ControlPlane) -> Result<(), String> {
    let ControlPlane { cores, memory_mib, disk_gib } = *size;
    large_enough(MachineSize { cores, memory_mib, disk_gib }, MachineSize::CONTROL_PLANE_MINIMUM)
}

fn check_workers(workers: &Workers) -> Result<(), String> {
    let Workers { count, cores, memory_mib, disk_gib } = *workers;
    let least = if count == 0 {
        MachineSize { cores: 0, memory_mib: 0, disk_gib: 0 }
    } else {
        MachineSize::WORKER_MINIMUM
    };
    large_enough(MachineSize { cores, memory_mib, disk_gib }, least)
}

fn large_enough(size: MachineSize, least: MachineSize) -> Result<(), String> {
    let below: Vec<_> = size
        .below(least)
        .into_iter()
        .map(|(field, message)| format!("{field}: {message}"))
        .collect();
    if below.is_empty() { Ok(()) } else { Err(below.join("; ")) }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the derive's validators take references")]
fn check_vlan(tag: &u16) -> Result<(), String> {
    VlanTag::try_from(*tag).map(|_| ()).map_err(|error| error.to_string())
}
