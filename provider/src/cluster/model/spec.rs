//! The way from the attributes to a `ClusterSpec`, and back.

use kubesmith_spec::{CloneMode, ClusterSpec, Lease, MachineNetwork, MachineSize, VlanTag};
use kubesmith_tfplugin::{Text, Value};

use super::{Cluster, ControlPlane, LeaseRef, Network, Workers};

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
