//! What can be chosen: templates with their sizes, as the operator wrote them. PURE.

use kubesmith_spec::{
    BridgeName, KubernetesVersion, MachineNetwork, MachineSize, PackageMirror, PoolName,
    ProxmoxPoolName, RegistryMirror, StorageName, TemplateName, VlanTag, Workers,
};
use serde::{Deserialize, Serialize};

/// A lease has at most 250 addresses, and one is the control plane's.
const MOST_WORKERS: u32 = 249;

/// A template that clusters are made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// A short name for it in forms and addresses.
    pub id: String,
    /// What people read.
    pub title: String,
    /// Its name or tag in Proxmox.
    pub template: TemplateName,
    /// The Kubernetes version that it brings.
    pub kubernetes_version: KubernetesVersion,
    /// The sizes it is offered in; the first is the one that a form begins with.
    pub sizes: Vec<Size>,
}

/// A size of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// A short name for it.
    pub id: String,
    /// What people read.
    pub title: String,
    /// The control plane's machine.
    pub control_plane: MachineSize,
    /// Each worker's machine.
    pub worker: MachineSize,
    /// How many workers it begins with.
    pub workers: u32,
    /// How many workers it may ever have; the lease has an address for each.
    pub max_workers: u32,
}

impl Size {
    /// The workers, this many.
    pub fn workers(&self, count: u32) -> Workers {
        Workers { count, size: self.worker }
    }
}

/// Where the machines of an environment stand: what the site decides, never the person who fills a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The pool that addresses are leased from.
    pub pool: PoolName,
    /// The bridge.
    pub bridge: BridgeName,
    /// The VLAN on it.
    #[serde(default)]
    pub vlan: Option<VlanTag>,
    /// The Proxmox pool that machines become members of.
    #[serde(default)]
    pub proxmox_pool: Option<ProxmoxPoolName>,
    /// The storage of their disks; the template's own if not given.
    #[serde(default)]
    pub storage: Option<StorageName>,
    /// Where Kubernetes packages come from, if the template lacks them.
    #[serde(default)]
    pub package_mirror: Option<PackageMirror>,
    /// What machines ask first for every container image.
    #[serde(default)]
    pub registry_mirror: Option<RegistryMirror>,
}

impl Site {
    /// The network of the machines.
    pub fn network(&self) -> MachineNetwork {
        MachineNetwork { bridge: self.bridge.clone(), vlan: self.vlan }
    }
}

/// What is wrong with a catalogue, if something is.
pub fn problems(templates: &[Template]) -> Option<String> {
    for (i, template) in templates.iter().enumerate() {
        let id = &template.id;
        if templates[..i].iter().any(|earlier| earlier.id == *id) {
            return Some(format!("{id} is given twice"));
        }
        if template.sizes.is_empty() {
            return Some(format!("{id} needs at least one size"));
        }
        for (i, size) in template.sizes.iter().enumerate() {
            let place = format!("{id}, size {}", size.id);
            if template.sizes[..i].iter().any(|earlier| earlier.id == size.id) {
                return Some(format!("{place} is given twice"));
            }
            if size.workers > size.max_workers || size.max_workers > MOST_WORKERS {
                return Some(format!(
                    "{place}: workers must be at most max_workers, and that at most {MOST_WORKERS}"
                ));
            }
            let control_plane = size.control_plane.below(MachineSize::CONTROL_PLANE_MINIMUM);
            let worker = size.worker.below(MachineSize::WORKER_MINIMUM);
            if let Some((field, message)) = control_plane.into_iter().chain(worker).next() {
                return Some(format!("{place}: {field}: {message}"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::samples::catalogue;
    use super::*;

    #[test]
    fn a_catalogue_that_cannot_work_is_refused_by_name() {
        let with = |change: fn(&mut Template)| {
            let mut templates = catalogue();
            change(&mut templates[0]);
            problems(&templates).unwrap_or_default()
        };
        assert_eq!(with(|_| {}), "");
        assert!(with(|template| template.sizes.clear()).contains("ubuntu needs at least one size"));
        assert!(with(|template| template.sizes[0].workers = 6).contains("at most max_workers"));
        assert!(with(|template| template.sizes[0].max_workers = 250).contains("at most 249"));
        assert!(with(|template| template.sizes[0].control_plane.cores = 1).contains("cores"));
        assert!(with(|template| template.sizes.push(template.sizes[0].clone())).contains("twice"));
        assert!(
            problems(&[catalogue(), catalogue()].concat())
                .unwrap()
                .contains("ubuntu is given twice")
        );
    }
}
