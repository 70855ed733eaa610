//! The truth: what the simulated datacentre consists of.
//!
//! Plain data. Rules live with the endpoints; what is here are the questions that several of them ask.

use std::collections::{BTreeMap, BTreeSet};

use sha1::{Digest, Sha1};

use super::access::Access;
use super::api::Refusal;
use super::ipset::Sets;

/// Everything that a cluster would keep in its replicated file system and on its storages.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) vms: BTreeMap<u32, Vm>,
    pub(crate) storages: BTreeMap<String, Storage>,
    pub(crate) volumes: BTreeMap<VolumeId, Volume>,
    pub(crate) pools: BTreeMap<String, Pool>,
    pub(crate) access: Access,
    /// The data centre's own sets, and those of each virtual machine.
    pub(crate) cluster_sets: Sets,
    pub(crate) vm_sets: BTreeMap<u32, Sets>,
    /// The firewall options of each virtual machine.
    pub(crate) vm_firewalls: BTreeMap<u32, BTreeMap<String, String>>,
    /// The machines that the high-availability manager looks after.
    pub(crate) managed: BTreeMap<u32, Managed>,
    /// What the status daemon has told the cluster about each machine; older than the truth by up to one round.
    pub(crate) broadcast: BTreeMap<u32, serde_json::Map<String, serde_json::Value>>,
}

/// A hypervisor.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) cores: u32,
    pub(crate) memory: u64,
    pub(crate) address: String,
    pub(crate) bridges: BTreeMap<String, Bridge>,
    /// Set by a fault: nothing that goes to it arrives.
    pub(crate) down: bool,
}

/// A bridge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bridge {
    /// Without one, a network card with a VLAN tag cannot start (unless the bridge is VLAN-aware).
    pub(crate) physical_port: bool,
    pub(crate) vlan_aware: bool,
}

/// A storage. Both kinds keep images as files, so that linked clones work.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    pub(crate) kind: &'static str,
    pub(crate) shared: bool,
    pub(crate) content: &'static str,
    pub(crate) total: u64,
    pub(crate) used: u64,
    /// Set by a fault: nothing can be allocated,
    pub(crate) full: bool,
    /// or nothing be removed.
    pub(crate) stuck: bool,
}

impl Storage {
    /// Whether it takes disks of virtual machines.
    pub(crate) fn takes(&self, content: &str) -> bool {
        self.content.split(',').any(|one| one == content)
    }
}

/// Storage and volume name. Local storages of different nodes hold different volumes, hence the node (empty if shared).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VolumeId {
    pub(crate) node: String,
    pub(crate) id: String,
}

/// A disk image.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    pub(crate) size: u64,
    pub(crate) format: String,
    pub(crate) owner: u32,
    /// The volume under a linked clone.
    pub(crate) base: Option<String>,
    /// Which guest image stands for its content.
    pub(crate) image: Option<String>,
}

/// A pool and its members.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    pub(crate) comment: Option<String>,
    pub(crate) vms: BTreeSet<u32>,
    pub(crate) storages: BTreeSet<String>,
}

/// A virtual machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vm {
    pub(crate) node: String,
    /// The configuration file, `lock` and `digest`-relevant keys included.
    pub(crate) config: BTreeMap<String, String>,
    /// Changes that wait for the next start; `None` deletes.
    pub(crate) pending: BTreeMap<String, Option<String>>,
    pub(crate) running: Option<Running>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    /// The snapshot that the machine stands on.
    pub(crate) parent: Option<String>,
}

/// The configuration as it was at an instant, and the disks with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) description: String,
    /// Seconds since 1970.
    pub(crate) time: u64,
    pub(crate) parent: Option<String>,
}

/// What the high-availability manager was told about a machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Managed {
    /// `started`, `stopped` and so on, and whatever else was set.
    pub(crate) options: BTreeMap<String, String>,
}

/// What a machine has while it runs.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) since: tokio::time::Instant,
    pub(crate) pid: u32,
    pub(crate) paused: bool,
    /// Whether the agent was configured when it started: a later change does not help.
    pub(crate) agent: bool,
    /// Whether a light guest stands behind it; a machine without an image only says that it runs.
    pub(crate) has_guest: bool,
}

impl Vm {
    /// The lock that an operation left in the configuration.
    pub(crate) fn lock(&self) -> Option<&str> {
        self.config.get("lock").map(String::as_str)
    }

    /// Refuses while an operation holds the configuration.
    pub(crate) fn check_lock(&self) -> Result<(), String> {
        self.lock().map_or(Ok(()), |lock| Err(format!("VM is locked ({lock})")))
    }

    /// A snapshot that must be there.
    pub(crate) fn snapshot(&self, name: &str) -> Result<&Snapshot, String> {
        self.snapshots.get(name).ok_or_else(|| format!("snapshot '{name}' does not exist"))
    }

    pub(crate) fn is_template(&self) -> bool {
        self.flag("template")
    }

    /// A boolean key.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.config.get(key).is_some_and(|value| value == "1")
    }

    /// The configured name, or the one that the server makes up.
    pub(crate) fn name(&self, vmid: u32) -> String {
        self.config.get("name").cloned().unwrap_or_else(|| format!("VM {vmid}"))
    }

    /// An integer key.
    pub(crate) fn integer(&self, key: &str, default: u64) -> u64 {
        self.config.get(key).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    /// Memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.integer("memory", 512) << 20
    }

    /// Whether the guest agent is switched on.
    pub(crate) fn agent_enabled(&self) -> bool {
        self.config.get("agent").is_some_and(|value| {
            super::config_keys::parts("agent", value).get("enabled").is_some_and(|on| on == "1")
        })
    }

    /// The SHA-1 of the configuration file, which is written as the server writes it.
    pub(crate) fn digest(&self) -> String {
        let mut file = String::new();
        for line in self.config.get("description").into_iter().flat_map(|text| text.lines()) {
            file += &format!("#{line}\n");
        }
        for (key, value) in self.config.iter().filter(|(key, _)| *key != "description") {
            file += &format!("{key}: {value}\n");
        }
        if !self.pending.is_empty() {
            file += "\n[PENDING]\n";
            for (key, value) in &self.pending {
                file += &format!("{key}: {}\n", value.as_deref().unwrap_or("-"));
            }
        }
        for (name, snapshot) in &self.snapshots {
            file +=
                &format!("\n[{name}]\n#{}\nsnaptime: {}\n", snapshot.description, snapshot.time);
        }
        hex::encode(Sha1::digest(file))
    }

    /// The drives: slot, volume and size, CD-ROMs included.
    pub(crate) fn drives(&self) -> impl Iterator<Item = (&str, &str)> {
        self.config
            .iter()
            .filter(|(key, _)| super::config_keys::is_drive(key))
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The disk that it boots from: the first of the boot order that is a disk.
    pub(crate) fn boot_disk(&self) -> Option<&str> {
        let order = self
            .config
            .get("boot")
            .and_then(|boot| boot.split("order=").nth(1))
            .unwrap_or_default();
        let is_disk = |slot: &str| {
            self.drives().any(|(name, value)| name == slot && !super::disks::is_cdrom(value))
        };
        order.split(';').find(|slot| is_disk(slot)).or_else(|| {
            self.drives().find(|(_, value)| !super::disks::is_cdrom(value)).map(|(slot, _)| slot)
        })
    }
}

/// The volume of a drive's value: the part before the first comma.
pub(crate) fn volume_of(drive: &str) -> &str {
    let file = drive.split(',').next().unwrap_or_default();
    file.strip_prefix("file=").unwrap_or(file)
}

impl State {
    /// The machine `vmid` as `node` sees it: the configuration file must lie in that node's folder.
    pub(crate) fn vm(&self, node: &str, vmid: u32) -> Result<&Vm, String> {
        self.vms.get(&vmid).filter(|vm| vm.node == node).ok_or_else(|| missing(node, vmid))
    }

    /// The same, to change it.
    pub(crate) fn vm_mut(&mut self, node: &str, vmid: u32) -> Result<&mut Vm, String> {
        self.vms.get_mut(&vmid).filter(|vm| vm.node == node).ok_or_else(|| missing(node, vmid))
    }

    /// The machine `vmid` of `node`, by those who ask whether it runs and say it in other words.
    pub(crate) fn vm_there(&self, node: &str, vmid: u32) -> Result<&Vm, String> {
        let missing =
            || format!("unable to find configuration file for VM {vmid} on node '{node}'");
        self.vms.get(&vmid).filter(|vm| vm.node == node).ok_or_else(missing)
    }

    /// The pool that a machine is in.
    pub(crate) fn pool_of(&self, vmid: u32) -> Option<&str> {
        self.pools.iter().find(|(_, pool)| pool.vms.contains(&vmid)).map(|(name, _)| name.as_str())
    }

    /// A storage that must exist.
    pub(crate) fn storage(&self, name: &str) -> Result<&Storage, Refusal> {
        self.storages
            .get(name)
            .ok_or_else(|| Refusal::failed(format!("storage '{name}' does not exist")))
    }

    /// Where a volume lies, seen from `node`.
    pub(crate) fn volume_id(&self, node: &str, id: &str) -> VolumeId {
        let storage = id.split(':').next().unwrap_or_default();
        let shared = self.storages.get(storage).is_some_and(|storage| storage.shared);
        VolumeId { node: if shared { String::new() } else { node.to_owned() }, id: id.to_owned() }
    }

    /// A volume, seen from `node`.
    pub(crate) fn volume(&self, node: &str, id: &str) -> Option<&Volume> {
        self.volumes.get(&self.volume_id(node, id))
    }
}

fn missing(node: &str, vmid: u32) -> String {
    format!("Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist")
}
