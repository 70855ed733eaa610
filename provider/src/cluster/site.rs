//! What every step of one operation on one cluster works with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kubesmith_proxmox::{Client, Deadline};
use kubesmith_spec::{ClusterSpec, OwnerName};
use zeroize::Zeroizing;

use super::target::Machine;
use crate::events::Events;
use crate::provider::Context;
use crate::ssh::{KeyPair, KnownHosts};
use crate::stamp::Stamp;
use crate::wait::Limits;

/// One operation on one cluster.
pub(super) struct Site<'a> {
    /// The provider's clients and settings.
    pub(super) context: &'a Context,
    /// The Terraform state on whose behalf this runs.
    pub(super) owner: &'a OwnerName,
    /// What the cluster is made of.
    pub(super) spec: &'a ClusterSpec,
    /// The key pair of its machines.
    pub(super) key: &'a KeyPair,
    /// How long it may take.
    pub(super) limits: Limits,
    /// Where progress is told.
    pub(super) events: Events,
    /// What was learnt and done so far.
    progress: Mutex<Progress>,
}

/// What an operation knows beyond what can be observed.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// Pinned host keys.
    pub(super) known_hosts: KnownHosts,
    /// The administrator's kubeconfig, once there is one.
    pub(super) kubeconfig: Option<Zeroizing<String>>,
    /// The Proxmox node that each VMID was last seen on.
    pub(crate) hosts: BTreeMap<u32, String>,
    /// VMIDs of machines that this operation cloned.
    pub(super) cloned: BTreeSet<u32>,
    /// VMIDs and addresses of machines that this operation removed.
    pub(crate) removed: BTreeMap<u32, Ipv4Addr>,
    /// VMIDs of machines over which this operation ran the playbook.
    pub(super) configured: BTreeSet<u32>,
}

impl<'a> Site<'a> {
    /// An operation that begins with this knowledge.
    pub(super) fn new(
        context: &'a Context,
        owner: &'a OwnerName,
        spec: &'a ClusterSpec,
        key: &'a KeyPair,
        limits: Limits,
        progress: Progress,
    ) -> Self {
        let events = Events::open("kubesmith_cluster", spec.name.as_str());
        Self { context, owner, spec, key, limits, events, progress: Mutex::new(progress) }
    }

    /// The Proxmox client.
    pub(super) fn client(&self) -> &'a Client {
        &self.context.proxmox
    }

    /// The same time limit, as the Proxmox client wants it.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.limits.left(), &self.limits.cancel)
    }

    /// What is known so far. Never hold it across an await.
    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stamp of a machine of this cluster.
    pub(super) fn stamp(&self, machine: &Machine, made: bool) -> Stamp {
        let lease = &self.spec.leases[machine.lease];
        Stamp {
            cluster: self.spec.name.clone(),
            node: machine.name.clone(),
            role: machine.role,
            owner: self.owner.clone(),
            pool: lease.pool.clone(),
            lease: lease.name.clone(),
            transaction: lease.transaction.clone(),
            nonce: self.key.nonce(),
            made,
        }
    }

    /// Whether a stamp is this cluster's, whatever key its machine knows.
    pub(super) fn owns(&self, stamp: &Stamp) -> bool {
        let leased = |stamp: &Stamp| {
            self.spec.leases.iter().any(|l| l.pool == stamp.pool && l.name == stamp.lease)
        };
        stamp.cluster == self.spec.name && stamp.owner == *self.owner && leased(stamp)
    }
}
