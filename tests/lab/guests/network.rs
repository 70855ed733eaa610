//! The lab's network: a namespace with a bridge in it, and nothing that leads out.
//!
//! The lab itself runs in that namespace, and each guest has one of its own, tied to the bridge by
//! a pair of virtual interfaces. Nothing on the host's own network changes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::command::run;

/// The bridge's address, which is the guests' gateway.
pub const GATEWAY: &str = "10.40.19.254";

/// The gateway of a second network, for a tenant that has one of its own. Both lie on one bridge: VLANs are not told apart.
const SECOND_GATEWAY: &str = "10.40.20.254";

const NAMESPACES: &str = "/run/netns";
const BRIDGE: &str = "ks0";

/// The network of one lab: the namespace `/run/netns/<id>` with the bridge `ks0` in it.
#[derive(Debug, Clone)]
pub struct Network {
    id: String,
}

impl Network {
    /// Makes the namespace and the bridge; an existing one of that name is an error.
    pub async fn create(id: &str) -> Result<Self> {
        check_id(id)?;
        run("ip", ["netns", "add", id]).await.context("failed to make the lab's network")?;
        ip(id, ["link", "set", "lo", "up"]).await?;
        ip(id, ["link", "add", BRIDGE, "type", "bridge", "forward_delay", "0"]).await?;
        for gateway in [GATEWAY, SECOND_GATEWAY] {
            ip(id, ["address", "add", &format!("{gateway}/24"), "dev", BRIDGE]).await?;
        }
        ip(id, ["link", "set", BRIDGE, "up"]).await?;
        Ok(Self { id: id.to_owned() })
    }

    /// The namespace's path, for `nsenter --net=<path>`.
    pub fn path(&self) -> PathBuf {
        Path::new(NAMESPACES).join(&self.id)
    }

    /// Removes the namespaces of a lab and of its guests; it is no error when there are none.
    pub async fn remove(id: &str) -> Result<()> {
        check_id(id)?;
        for namespace in namespaces(id) {
            let removed = run("ip", ["netns", "delete", &namespace]).await;
            // Whoever watched its guest may have removed it in this very moment.
            if namespaces(id).contains(&namespace) {
                removed?;
            }
        }
        Ok(())
    }
}

/// The id becomes part of many names on the host, so it is kept plain and short.
pub(super) fn check_id(id: &str) -> Result<()> {
    let plain = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
    };
    ensure!(
        (1..=32).contains(&id.len()) && id.chars().all(plain) && !id.starts_with('-'),
        "the lab id \"{id}\" is not usable: use at most 32 lower-case letters, digits and dashes"
    );
    Ok(())
}

/// The names of this lab's namespaces that exist: the lab's own and those of its guests.
pub(super) fn namespaces(id: &str) -> Vec<String> {
    let entries = std::fs::read_dir(NAMESPACES).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| belongs(name, id)).collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names
}

/// Whether a namespace's name is the lab's own or that of one of its guests: lab `a` does not own `a-b`.
fn belongs(name: &str, id: &str) -> bool {
    name.strip_prefix(id).is_some_and(|rest| match rest.strip_prefix('-') {
        Some(vmid) => !vmid.is_empty() && vmid.bytes().all(|byte| byte.is_ascii_digit()),
        None => rest.is_empty(),
    })
}

/// The namespace of one guest, as a path.
pub(super) fn guest_namespace(id: &str, vmid: u32) -> PathBuf {
    Path::new(NAMESPACES).join(format!("{id}-{vmid}"))
}

/// Makes a guest's namespace and ties its `eth0` to the bridge.
pub(super) async fn connect(id: &str, vmid: u32, mac: Option<&str>) -> Result<()> {
    disconnect(id, vmid).await?;
    let namespace = format!("{id}-{vmid}");
    let outer = format!("g{vmid}");
    run("ip", ["netns", "add", &namespace]).await?;
    let mut link = vec!["link", "add", &outer, "type", "veth", "peer", "name", "eth0"];
    link.extend(mac.iter().flat_map(|mac| ["address", mac]));
    link.extend(["netns", &namespace]);
    ip(id, link).await.context("failed to tie the guest to the lab's network")?;
    ip(id, ["link", "set", &outer, "master", BRIDGE, "up"]).await?;
    Ok(())
}

/// Removes a guest's namespace and with it both ends of its link.
pub(super) async fn disconnect(id: &str, vmid: u32) -> Result<()> {
    if guest_namespace(id, vmid).exists() {
        run("ip", ["netns", "delete", &format!("{id}-{vmid}")]).await?;
    }
    // A link goes with its peer, but only once the kernel has torn the peer's namespace down.
    let outer = format!("g{vmid}");
    let _ = ip(id, ["link", "delete", &outer]).await;
    Ok(())
}

/// The address that a `network-config` wants the first interface to have.
pub(super) fn mac_address(network_config: &str) -> Option<&str> {
    let (_, rest) = network_config.split_once("mac_address:")?;
    let value = rest.lines().next()?.trim().trim_matches(['\'', '"']);
    let bytes: Vec<&str> = value.split(':').collect();
    let hexadecimal =
        |byte: &&str| byte.len() == 2 && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
    (bytes.len() == 6 && bytes.iter().all(hexadecimal)).then_some(value)
}

async fn ip<'a>(id: &'a str, arguments: impl IntoIterator<Item = &'a str>) -> Result<String> {
    run("ip", ["-n", id].into_iter().chain(arguments)).await
}
