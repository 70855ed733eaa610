//! Which rights a change of a configuration needs: key by key, and for the storages and bridges that it names.

use super::access::Principal;
use super::api::Refusal;
use super::config::Changes;
use super::config_keys::{is_drive, is_net, parts};
use super::disks;
use super::schema::{Needs, config_key};
use super::state::{State, Vm, volume_of};

/// Rights on a machine, which may come from the pool that it is about to join.
struct Rights<'a> {
    state: &'a State,
    who: &'a Principal,
    vmid: u32,
    pool: Option<&'a str>,
}

impl Rights<'_> {
    fn any(&self, privileges: &[&str]) -> Result<(), Refusal> {
        self.state.require_vm_any(self.who, self.vmid, self.pool, privileges)
    }

    fn one(&self, privilege: &str) -> Result<(), Refusal> {
        self.any(&[privilege])
    }

    /// A drive: by what is in it.
    fn drive(&self, value: &str) -> Result<(), Refusal> {
        if disks::is_cloudinit(value) {
            self.one("VM.Config.Cloudinit")?;
            self.one("VM.Config.CDROM")
        } else if disks::is_cdrom(value) {
            self.one("VM.Config.CDROM")
        } else {
            self.one("VM.Config.Disk")
        }
    }
}

/// Refuses keys that somebody may not set.
pub(crate) fn check_keys(
    state: &State,
    who: &Principal,
    vmid: u32,
    pool: Option<&str>,
    changes: &Changes,
) -> Result<(), Refusal> {
    if who.is_root() {
        return Ok(());
    }
    let rights = Rights { state, who, vmid, pool };
    for (key, value) in changes {
        match config_key(key).and_then(|key| key.needs).unwrap_or(Needs::Root) {
            Needs::Cpu => rights.one("VM.Config.CPU")?,
            Needs::Memory => rights.one("VM.Config.Memory")?,
            Needs::Network => rights.one("VM.Config.Network")?,
            Needs::Cloudinit => rights.any(&["VM.Config.Cloudinit", "VM.Config.Network"])?,
            Needs::Options => rights.one("VM.Config.Options")?,
            Needs::Startup => {
                rights.one("VM.Config.Options")?;
                state.require(who, "/", "Sys.Modify")?;
            }
            Needs::Power => rights.one("VM.PowerMgmt")?,
            Needs::Disk => rights.one("VM.Config.Disk")?,
            Needs::HardwareType => rights.one("VM.Config.HWType")?,
            // By what is in it, which is looked at later.
            Needs::Drive => {}
            Needs::Serial => match value.as_deref() {
                Some("socket") | None => rights.one("VM.Config.HWType")?,
                Some(_) => return Err(real_device("set", key)),
            },
            Needs::Device => {
                rights.one("VM.Config.HWType")?;
                if let Some(value) = value {
                    check_device(state, who, key, value)?;
                }
            }
            Needs::Root => {
                return Err(Refusal::failed(format!("only root can set '{key}' config")));
            }
        }
    }
    Ok(())
}

fn real_device(verb: &str, key: &str) -> Refusal {
    Refusal::failed(format!("only root can {verb} '{key}' config for real devices"))
}

/// Mapped devices are for those who may use the mapping, real ones for root.
fn check_device(state: &State, who: &Principal, key: &str, value: &str) -> Result<(), Refusal> {
    let device = parts(key, value);
    let is_usb = key.starts_with("usb");
    match (device.get("host"), device.get("mapping")) {
        (Some(host), _) if is_usb && host.eq_ignore_ascii_case("spice") => Ok(()),
        (Some(_), _) if is_usb => Err(real_device("set", key)),
        (Some(_), _) => {
            Err(Refusal::failed(format!("only root can set '{key}' config for non-mapped devices")))
        }
        (None, Some(mapping)) => {
            let kind = if is_usb { "usb" } else { "pci" };
            state.require(who, &format!("/mapping/{kind}/{mapping}"), "Mapping.Use")
        }
        (None, None) => Err(Refusal::failed("either 'host' or 'mapping' must be set.")),
    }
}

/// Refuses drives that somebody may not set, by what is in them.
pub(crate) fn check_drives(
    state: &State,
    who: &Principal,
    vmid: u32,
    pool: Option<&str>,
    changes: &Changes,
) -> Result<(), Refusal> {
    let rights = Rights { state, who, vmid, pool };
    let drives = changes.iter().filter(|(key, _)| is_drive(key));
    drives.filter_map(|(_, value)| value.as_deref()).try_for_each(|value| rights.drive(value))
}

/// Refuses to touch what is there: drives, real devices, cards on bridges that somebody may not use.
pub(crate) fn check_old(
    state: &State,
    who: &Principal,
    vmid: u32,
    vm: &Vm,
    changes: &Changes,
) -> Result<(), Refusal> {
    if who.is_root() {
        return Ok(());
    }
    let rights = Rights { state, who, vmid, pool: None };
    for (key, change) in changes {
        let Some(old) = vm.config.get(key) else { continue };
        if is_drive(key) {
            rights.drive(old)?;
        } else if is_net(key) {
            check_bridge(state, who, old)?;
        } else if key.starts_with("serial") && old != "socket" {
            let verb = if change.is_some() { "modify" } else { "delete" };
            return Err(real_device(verb, key));
        }
    }
    Ok(())
}

/// Refuses storages that somebody may not use. `default` is the storage of disks that name none.
pub(crate) fn check_storages(
    state: &State,
    who: &Principal,
    vmid: u32,
    default: Option<&str>,
    changes: &Changes,
) -> Result<(), Refusal> {
    let set = changes.iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
    for (key, value) in set.filter(|(key, _)| is_drive(key)) {
        check_drive(state, who, vmid, default, key, value)?;
    }
    match changes.get("vmstatestorage") {
        Some(Some(storage)) => {
            state.require(who, &format!("/storage/{storage}"), "Datastore.AllocateSpace")
        }
        _ => Ok(()),
    }
}

/// Refuses network cards on bridges that somebody may not use.
pub(crate) fn check_bridges(
    state: &State,
    who: &Principal,
    changes: &Changes,
) -> Result<(), Refusal> {
    let nets = changes.iter().filter(|(key, _)| is_net(key));
    nets.filter_map(|(_, value)| value.as_deref())
        .try_for_each(|value| check_bridge(state, who, value))
}

fn check_drive(
    state: &State,
    who: &Principal,
    vmid: u32,
    default_storage: Option<&str>,
    key: &str,
    value: &str,
) -> Result<(), Refusal> {
    let volume = volume_of(value);
    if volume == "cdrom" {
        return state.require(who, "/", "Sys.Console");
    }
    if volume == "none" || disks::is_cloudinit(value) {
        return Ok(());
    }
    if let Some(new) = disks::new_disk(volume) {
        let storage = new
            .storage
            .or(default_storage)
            .ok_or_else(|| Refusal::failed("no storage ID specified (and no default storage)"))?;
        state.require(who, &format!("/storage/{storage}"), "Datastore.AllocateSpace")?;
        if !state.storage(storage)?.takes("images") {
            let text = format!("storage '{storage}' does not support vm images");
            return Err(Refusal::parameter("storage", text));
        }
        return Ok(());
    }
    let Some((storage, name)) = volume.split_once(':') else {
        let text = "Only root can pass arbitrary filesystem paths.";
        return if who.is_root() { Ok(()) } else { Err(Refusal::failed(text)) };
    };
    let path = format!("/storage/{storage}");
    if state.may(who, &path, "Datastore.Allocate") {
        return Ok(());
    }
    if name.starts_with("iso/") {
        return state.require_any(who, &path, &["Datastore.AllocateSpace", "Datastore.Audit"]);
    }
    match disks::owner_of(name) {
        Some(owner) if owner == vmid => Ok(()),
        Some(owner) => {
            state.require(who, &path, "Datastore.Audit")?;
            state.require(who, &format!("/vms/{owner}"), "VM.Config.Disk")
        }
        None => Err(Refusal::parameter(key, "content type needs to be 'images' or 'iso'")),
    }
}

/// Refuses a network card on a bridge that somebody may not use; with a VLAN tag the VLAN is what counts.
pub(crate) fn check_bridge(state: &State, who: &Principal, net: &str) -> Result<(), Refusal> {
    let net = parts("net0", net);
    let Some(bridge) = net.get("bridge") else { return Ok(()) };
    let vlan = net.get("tag").map_or_else(String::new, |tag| format!("/{tag}"));
    state.require(who, &format!("/sdn/zones/localnetwork/{bridge}{vlan}"), "SDN.Use")
}
