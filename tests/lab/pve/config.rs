//! Configurations of machines: reading, changing, what waits for the next start.

mod apply;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::api::{Answer, Call, Refusal, done};
use super::config_keys::{is_drive, shown};
use super::disks;
use super::privileges;
use super::schema::config_key;
use super::state::{State, volume_of};

pub(crate) use self::apply::{apply, apply_pending};

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
