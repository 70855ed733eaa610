//! Configurations of machines: reading, changing, what waits for the next start.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::api::{Answer, Call, Refusal, done};
use super::config_keys::{is_drive, is_net, parts, shown};
use super::disks;
use super::privileges;
use super::random;
use super::schema::config_key;
use super::state::{State, Vm, volume_of};

/// How long a change waits for the machine's own lock.
pub(crate) const LOCK_WAIT: Duration = Duration::from_secs(10);

/// What a request changes: new values, and deletions as `None`.
pub(crate) type Changes = BTreeMap<String, Option<String>>;

/// `GET .../config`: with the pending values, unless `current` is set.
pub(crate) fn read(call: &Call) -> Answer {
    let snapshot = call.params.get("snapshot");
    if snapshot.is_some() && call.params.flag("current") {
        let text = "cannot use 'snapshot' parameter with 'current'".to_owned();
        let errors = ["snapshot", "current"].map(|name| (name.to_owned(), text.clone()));
        return Err(Refusal::parameters(BTreeMap::from(errors)));
    }
    let state = call.state();
    let vm = state.vm(call.node(), call.vmid()).map_err(Refusal::failed)?;
    if let Some(name) = snapshot {
        return Ok(show(&vm.snapshot(name).map_err(Refusal::failed)?.config).into());
    }
    let mut config = vm.config.clone();
    if !call.params.flag("current") {
        for (key, value) in &vm.pending {
            match value {
                Some(value) => drop(config.insert(key.clone(), value.clone())),
                None => drop(config.remove(key)),
            }
        }
    }
    let mut row = show(&config);
    row["digest"] = vm.digest().into();
    Ok(row.into())
}

/// A configuration as it is answered.
pub(crate) fn show(config: &BTreeMap<String, String>) -> Value {
    let shown = config.iter().map(|(key, value)| (key.clone(), shown(key, value)));
    shown.collect::<Map<_, _>>().into()
}

/// `GET .../pending`: what holds and what waits, key by key.
pub(crate) fn pending(call: &Call) -> Answer {
    let state = call.state();
    let vm = state.vm(call.node(), call.vmid()).map_err(Refusal::failed)?;
    let mut rows = vec![json!({"key": "digest", "value": vm.digest()})];
    for (key, value) in &vm.config {
        let mut row = json!({"key": key, "value": shown(key, value)});
        match vm.pending.get(key) {
            Some(Some(value)) => row["pending"] = shown(key, value),
            Some(None) => row["delete"] = 1.into(),
            None => {}
        }
        rows.push(row);
    }
    for (key, value) in vm.pending.iter().filter(|(key, _)| !vm.config.contains_key(*key)) {
        if let Some(value) = value {
            rows.push(json!({"key": key, "pending": shown(key, value)}));
        }
    }
    Ok(Value::from(rows).into())
}

/// The configuration keys among the parameters; `cdrom` is another name for the second IDE drive.
pub(crate) fn given(call: &Call) -> Changes {
    let keys = call.params.iter().filter(|(key, _)| config_key(key).is_some());
    let keys = keys.map(|(key, value)| match key {
        "cdrom" if value.contains("media=") => ("ide2".to_owned(), Some(value.to_owned())),
        "cdrom" => ("ide2".to_owned(), Some(format!("{value},media=cdrom"))),
        _ => (key.to_owned(), Some(value.to_owned())),
    });
    keys.collect()
}

/// Reads the changes of a request, checking everything that needs no machine.
fn changes(call: &Call, delete: &str) -> Result<Changes, Refusal> {
    let mut changes = given(call);
    let deleted = call.params.list(delete);
    let reverted = call.params.list("revert");
    if changes.is_empty() && deleted.is_empty() && reverted.is_empty() {
        return Err(Refusal::failed("no options specified"));
    }
    for key in &reverted {
        if config_key(key).is_none() {
            return Err(Refusal::parameter("revert", format!("unknown option '{key}'")));
        }
        if changes.contains_key(*key) {
            let text = format!("you can't use '-{key}' and -revert {key}' at the same time");
            return Err(Refusal::parameter("delete", text));
        }
    }
    for key in deleted {
        let key = if key == "cdrom" { "ide2" } else { key };
        if changes.contains_key(key) {
            let text = format!("you can't use '-{key}' and -delete {key}' at the same time");
            return Err(Refusal::parameter("delete", text));
        }
        if reverted.contains(&key) {
            let text = format!("you can't use '-delete {key}' and -revert {key}' at the same time");
            return Err(Refusal::parameter("revert", text));
        }
        if config_key(key).is_none() {
            return Err(Refusal::parameter("delete", format!("unknown option '{key}'")));
        }
        changes.insert(key.to_owned(), None);
    }
    Ok(changes)
}

/// Cloud-init's keys, each a line of an `authorized_keys` file, percent-encoded.
pub(crate) fn check_ssh_keys(call: &Call) -> Result<(), Refusal> {
    let text = call.params.text("sshkeys");
    let text = percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is_key = |line: &str| {
        let mut words = line.split_whitespace().skip_while(|word| !is_key_type(word));
        words.next().is_some()
            && words.next().is_some_and(|key| key.starts_with("AAAA") && key.len() > 40)
    };
    if lines.into_iter().all(is_key) {
        Ok(())
    } else {
        Err(Refusal::failed("SSH public key validation error"))
    }
}

fn is_key_type(word: &str) -> bool {
    word.starts_with("ssh-") || word.starts_with("ecdsa-sha2-") || word.starts_with("sk-")
}

/// A value as the configuration keeps it.
fn normalized(key: &str, value: &str) -> String {
    match key {
        "tags" => {
            let tags: std::collections::BTreeSet<_> =
                super::formats::split_list(value).map(str::to_lowercase).collect();
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
    match super::formats::split_list(&order).find(|device| !is_there(device)) {
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

/// Everything that all ways of changing a configuration check before they touch it.
fn prepare(call: &Call, delete: &str) -> Result<Changes, Refusal> {
    call.no_root_option("skiplock")?;
    check_ssh_keys(call)?;
    let changes = changes(call, delete)?;
    let state = call.state();
    disks::check_values(&state, &changes)?;
    privileges::check_keys(&state, &call.who, call.vmid(), None, &changes)?;
    privileges::check_storages(&state, &call.who, call.vmid(), None, &changes)?;
    privileges::check_bridges(&state, &call.who, &changes)?;
    Ok(changes)
}

/// What is looked at under the machine's lock.
fn check(state: &State, call: &Call, changes: &Changes) -> Result<(), String> {
    let vm = state.vm(call.node(), call.vmid())?;
    if call.params.get("digest").is_some_and(|digest| digest != vm.digest()) {
        return Err("checksum mismatch (file change by other user?)".to_owned());
    }
    vm.check_lock()?;
    let value = |key: &str| match changes.get(key) {
        Some(value) => value.as_deref(),
        None => vm.config.get(key).map(String::as_str),
    };
    let number = |key: &str| {
        value(key).and_then(|value| value.trim_start_matches("current=").parse::<u64>().ok())
    };
    let touched =
        ["memory", "balloon"].iter().any(|key| matches!(changes.get(*key), Some(Some(_))));
    if touched && number("balloon").unwrap_or(0) > number("memory").unwrap_or(512) {
        return Err("balloon value too large (must be smaller than assigned memory)".to_owned());
    }
    for (key, change) in changes {
        let old = vm.config.get(key);
        if change.is_none() && old.is_some() && vm.flag("protection") {
            if is_drive(key) {
                return Err(format!("can't remove drive '{key}' - protection mode enabled"));
            }
            if let Some(old) = old.filter(|_| key.starts_with("unused")) {
                let volume = volume_of(old);
                return Err(format!(
                    "can't remove unused disk '{volume}' - protection mode enabled"
                ));
            }
        }
    }
    Ok(())
}

fn update_now(call: &Call, delete: &str) -> Answer {
    let changes = prepare(call, delete)?;
    let mut state = call.state();
    check(&state, call, &changes).map_err(Refusal::failed)?;
    let vm = state.vm(call.node(), call.vmid()).map_err(Refusal::failed)?;
    privileges::check_old(&state, &call.who, call.vmid(), vm, &changes)?;
    privileges::check_drives(&state, &call.who, call.vmid(), None, &changes)?;
    for key in call.params.list("revert") {
        state.vm_mut(call.node(), call.vmid()).map_err(Refusal::failed)?.pending.remove(key);
    }
    apply(&mut state, call.node(), call.vmid(), changes, call.params.flag("force"))
        .map_err(Refusal::failed)?;
    done()
}

/// `PUT .../config`: at once. The router holds the machine's own lock meanwhile.
pub(crate) fn update(call: &Call) -> Answer {
    update_now(call, "delete")
}

/// `PUT .../unlink`: removes drives.
pub(crate) fn unlink(call: &Call) -> Answer {
    update_now(call, "idlist")
}

/// `POST .../config`: the same as a task, which also looks at the drives.
pub(crate) fn update_as_task(call: &Call) -> Answer {
    let changes = prepare(call, "delete")?;
    check(&call.state(), call, &changes).map_err(Refusal::failed)?;
    let (node, vmid, force) = (call.node().to_owned(), call.vmid(), call.params.flag("force"));
    let who = call.who.clone();
    call.fork("qmconfig", vmid, |task| async move {
        let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
        task.work(task.world.pace.config).await?;
        let mut state = task.world.state();
        let vm = state.vm(&node, vmid)?;
        vm.check_lock()?;
        privileges::check_old(&state, &who, vmid, vm, &changes)
            .and_then(|()| privileges::check_drives(&state, &who, vmid, None, &changes))
            .map_err(|refusal| refusal.in_task())?;
        apply(&mut state, &node, vmid, changes, force)
    })
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
