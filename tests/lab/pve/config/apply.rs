//! Writing changes into a configuration, in the server's own form.

use super::Changes;
use crate::pve::config_keys::{is_drive, is_net, parts};
use crate::pve::disks;
use crate::pve::formats;
use crate::pve::random;
use crate::pve::schema::config_key;
use crate::pve::state::{State, Vm, volume_of};

/// Writes changes into a configuration; on a running machine some of them wait.
pub(crate) fn apply(
    state: &mut State,
    node: &str,
    vmid: u32,
    changes: Changes,
    force: bool,
) -> Result<(), String> {
    check_boot(state.vm(node, vmid)?, &changes)?;
    // What goes makes room for what comes.
    let (deleted, set): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|(_, value)| value.is_none());
    for (key, value) in deleted.into_iter().chain(set) {
        let value = match value {
            Some(value) if is_drive(&key) => Some(state.make_drive(node, vmid, &key, &value)?),
            Some(value) => Some(normalized(&key, &value)),
            None => None,
        };
        let vm = state.vm_mut(node, vmid)?;
        let waits = vm.running.is_some() && config_key(&key).is_some_and(|key| !key.hot);
        if waits {
            if vm.config.get(&key) == value.as_ref() {
                vm.pending.remove(&key);
            } else {
                vm.pending.insert(key, value);
            }
            continue;
        }
        vm.pending.remove(&key);
        match value {
            Some(value) => set_key(state, node, vmid, key, value),
            None => remove(state, node, vmid, &key, force),
        }
    }
    Ok(())
}

/// Sets a key. The disk that was in a drive's slot is kept beside.
fn set_key(state: &mut State, node: &str, vmid: u32, key: String, value: String) {
    let Ok(vm) = state.vm_mut(node, vmid) else { return };
    let old =
        vm.config.get(&key).filter(|old| is_drive(&key) && volume_of(old) != volume_of(&value));
    if old.is_some() {
        remove(state, node, vmid, &key, false);
    }
    if let Ok(vm) = state.vm_mut(node, vmid) {
        vm.config.insert(key, value);
    }
}

/// Every device of a new boot order must be there.
fn check_boot(vm: &Vm, changes: &Changes) -> Result<(), String> {
    let boot = changes.get("boot").and_then(Option::as_deref).unwrap_or_default();
    let order = parts("boot", boot).remove("order").unwrap_or_default();
    let is_there = |device: &str| match changes.get(device) {
        Some(change) => change.is_some(),
        None => vm.config.contains_key(device) || vm.pending.contains_key(device),
    };
    match formats::split_list(&order).find(|device| !is_there(device)) {
        Some(device) => Err(format!("invalid bootorder: device '{device}' does not exist'")),
        None => Ok(()),
    }
}

/// Removes a key. A disk is only detached; a cloud-init drive, or with `force` any, goes with it.
fn remove(state: &mut State, node: &str, vmid: u32, key: &str, force: bool) {
    let Ok(vm) = state.vm_mut(node, vmid) else { return };
    let Some(old) = vm.config.remove(key) else { return };
    let is_unused = key.starts_with("unused");
    if !is_drive(key) && !is_unused {
        return;
    }
    if let Some(order) = vm.config.get("boot").and_then(|boot| boot.strip_prefix("order=")) {
        let kept: Vec<_> = order.split(';').filter(|device| *device != key).collect();
        let boot =
            if kept.is_empty() { " ".to_owned() } else { format!("order={}", kept.join(";")) };
        vm.config.insert("boot".to_owned(), boot);
    }
    let volume = volume_of(&old).to_owned();
    if force || is_unused || disks::is_cloudinit(&old) {
        state.free(node, &volume);
    } else if !disks::is_cdrom(&old)
        && disks::storage_of(&volume).is_some()
        && let Some(slot) = (0..256)
            .map(|index| format!("unused{index}"))
            .find(|slot| !vm.config.contains_key(slot))
    {
        vm.config.insert(slot, volume);
    }
}

/// Moves what waited into the configuration: a start does that.
pub(crate) fn apply_pending(state: &mut State, node: &str, vmid: u32) -> Result<(), String> {
    for (key, value) in std::mem::take(&mut state.vm_mut(node, vmid)?.pending) {
        match value {
            Some(value) => set_key(state, node, vmid, key, value),
            None => remove(state, node, vmid, &key, false),
        }
    }
    Ok(())
}

/// A value as the configuration keeps it.
fn normalized(key: &str, value: &str) -> String {
    match key {
        "tags" => {
            let tags: std::collections::BTreeSet<_> =
                formats::split_list(value).map(str::to_lowercase).collect();
            tags.into_iter().collect::<Vec<_>>().join(";")
        }
        "memory" => value.strip_prefix("current=").unwrap_or(value).to_owned(),
        "vmgenid" if value == "1" => random::uuid(),
        _ if is_net(key) => with_mac(key, value),
        _ => value.to_owned(),
    }
}

/// A network card as it is kept: model and address first, the address made up if none was given.
fn with_mac(key: &str, value: &str) -> String {
    let mut net = parts(key, value);
    let model = net.remove("model").unwrap_or_default();
    let mac = net.remove("macaddr").map_or_else(random::mac, |mac| mac.to_uppercase());
    let rest = net.into_iter().map(|(key, value)| format!(",{key}={value}"));
    format!("{model}={mac}{}", rest.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_in_the_servers_own_form() {
        assert_eq!(normalized("tags", "b;a;B"), "a;b");
        assert_eq!(normalized("memory", "current=512"), "512");
        let net = normalized("net0", "virtio,tag=119,bridge=vmbr0");
        assert!(
            net.starts_with("virtio=BC:24:11:") && net.ends_with(",bridge=vmbr0,tag=119"),
            "{net}"
        );
        assert_eq!(
            normalized("net0", "virtio=aa:bb:cc:00:11:22,bridge=b"),
            "virtio=AA:BB:CC:00:11:22,bridge=b"
        );
    }
}
