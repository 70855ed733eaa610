//! Configurations of machines: reading, changing, what waits for the next start.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::access::Principal;
use super::api::{Answer, Call, Refusal, done};
use super::config_keys::{self, NET, Needs, Takes};
use super::disks;
use super::random;
use super::state::{State, Vm, volume_of};

/// How long a change waits for the machine's own lock.
pub(crate) const LOCK_WAIT: Duration = Duration::from_secs(10);

/// What a request changes: new values, and deletions as `None`.
pub(crate) type Changes = BTreeMap<String, Option<String>>;

/// `GET .../config`: with the pending values, unless `current` is set.
pub(crate) fn read(call: &Call) -> Answer {
    let state = call.state();
    let vm = state.vm(call.node(), call.vmid()).map_err(Refusal::failed)?;
    let mut config = vm.config.clone();
    if !call.params.flag("current") {
        for (key, value) in &vm.pending {
            match value {
                Some(value) => drop(config.insert(key.clone(), value.clone())),
                None => drop(config.remove(key)),
            }
        }
    }
    let mut shown: Map<_, _> =
        config.iter().map(|(key, value)| (key.clone(), config_keys::shown(key, value))).collect();
    shown.insert("digest".to_owned(), vm.digest().into());
    Ok(Value::from(shown).into())
}

/// `GET .../pending`: what holds and what waits, key by key.
pub(crate) fn pending(call: &Call) -> Answer {
    let state = call.state();
    let vm = state.vm(call.node(), call.vmid()).map_err(Refusal::failed)?;
    let mut rows = vec![json!({"key": "digest", "value": vm.digest()})];
    for (key, value) in &vm.config {
        let mut row = json!({"key": key, "value": config_keys::shown(key, value)});
        match vm.pending.get(key) {
            Some(Some(value)) => row["pending"] = config_keys::shown(key, value),
            Some(None) => row["delete"] = 1.into(),
            None => {}
        }
        rows.push(row);
    }
    for (key, value) in vm.pending.iter().filter(|(key, _)| !vm.config.contains_key(*key)) {
        rows.push(json!({"key": key, "pending": value.as_deref().map(|value| config_keys::shown(key, value))}));
    }
    Ok(Value::from(rows).into())
}

/// Reads the changes of a request, checking everything that needs no machine.
fn changes(call: &Call) -> Result<Changes, Refusal> {
    let mut changes = Changes::new();
    for key in call.params.list("delete") {
        if config_keys::find(key).is_none() {
            return Err(Refusal::parameter("delete", format!("unknown option '{key}'")));
        }
        if call.params.get(key).is_some() {
            let text = format!("you can't use '-{key}' and -delete {key}' at the same time");
            return Err(Refusal::parameter("delete", text));
        }
        changes.insert(key.to_owned(), None);
    }
    for (key, value) in call.params.iter().filter(|(key, _)| config_keys::find(key).is_some()) {
        changes.insert(key.to_owned(), Some(value.to_owned()));
    }
    if changes.is_empty() && call.params.get("revert").is_none() {
        return Err(Refusal::failed("no options specified"));
    }
    Ok(changes)
}

/// Refuses keys that somebody may not set. Rights may come from the pool that the machine is about to join.
pub(crate) fn authorize(
    state: &State,
    who: &Principal,
    vmid: u32,
    pool: Option<&str>,
    changes: &Changes,
) -> Result<(), Refusal> {
    if who.is_root() {
        return Ok(());
    }
    let need = |privileges: &[&str]| state.require_vm_any(who, vmid, pool, privileges);
    for (key, value) in changes {
        let value = value.as_deref().unwrap_or_default();
        match config_keys::find(key).map_or(Needs::RootOnly, |key| key.needs) {
            Needs::Cpu => need(&["VM.Config.CPU"])?,
            Needs::Memory => need(&["VM.Config.Memory"])?,
            Needs::Network => need(&["VM.Config.Network"])?,
            Needs::Cloudinit => need(&["VM.Config.Cloudinit", "VM.Config.Network"])?,
            Needs::Options => need(&["VM.Config.Options"])?,
            Needs::Startup => {
                need(&["VM.Config.Options"])?;
                state.require(who, "/", "Sys.Modify")?;
            }
            Needs::Drive if value.contains(":cloudinit") => {
                need(&["VM.Config.CDROM"])?;
                need(&["VM.Config.Cloudinit"])?;
            }
            Needs::Drive if value.starts_with("none") || value.contains("media=cdrom") => {
                need(&["VM.Config.CDROM"])?;
            }
            Needs::Disk | Needs::Drive => need(&["VM.Config.Disk"])?,
            Needs::HardwareType => need(&["VM.Config.HWType"])?,
            Needs::Serial if value.is_empty() || value == "socket" => need(&["VM.Config.HWType"])?,
            Needs::Serial | Needs::RootOnly => {
                let verb = if value.is_empty() { "delete" } else { "set" };
                return Err(Refusal::failed(format!("only root can {verb} '{key}' config")));
            }
        }
    }
    Ok(())
}

/// Refuses storages and bridges that somebody may not use.
pub(crate) fn authorize_resources(
    state: &State,
    who: &Principal,
    changes: &Changes,
) -> Result<(), Refusal> {
    for (key, value) in changes {
        let Some(value) = value else { continue };
        if config_keys::is_drive(key) {
            state.require_drive(who, value)?;
        } else if key.starts_with("net") {
            authorize_bridge(state, who, value)?;
        }
    }
    Ok(())
}

/// Refuses a network card on a bridge that somebody may not use; with a VLAN tag the VLAN is what counts.
pub(crate) fn authorize_bridge(state: &State, who: &Principal, net: &str) -> Result<(), Refusal> {
    let net = NET.parse("net", net).unwrap_or_default();
    let Some(bridge) = net.get("bridge") else { return Ok(()) };
    let vlan = net.get("tag").map_or_else(String::new, |tag| format!("/{tag}"));
    state.require(who, &format!("/sdn/zones/localnetwork/{bridge}{vlan}"), "SDN.Use")
}

/// Cloud-init's keys, each a line of an `authorized_keys` file, percent-encoded.
fn check_ssh_keys(text: &str) -> Result<(), Refusal> {
    let text = percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let good =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).all(
            |line| {
                let mut words = line.split_whitespace().skip_while(|word| !is_key_type(word));
                words.next().is_some()
                    && words.next().is_some_and(|key| key.starts_with("AAAA") && key.len() > 40)
            },
        );
    if good { Ok(()) } else { Err(Refusal::failed("SSH public key validation error")) }
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
        _ if key.starts_with("net") => with_mac(value),
        _ => value.to_owned(),
    }
}

/// A network card as it is kept: model and address first, the address made up if none was given.
fn with_mac(value: &str) -> String {
    let mut net = NET.parse("net", value).unwrap_or_default();
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
    for (key, value) in changes {
        let value = match value {
            Some(value) if config_keys::is_drive(&key) => {
                Some(state.make_drive(node, vmid, &value)?)
            }
            Some(value) => Some(normalized(&key, &value)),
            None => None,
        };
        let vm = state.vm_mut(node, vmid)?;
        let waits = vm.running.is_some()
            && config_keys::find(&key).is_some_and(|key| key.takes == Takes::AtStart);
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
            Some(value) => drop(vm.config.insert(key, value)),
            None => remove(state, node, vmid, &key, force),
        }
    }
    Ok(())
}

/// Removes a key. A disk is only detached; a cloud-init drive, or with `force` any, goes with it.
fn remove(state: &mut State, node: &str, vmid: u32, key: &str, force: bool) {
    let Ok(vm) = state.vm_mut(node, vmid) else { return };
    let Some(old) = vm.config.remove(key) else { return };
    if !config_keys::is_drive(key) && !key.starts_with("unused") {
        return;
    }
    let volume = volume_of(&old).to_owned();
    if force || key.starts_with("unused") || disks::is_cloudinit(&old) {
        state.free(node, &volume);
    } else if !old.contains("media=cdrom")
        && let Some(slot) = (0..256)
            .map(|index| format!("unused{index}"))
            .find(|slot| !vm.config.contains_key(slot))
    {
        vm.config.insert(slot, volume);
    }
}

/// Moves what waited into the configuration: a start does that.
pub(crate) fn apply_pending(vm: &mut Vm) {
    for (key, value) in std::mem::take(&mut vm.pending) {
        match value {
            Some(value) => drop(vm.config.insert(key, value)),
            None => drop(vm.config.remove(&key)),
        }
    }
}

/// Everything that both ways of changing a configuration check before they touch it.
fn prepare(call: &Call) -> Result<Changes, Refusal> {
    if call.params.flag("skiplock") && !call.who.is_root() {
        return Err(Refusal::parameter("skiplock", "Only root may use this option."));
    }
    let changes = changes(call)?;
    if let Some(Some(keys)) = changes.get("sshkeys") {
        check_ssh_keys(keys)?;
    }
    let state = call.state();
    authorize(&state, &call.who, call.vmid(), None, &changes)?;
    authorize_resources(&state, &call.who, &changes)?;
    Ok(changes)
}

fn check_unlocked(state: &State, call: &Call) -> Result<(), String> {
    let vm = state.vm(call.node(), call.vmid())?;
    if call.params.get("digest").is_some_and(|digest| digest != vm.digest()) {
        return Err("checksum mismatch (file change by other user?)".to_owned());
    }
    vm.check_lock()
}

/// `PUT .../config`: at once. The router holds the machine's own lock meanwhile.
pub(crate) fn update(call: &Call) -> Answer {
    let changes = prepare(call)?;
    let mut state = call.state();
    check_unlocked(&state, call).map_err(Refusal::failed)?;
    for key in call.params.list("revert") {
        state.vm_mut(call.node(), call.vmid()).map_err(Refusal::failed)?.pending.remove(key);
    }
    apply(&mut state, call.node(), call.vmid(), changes, call.params.flag("force"))
        .map_err(Refusal::failed)?;
    done()
}

/// `POST .../config`: the same as a task.
pub(crate) fn update_as_task(call: &Call) -> Answer {
    let changes = prepare(call)?;
    check_unlocked(&call.state(), call).map_err(Refusal::failed)?;
    let (node, vmid, force) = (call.node().to_owned(), call.vmid(), call.params.flag("force"));
    call.fork("qmconfig", vmid, |task| async move {
        let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
        task.work(task.world.pace.config).await?;
        task.world.state().vm(&node, vmid)?.check_lock()?;
        apply(&mut task.world.state(), &node, vmid, changes, force)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_in_the_servers_own_form() {
        assert_eq!(normalized("tags", "b;a;B"), "a;b");
        assert_eq!(normalized("memory", "current=512"), "512");
        let net = normalized("net0", "virtio,bridge=vmbr0,tag=119");
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
