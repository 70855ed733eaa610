//! What is, as far as planning needs to know it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kubesmith_spec::{MachineSize, NodeName};

use crate::cluster::placement::Room;
use crate::cluster::step::Existing;

/// What is, as far as planning needs to know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// The VM on each VMID of the cluster's leases; a VMID that is not here is free.
    pub(crate) machines: BTreeMap<u32, Seen>,
    /// What Kubernetes says.
    pub(crate) kubernetes: Kubernetes,
    /// VMIDs of the machines over which the playbook ran in this converge.
    pub(crate) configured: BTreeSet<u32>,
    /// Where new machines may go.
    pub(crate) room: Room,
}

/// The VM that was found on a VMID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Its stamp says that it is this cluster's.
    Ours(Ours),
    /// Its Proxmox node is down, so nobody can say or change anything.
    OutOfReach {
        /// The Proxmox node.
        host: String,
    },
    /// It has no stamp, or somebody else's.
    Stranger {
        /// Its name, or what can be said about it.
        what: String,
        /// The Proxmox node it is on.
        host: String,
    },
}

/// A VM with this cluster's stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ours {
    /// Name and place.
    pub(crate) existing: Existing,
    /// How far its creation went, and who can log in.
    pub(crate) standing: Standing,
    /// Whether it runs.
    pub(crate) running: bool,
    /// Whether its SSH host key is known.
    pub(crate) pinned: bool,
    /// Its size, its disk rounded down to GiB.
    pub(crate) size: MachineSize,
    /// The boot disk's key, such as `scsi0`.
    pub(crate) disk: String,
}

/// How far the creation of a machine went, and whose key it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Finished, with this state's key.
    Made,
    /// Begun by this converge.
    Begun,
    /// Begun by an earlier run with this state's key, and it had answered over SSH.
    Resumed,
    /// Begun by a run that is gone: nobody has its key, or it never answered.
    Abandoned,
    /// Finished, but with a key that this state does not have.
    Unknown,
}

/// What Kubernetes says about the nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kubernetes {
    /// There are no credentials yet, so nobody asked.
    #[default]
    NotAsked,
    /// The API did not answer; the text says what was seen.
    Unreachable(String),
    /// The registered nodes, and whether each is ready.
    Nodes(BTreeMap<NodeName, bool>),
}

impl fmt::Display for Kubernetes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("not asked yet"),
            Self::Unreachable(why) => f.write_str(why),
            Self::Nodes(nodes) => {
                let states = nodes.iter().map(|(name, ready)| {
                    format!("{name} {}", if *ready { "Ready" } else { "NotReady" })
                });
                f.write_str(&states.collect::<Vec<_>>().join(", "))
            }
        }
    }
}
