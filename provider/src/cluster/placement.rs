//! Which Proxmox node a new machine goes to, and from which copy of the template. Pure.
//!
//! A clone can only go where the template's disks are: to the template's own node, or anywhere when
//! they lie on shared storage. Among those, machines of a cluster are spread, then memory decides.

use std::collections::BTreeMap;
use std::fmt;

use super::target::Machine;

/// What the datacentre offers, as far as the token may see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// Nodes that are online and allowed by `proxmox_nodes`.
    pub(crate) hosts: Vec<Host>,
    /// The copies of the template.
    pub(crate) templates: Vec<Template>,
}

/// A Proxmox node that may take machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// Its name.
    pub(crate) name: String,
    /// Memory not promised to any VM, in MiB; `None` where the token may not see it.
    pub(crate) free_mib: Option<u64>,
}

/// One copy of the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// Its VMID.
    pub(crate) vmid: u32,
    /// Its name, for messages.
    pub(crate) name: String,
    /// The node it is on.
    pub(crate) host: String,
    /// Whether every volume of it, and of a clone, is on shared storage.
    pub(crate) shared: bool,
    /// The boot disk's key, such as `scsi0`.
    pub(crate) disk: String,
    /// The storage that the boot disk lies on.
    pub(crate) storage: String,
    /// The boot disk's size in GiB, rounded down.
    pub(crate) disk_gib: u32,
}

/// Where a machine goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The template that is cloned.
    pub(crate) template: Template,
    /// The node that the machine goes to.
    pub(crate) host: String,
}

/// No node can take a machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    /// Nothing to clone.
    #[error("no template was found")]
    NoTemplate,
    /// Nowhere to go.
    #[error(
        "no online Proxmox node can take a clone: the template is on {} without shared storage, and the nodes to choose from are {}",
        templates.join(", "),
        if hosts.is_empty() { "none".to_owned() } else { hosts.join(", ") }
    )]
    NoHost {
        /// Nodes that hold a copy.
        templates: Vec<String>,
        /// Nodes that are online and allowed.
        hosts: Vec<String>,
    },
}

/// Places `machines` in their order. `counts` are the machines of this cluster already on each node.
pub(crate) fn place(
    machines: &[Machine],
    room: &Room,
    mut counts: BTreeMap<String, usize>,
) -> Result<BTreeMap<u32, Placement>, NoPlace> {
    let mut free: BTreeMap<&str, Option<u64>> =
        room.hosts.iter().map(|host| (host.name.as_str(), host.free_mib)).collect();
    let mut placements = BTreeMap::new();
    for machine in machines {
        let wanted = u64::from(machine.size.memory_mib);
        let host = room
            .hosts
            .iter()
            .filter(|host| source(room, &host.name).is_some())
            .min_by_key(|host| {
                let left = free[host.name.as_str()];
                let full = left.is_some_and(|left| left < wanted);
                let own = counts.get(&host.name).copied().unwrap_or(0);
                (full, own, u64::MAX - left.unwrap_or(u64::MAX), host.name.as_str())
            })
            .ok_or_else(|| nowhere(room))?;
        let template = source(room, &host.name).expect("the filter kept only nodes with a source");
        if let Some(Some(left)) = free.get_mut(host.name.as_str()) {
            *left = left.saturating_sub(wanted);
        }
        *counts.entry(host.name.clone()).or_default() += 1;
        placements.insert(
            machine.vmid,
            Placement { template: template.clone(), host: host.name.clone() },
        );
    }
    Ok(placements)
}

/// The copy to clone for a machine on `host`: the one that lies there, else a shared one.
fn source<'a>(room: &'a Room, host: &str) -> Option<&'a Template> {
    let here = room.templates.iter().find(|template| template.host == host);
    here.or_else(|| room.templates.iter().find(|template| template.shared))
}

fn nowhere(room: &Room) -> NoPlace {
    if room.templates.is_empty() {
        return NoPlace::NoTemplate;
    }
    NoPlace::NoHost {
        templates: room.templates.iter().map(|template| template.host.clone()).collect(),
        hosts: room.hosts.iter().map(|host| host.name.clone()).collect(),
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} (VM {}) to {}", self.template.name, self.template.vmid, self.host)
    }
}
