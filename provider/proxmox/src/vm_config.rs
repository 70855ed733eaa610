//! A machine's configuration: a typed view to read, a builder to write.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::wire::{self, PropertyString};

/// What is configured. Only what provisioning compares has a field; everything is in `raw`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VmConfig {
    /// The machine's name, which cloud-init makes its hostname.
    pub name: Option<String>,
    /// Free text; ours begins with the ownership stamp.
    pub description: String,
    /// Lower-case.
    pub tags: BTreeSet<String>,
    /// SHA-1 of the configuration file, to be sent with a change.
    pub digest: String,
    /// For instance `clone` while it is being made.
    pub lock: Option<String>,
    /// Whether it is a template.
    pub template: bool,
    /// Whether it refuses to be destroyed.
    pub protection: bool,
    /// Cores per socket.
    pub cores: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Whether the guest agent is enabled.
    pub agent: bool,
    /// Disks and drives by slot, for instance `scsi0`.
    pub disks: BTreeMap<String, Disk>,
    /// The first network card.
    pub net0: Option<Net>,
    /// Cloud-init's address for it.
    pub ip_config0: Option<IpConfig>,
    /// Cloud-init's user.
    pub ci_user: Option<String>,
    /// Cloud-init's SSH keys, one a line.
    pub ssh_keys: Vec<String>,
    /// Cloud-init's name servers.
    pub nameservers: Vec<String>,
    /// All keys as text. Passwords are masked by Proxmox.
    pub raw: BTreeMap<String, String>,
}

/// A disk or drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// For instance `shared:19201/vm-19201-disk-0.qcow2`.
    pub volume: String,
    /// The part before the colon; empty for no volume at all.
    pub storage: String,
    /// Its size, where Proxmox says so.
    pub size_bytes: Option<u64>,
    /// Its format, where Proxmox says so.
    pub format: Option<String>,
    /// Whether it is cloud-init's drive.
    pub cloud_init: bool,
    /// Whether it is a CD-ROM; cloud-init's drive is one.
    pub cdrom: bool,
}

/// A network card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Net {
    /// For instance `virtio`.
    pub model: String,
    /// Its hardware address.
    pub mac: String,
    /// The bridge or virtual network.
    pub bridge: Option<String>,
    /// The VLAN tag.
    pub vlan: Option<u16>,
}

/// A static address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpConfig {
    /// With its prefix length, `10.40.19.201/24`; or `dhcp`.
    pub address: String,
    /// The default gateway.
    pub gateway: Option<String>,
}

impl VmConfig {
    /// A disk by its slot.
    pub fn disk(&self, slot: &str) -> Option<&Disk> {
        self.disks.get(slot)
    }

    /// The slot of cloud-init's drive.
    pub fn cloud_init_drive(&self) -> Option<&str> {
        self.disks.iter().find(|(_, disk)| disk.cloud_init).map(|(slot, _)| slot.as_str())
    }

    /// The first line of the description.
    pub fn first_line(&self) -> &str {
        self.description.lines().next().unwrap_or_default()
    }

    fn from_raw(raw: BTreeMap<String, String>) -> Self {
        let text = |key: &str| raw.get(key).cloned();
        let flag = |key: &str| raw.get(key).is_some_and(|value| wire::is_true(value));
        let memory = text("memory").map(|value| {
            let memory = PropertyString::parse(&value);
            memory
                .default
                .as_deref()
                .or(memory.get("current"))
                .and_then(wire::parse_integer)
                .unwrap_or(0)
        });
        Self {
            name: text("name"),
            description: text("description").unwrap_or_default(),
            tags: wire::tags(&text("tags").unwrap_or_default()),
            digest: text("digest").unwrap_or_default(),
            lock: text("lock"),
            template: flag("template"),
            protection: flag("protection"),
            cores: text("cores").and_then(|value| value.parse().ok()).unwrap_or(1),
            memory_mib: memory.unwrap_or(512),
            agent: text("agent").is_some_and(|value| {
                let agent = PropertyString::parse(&value);
                agent.default.as_deref().or(agent.get("enabled")).is_some_and(wire::is_true)
            }),
            disks: raw
                .iter()
                .filter(|(key, _)| is_disk(key))
                .map(|(key, value)| (key.clone(), Disk::parse(value)))
                .collect(),
            net0: text("net0").and_then(|value| Net::parse(&value)),
            ip_config0: text("ipconfig0").and_then(|value| {
                let parts = PropertyString::parse(&value);
                Some(IpConfig {
                    address: parts.get("ip")?.to_owned(),
                    gateway: parts.get("gw").map(str::to_owned),
                })
            }),
            ci_user: text("ciuser"),
            ssh_keys: text("sshkeys").map(|keys| lines(&wire::decode(&keys))).unwrap_or_default(),
            nameservers: text("nameserver")
                .map(|list| wire::list(&list).map(str::to_owned).collect())
                .unwrap_or_default(),
            raw,
        }
    }
}

impl<'de> Deserialize<'de> for VmConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = BTreeMap::<String, Value>::deserialize(deserializer)?;
        Ok(Self::from_raw(
            values
                .into_iter()
                .filter_map(|(key, value)| Some((key, wire::scalar(&value)?)))
                .collect(),
        ))
    }
}

impl Disk {
    fn parse(text: &str) -> Self {
        let parts = PropertyString::parse(text);
        let volume = parts
            .default
            .clone()
            .or_else(|| parts.get("file").map(str::to_owned))
            .unwrap_or_default();
        let cdrom = parts.get("media") == Some("cdrom");
        Self {
            storage: volume
                .split_once(':')
                .map(|(storage, _)| storage.to_owned())
                .unwrap_or_default(),
            size_bytes: parts.get("size").and_then(wire::parse_size),
            format: parts.get("format").map(str::to_owned),
            cloud_init: cdrom
                && volume.rsplit(['/', ':']).next().is_some_and(|name| name.contains("cloudinit")),
            cdrom,
            volume,
        }
    }
}

impl Net {
    fn parse(text: &str) -> Option<Self> {
        const OPTIONS: [&str; 10] = [
            "bridge",
            "tag",
            "firewall",
            "link_down",
            "macaddr",
            "mtu",
            "queues",
            "rate",
            "trunks",
            "model",
        ];
        let parts = PropertyString::parse(text);
        let by_model = parts.pairs.iter().find(|(key, _)| !OPTIONS.contains(&key.as_str()));
        let (model, mac) = if let Some((model, mac)) = by_model {
            (model.clone(), mac.clone())
        } else {
            let model = parts.get("model").map(str::to_owned).or_else(|| parts.default.clone())?;
            (model, parts.get("macaddr").unwrap_or_default().to_owned())
        };
        let vlan = parts.get("tag").and_then(|tag| tag.parse().ok());
        Some(Self { model, mac, bridge: parts.get("bridge").map(str::to_owned), vlan })
    }
}

/// A change of a configuration: keys to set, keys to delete, and the digest of what it was decided on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigUpdate {
    set: BTreeMap<String, String>,
    delete: BTreeSet<String>,
    digest: Option<String>,
}

impl ConfigUpdate {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Any key, in Proxmox's own words.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<String>) -> Self {
        self.set.insert(key.to_owned(), value.into());
        self
    }

    /// Remove a key.
    #[must_use]
    pub fn delete(mut self, key: &str) -> Self {
        self.delete.insert(key.to_owned());
        self
    }

    /// Refuse the change if the configuration is no longer this one.
    #[must_use]
    pub fn digest(mut self, digest: impl Into<String>) -> Self {
        self.digest = Some(digest.into());
        self
    }

    /// The machine's name.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.set("name", name)
    }

    /// The description.
    #[must_use]
    pub fn description(self, description: impl Into<String>) -> Self {
        self.set("description", description)
    }

    /// All tags.
    #[must_use]
    pub fn tags(self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let tags: Vec<String> = tags.into_iter().map(Into::into).collect();
        self.set("tags", tags.join(";"))
    }

    /// Cores per socket.
    #[must_use]
    pub fn cores(self, cores: u32) -> Self {
        self.set("cores", cores.to_string())
    }

    /// Memory in MiB.
    #[must_use]
    pub fn memory_mib(self, memory: u64) -> Self {
        self.set("memory", memory.to_string())
    }

    /// Whether it refuses to be destroyed.
    #[must_use]
    pub fn protection(self, protection: bool) -> Self {
        self.set("protection", wire::boolean(protection))
    }

    /// Cloud-init's address for the first card, with its prefix length, and the gateway.
    #[must_use]
    pub fn ip_config0(self, address: &str, gateway: &str) -> Self {
        self.set("ipconfig0", format!("ip={address},gw={gateway}"))
    }

    /// Cloud-init's user.
    #[must_use]
    pub fn ci_user(self, user: impl Into<String>) -> Self {
        self.set("ciuser", user)
    }

    /// Cloud-init's SSH keys, one a line.
    #[must_use]
    pub fn ssh_keys(self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        // The value itself is percent-encoded; the form encodes it once more.
        self.set("sshkeys", wire::encode(&keys.join("\n")))
    }

    /// Cloud-init's name servers.
    #[must_use]
    pub fn nameservers(self, servers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let servers: Vec<String> = servers.into_iter().map(Into::into).collect();
        // A comma would pass Proxmox's check and then be part of the address.
        self.set("nameserver", servers.join(" "))
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.delete.is_empty()
    }

    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let Self { set, delete, digest } = self;
        let mut parameters: Vec<(String, String)> = set.clone().into_iter().collect();
        if !delete.is_empty() {
            parameters
                .push(("delete".to_owned(), delete.iter().cloned().collect::<Vec<_>>().join(",")));
        }
        parameters.extend(digest.clone().map(|digest| ("digest".to_owned(), digest)));
        parameters
    }
}

/// `scsi0`, `ide2`, `efidisk0`; not `scsihw`. Disks that hang nowhere (`unused0`) are none.
fn is_disk(key: &str) -> bool {
    let bus = key.trim_end_matches(|c: char| c.is_ascii_digit());
    bus.len() < key.len()
        && matches!(bus, "scsi" | "virtio" | "ide" | "sata" | "efidisk" | "tpmstate")
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
