//! `/cluster/ha`: machines that the high-availability manager looks after.
//!
//! Of those, start, stop and migrate only record a request: the task they begin is over at once, and the manager does
//! the work some time later, with a task of its own.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Version;
use super::api::{Answer, Call, Refusal, done};
use super::formats::ha_resource;
use super::state::{Managed, State};
use super::world::World;

/// Parameters that are kept as they are given.
const OPTIONS: &[&str] = &["state", "comment", "group", "max_relocate", "max_restart", "failback"];

/// Puts a machine under the manager's care.
pub(crate) fn manage(state: &mut State, vmid: u32, wanted: &str) {
    let managed = state.managed.entry(vmid).or_default();
    managed.options.insert("state".to_owned(), wanted.to_owned());
}

/// Answers with a task that only records a request; the work comes later.
pub(crate) fn request(
    call: &Call,
    kind: &'static str,
    work: impl FnOnce(&Arc<World>) + Send + 'static,
) -> Answer {
    let world = Arc::clone(&call.world);
    tokio::spawn(async move {
        tokio::time::sleep(world.pace.round).await;
        work(&world);
    });
    call.fork(kind, call.vmid(), |_| async { Ok(()) })
}

fn row(vmid: u32, managed: &Managed) -> Value {
    let mut row = json!({"sid": format!("vm:{vmid}"), "type": "vm", "digest": "0".repeat(40)});
    for (name, value) in &managed.options {
        row[name] = value.parse::<i64>().map_or_else(|_| value.as_str().into(), Into::into);
    }
    row
}

/// `GET /cluster/ha/resources`.
pub(crate) fn list(call: &Call) -> Answer {
    let state = call.state();
    let wanted = call.params.get("type").is_none_or(|kind| kind == "vm");
    let rows = state.managed.iter().filter(|_| wanted).map(|(vmid, managed)| row(*vmid, managed));
    Ok(rows.collect::<Value>().into())
}

fn vmid(call: &Call) -> u32 {
    ha_resource(call.params.text("sid")).unwrap_or_default()
}

fn missing(vmid: u32) -> String {
    format!("no such resource 'vm:{vmid}'")
}

fn set(call: &Call, managed: &mut Managed) {
    for name in OPTIONS {
        if let Some(value) = call.params.get(name) {
            managed.options.insert((*name).to_owned(), value.to_owned());
        }
    }
}

/// `POST /cluster/ha/resources`.
pub(crate) fn create(call: &Call) -> Answer {
    let vmid = vmid(call);
    let mut state = call.state();
    if !state.vms.contains_key(&vmid) {
        return Err(Refusal::failed(format!(
            "unable to add resource 'vm:{vmid}' - VM {vmid} does not exist in cluster"
        )));
    }
    if state.managed.contains_key(&vmid) {
        let text = format!("create resource failed: resource ID 'vm:{vmid}' already defined");
        return Err(Refusal::failed(text));
    }
    manage(&mut state, vmid, "started");
    set(call, state.managed.entry(vmid).or_default());
    done()
}

/// `GET /cluster/ha/resources/{sid}`.
pub(crate) fn read(call: &Call) -> Answer {
    let vmid = vmid(call);
    let state = call.state();
    let managed = state.managed.get(&vmid).ok_or_else(|| Refusal::failed(missing(vmid)))?;
    Ok(row(vmid, managed).into())
}

/// `PUT /cluster/ha/resources/{sid}`.
pub(crate) fn update(call: &Call) -> Answer {
    let vmid = vmid(call);
    let mut state = call.state();
    let failed = || Refusal::failed(format!("update resource failed: {}", missing(vmid)));
    let managed = state.managed.get_mut(&vmid).ok_or_else(failed)?;
    for name in call.params.list("delete") {
        managed.options.remove(name);
    }
    set(call, managed);
    done()
}

/// `DELETE /cluster/ha/resources/{sid}`.
pub(crate) fn delete(call: &Call) -> Answer {
    let vmid = vmid(call);
    let text = format!("cannot delete service 'vm:{vmid}', not HA managed!");
    call.state().managed.remove(&vmid).ok_or_else(|| Refusal::failed(text))?;
    done()
}

/// `GET /cluster/ha/groups`, which 9 made into rules.
pub(crate) fn groups(call: &Call) -> Answer {
    match call.world.version {
        Version::V8_4 => Ok(json!([]).into()),
        Version::V9_1 => {
            Err(Refusal::failed("cannot index groups: ha groups have been migrated to rules"))
        }
    }
}
