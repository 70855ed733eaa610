//! What a cluster's machines cannot show later, written into the control plane's description beneath its
//! stamp, for an import. No secrets.

use kubesmith_spec::{
    Cidr, CloneMode, ClusterName, ClusterSpec, KubernetesVersion, Lease, MachineNetwork,
    MachineSize, PackageMirror, ProxmoxNodeName, ProxmoxPoolName, RegistryMirror, Role, SshUser,
    StorageName, TemplateName, Workers,
};
use serde::{Deserialize, Serialize};

use crate::stamp::Stamp;

/// What the line begins with.
const PREFIX: &str = "kubesmith-spec:";

/// The part of a `ClusterSpec` that is written down.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// `pool/name` of each lease, in their order.
    pub(super) leases: Vec<String>,
    pub(super) template: TemplateName,
    pub(super) kubernetes_version: KubernetesVersion,
    /// The size that workers have; with no worker nothing else would show it.
    workers: MachineSize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    storage: Option<StorageName>,
    clone: CloneMode,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    proxmox_nodes: Vec<ProxmoxNodeName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proxmox_pool: Option<ProxmoxPoolName>,
    pod_cidr: Cidr,
    service_cidr: Cidr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    package_mirror: Option<PackageMirror>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registry_mirror: Option<RegistryMirror>,
    pub(super) ssh_user: SshUser,
}

/// What the machines themselves show.
pub(super) struct Shown {
    /// The cluster's name.
    pub(super) name: ClusterName,
    /// Its leases, from the ledger.
    pub(super) leases: Vec<Lease>,
    /// The control plane's network.
    pub(super) network: MachineNetwork,
    /// The control plane's size.
    pub(super) control_plane: MachineSize,
    /// How many workers there are, and the size of the first, if there is one.
    pub(super) workers: (u32, Option<MachineSize>),
}

/// The description of a machine: its stamp, and on the control plane what an import needs.
pub(super) fn describe(spec: &ClusterSpec, stamp: &Stamp) -> String {
    match stamp.role {
        Role::Worker => stamp.to_string(),
        Role::ControlPlane => format!("{stamp}\n{}", Remembered::of(spec).line()),
    }
}

impl Remembered {
    fn of(spec: &ClusterSpec) -> Self {
        let ClusterSpec {
            name: _,
            leases,
            template,
            kubernetes_version,
            network: _,
            control_plane: _,
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
        } = spec.clone();
        Self {
            leases: leases.iter().map(Lease::id).collect(),
            template,
            kubernetes_version,
            workers: workers.size,
            storage,
            clone,
            proxmox_nodes,
            proxmox_pool,
            pod_cidr,
            service_cidr,
            package_mirror,
            registry_mirror,
            ssh_user,
        }
    }

    fn line(&self) -> String {
        let json = serde_json::to_string(self).expect("it has only string keys");
        format!("{PREFIX}{json}")
    }

    /// Reads it from a description; `None` if it is not there or was damaged.
    pub(super) fn parse(description: &str) -> Option<Self> {
        let line = description.lines().skip(1).find_map(|line| line.trim().strip_prefix(PREFIX))?;
        serde_json::from_str(line).ok()
    }

    /// The whole spec, together with what the machines show.
    pub(super) fn complete(self, shown: Shown) -> ClusterSpec {
        let Self {
            leases: _,
            template,
            kubernetes_version,
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
        } = self;
        let (count, size) = shown.workers;
        ClusterSpec {
            name: shown.name,
            leases: shown.leases,
            template,
            kubernetes_version,
            network: shown.network,
            control_plane: shown.control_plane,
            workers: Workers { count, size: size.unwrap_or(workers) },
            storage,
            clone,
            proxmox_nodes,
            proxmox_pool,
            pod_cidr,
            service_cidr,
            package_mirror,
            registry_mirror,
            ssh_user,
        }
    }
}
