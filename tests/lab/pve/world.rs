//! The running simulation: the truth, its tasks and locks, how fast it is, and what disturbs it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::Version;
use super::api::Call;
use super::faults::{Fault, Faults};
use super::ha;
use super::journal::Journal;
use super::locks::Locks;
use super::resources;
use super::schema::Endpoint;
use super::state::{State, Storage, Vm};
use super::tasks::Tasks;
use super::tls::Identity;
use crate::guests::Guests;

/// How long simulated work takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) linked_clone: Duration,
    pub(crate) full_clone: Duration,
    pub(crate) create: Duration,
    pub(crate) config: Duration,
    pub(crate) start: Duration,
    pub(crate) stop: Duration,
    pub(crate) destroy: Duration,
    /// How long failed authentication is held up: 3 s on the real thing.
    pub(crate) refusal: Duration,
    /// Between two rounds of the status daemon: 10 s on the real thing.
    pub(crate) round: Duration,
    /// From start until the guest agent answers.
    pub(crate) agent: Duration,
}

impl Pace {
    /// As a small real server, without its long delays.
    pub(crate) const LIVELY: Self = Self {
        linked_clone: Duration::from_millis(150),
        full_clone: Duration::from_millis(1500),
        create: Duration::from_millis(100),
        config: Duration::from_millis(10),
        start: Duration::from_millis(100),
        stop: Duration::from_millis(80),
        destroy: Duration::from_millis(100),
        refusal: Duration::from_secs(3),
        round: Duration::from_secs(2),
        agent: Duration::from_secs(3),
    };

    /// Short, but never zero: everything still happens one after the other.
    pub(crate) const FAST: Self = Self {
        linked_clone: Duration::from_millis(20),
        full_clone: Duration::from_millis(60),
        create: Duration::from_millis(10),
        config: Duration::from_millis(2),
        start: Duration::from_millis(10),
        stop: Duration::from_millis(10),
        destroy: Duration::from_millis(10),
        refusal: Duration::from_millis(5),
        round: Duration::from_millis(150),
        agent: Duration::from_millis(300),
    };
}

/// Everything that a request handler may need.
pub(crate) struct World {
    state: Mutex<State>,
    pub(crate) tasks: Tasks,
    pub(crate) locks: Locks,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) pace: Pace,
    pub(crate) version: Version,
    pub(crate) guests: Option<Arc<Guests>>,
    pub(crate) identity: Identity,
    started: Instant,
}

impl World {
    pub(crate) fn new(
        state: State,
        version: Version,
        pace: Pace,
        guests: Option<Arc<Guests>>,
        identity: Identity,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(state),
            tasks: Tasks::default(),
            locks: Locks::default(),
            faults: Faults::default(),
            journal: Journal::default(),
            pace,
            version,
            guests,
            identity,
            started: Instant::now(),
        })
    }

    /// The truth, locked.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when this runs.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Notices guests that powered themselves off.
    pub(crate) fn notice_stopped_guests(&self) {
        let Some(guests) = &self.guests else { return };
        for (vmid, vm) in &mut self.state().vms {
            if vm.running.as_ref().is_some_and(|running| running.has_guest)
                && !guests.is_running(*vmid)
            {
                vm.running = None;
            }
        }
    }

    /// Sets a disturbance.
    pub(crate) fn add_fault(&self, fault: Fault) -> Result<(), String> {
        match (&fault, &self.guests) {
            (Fault::StorageFull { storage }, _) => self.storage(storage, |it| it.full = true)?,
            (Fault::DisksStuck { storage }, _) => self.storage(storage, |it| it.stuck = true)?,
            (Fault::NodeDown { node }, _) => match self.state().nodes.get_mut(node) {
                Some(node) => node.down = true,
                None => return Err(format!("there is no node '{node}'")),
            },
            (Fault::VmBusy { vmid, seconds }, _) => self.keep_vm_busy(*vmid, *seconds)?,
            (Fault::StorageBusy { storage, seconds }, _) => {
                self.storage(storage, |_| {})?;
                self.keep_storage_busy(storage, *seconds);
            }
            (Fault::TasksLost { r#type }, _) => self.tasks.lose(r#type.as_deref()),
            (Fault::HaManaged { vmid }, _) => {
                let mut state = self.state();
                if !state.vms.contains_key(vmid) {
                    return Err(format!("there is no VM {vmid}"));
                }
                ha::manage(&mut state, *vmid, "started");
            }
            (Fault::NeverBoots { vmid }, Some(guests)) => guests.never_boots(*vmid),
            (Fault::SshRefused { vmid }, Some(guests)) => guests.ssh_refused(*vmid),
            _ => {}
        }
        self.faults.add(fault)
    }

    fn storage(&self, name: &str, change: impl FnOnce(&mut Storage)) -> Result<(), String> {
        let mut state = self.state();
        let storage = state.storages.get_mut(name);
        storage.map(change).ok_or_else(|| format!("there is no storage '{name}'"))
    }

    /// Holds a machine's own lock, as a backup or another client's request would.
    fn keep_vm_busy(&self, vmid: u32, seconds: u64) -> Result<(), String> {
        let vm = self.state().vms.get(&vmid).map(|vm| vm.node.clone());
        let node = vm.ok_or_else(|| format!("there is no VM {vmid}"))?;
        self.locks.hold_vm(&node, vmid, Duration::from_secs(seconds));
        Ok(())
    }

    /// Holds a storage's lock on every node.
    fn keep_storage_busy(&self, storage: &str, seconds: u64) {
        let state = self.state();
        let shared = state.storages.get(storage).is_some_and(|storage| storage.shared);
        for node in state.nodes.keys() {
            self.locks.hold_storage(node, storage, shared, Duration::from_secs(seconds));
        }
    }

    /// What a write says while the cluster has no quorum; reads go on.
    pub(crate) fn lacks_quorum(&self, endpoint: &Endpoint, call: &Call) -> Option<String> {
        if endpoint.method == "GET" || !self.faults.has_no_quorum() {
            return None;
        }
        let path = endpoint.path.as_str();
        let locked = |name: &str| Some(format!("cfs-lock '{name}' error: no quorum!"));
        if path.contains("/firewall/") {
            return match call.params.get("vmid") {
                Some(vmid) => locked(&format!("firewall-vm-{vmid}")),
                None => locked("firewall-cluster"),
            };
        }
        if path.starts_with("/access") || path.starts_with("/pools") {
            return locked("file-user_cfg");
        }
        if path.starts_with("/cluster/ha") {
            return locked("domain-ha");
        }
        let is_write = endpoint.method == "PUT" && path.ends_with("/config");
        match (path.contains("/qemu"), is_write) {
            (true, false) => Some("cluster not ready - no quorum?".to_owned()),
            (true, true) => {
                let file = format!(
                    "/etc/pve/nodes/{}/qemu-server/{}.conf.tmp.1",
                    call.node(),
                    call.vmid()
                );
                Some(format!("unable to open file '{file}' - Permission denied"))
            }
            (false, _) => None,
        }
    }

    /// Takes all disturbances back.
    pub(crate) fn clear_faults(&self) {
        self.faults.clear();
        let mut state = self.state();
        for storage in state.storages.values_mut() {
            (storage.full, storage.stuck) = (false, false);
        }
        for node in state.nodes.values_mut() {
            node.down = false;
        }
        drop(state);
        if let Some(guests) = &self.guests {
            guests.clear_faults();
        }
    }

    /// One round of the status daemon: what the cluster is told about every machine.
    pub(crate) fn broadcast(&self) {
        self.notice_stopped_guests();
        let state = &mut *self.state();
        let rows = state.vms.iter().filter(|(_, vm)| !is_being_written(vm));
        state.broadcast = rows
            .map(|(vmid, vm)| (*vmid, resources::measure(state, *vmid, vm, self.version)))
            .collect();
    }
}

/// The first instants of a clone, before the configuration has a name.
fn is_being_written(vm: &Vm) -> bool {
    matches!(vm.lock(), Some("clone" | "create"))
}

/// Seconds since 1970.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
