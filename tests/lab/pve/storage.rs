//! `/storage` and the storages as nodes see them.

use serde_json::{Value, json};

use super::api::{Answer, Call, Refusal};
use super::state::{State, Storage};

const EITHER: &[&str] = &["Datastore.Audit", "Datastore.AllocateSpace"];

fn definition(name: &str, storage: &Storage) -> Value {
    let mut row = json!({"storage": name, "type": storage.kind, "content": storage.content, "digest": "0".repeat(40)});
    if storage.shared {
        row["shared"] = 1.into();
    }
    row
}

/// `GET /storage`.
pub(crate) fn list(call: &Call) -> Answer {
    let state = call.state();
    let visible = state
        .storages
        .iter()
        .filter(|(name, _)| state.may_any(&call.who, &format!("/storage/{name}"), EITHER));
    Ok(visible.map(|(name, storage)| definition(name, storage)).collect::<Value>().into())
}

/// `GET /storage/{storage}`.
pub(crate) fn read(call: &Call) -> Answer {
    let state = call.state();
    let name = call.params.text("storage");
    Ok(definition(name, state.storage(name)?).into())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share of a disk needs no more than a float's precision"
)]
fn status_row(storage: &Storage) -> Value {
    let used = if storage.full { storage.total } else { storage.used };
    json!({
        "type": storage.kind, "content": storage.content, "shared": u8::from(storage.shared), "active": 1, "enabled": 1,
        "total": storage.total, "used": used, "avail": storage.total - used,
        "used_fraction": used as f64 / storage.total as f64,
    })
}

/// `GET /nodes/{node}/storage`.
pub(crate) fn of_node(call: &Call) -> Answer {
    let state = call.state();
    let other = call.params.get("target").is_some_and(|target| target != call.node());
    let visible = state.storages.iter().filter(|(name, storage)| {
        state.may_any(&call.who, &format!("/storage/{name}"), EITHER)
            && call.params.get("storage").is_none_or(|wanted| wanted == *name)
            && call.params.list("content").iter().all(|content| storage.takes(content))
            && (!other || storage.shared)
    });
    let rows = visible.map(|(name, storage)| {
        let mut row = status_row(storage);
        row["storage"] = name.as_str().into();
        row
    });
    Ok(rows.collect::<Value>().into())
}

/// `GET /nodes/{node}/storage/{storage}/status`.
pub(crate) fn status(call: &Call) -> Answer {
    let state = call.state();
    Ok(status_row(state.storage(call.params.text("storage"))?).into())
}

/// `GET /nodes/{node}/storage/{storage}/content`: the volumes of those machines that one may see.
pub(crate) fn content(call: &Call) -> Answer {
    let state = call.state();
    let name = call.params.text("storage");
    let place = if state.storage(name)?.shared { "" } else { call.node() };
    if call.params.get("content").is_some_and(|content| content != "images") {
        return Ok(json!([]).into());
    }
    let rows = state.volumes.iter().filter(|(key, volume)| {
        key.node == place
            && key.id.starts_with(&format!("{name}:"))
            && call.params.get("vmid").is_none_or(|vmid| volume.owner.to_string() == vmid)
            && may_see(&state, call, volume.owner)
    });
    let rows = rows.map(|(key, volume)| {
        let mut row = json!({
            "volid": key.id, "content": "images", "format": volume.format, "size": volume.size, "used": volume.size / 10,
            "vmid": volume.owner, "ctime": super::world::unix_time(),
        });
        if let Some(base) = &volume.base {
            row["parent"] = base.as_str().into();
        }
        row
    });
    Ok(rows.collect::<Value>().into())
}

fn may_see(state: &State, call: &Call, owner: u32) -> bool {
    state.may(&call.who, &format!("/storage/{}", call.params.text("storage")), "Datastore.Allocate")
        || state.may(&call.who, &format!("/vms/{owner}"), "VM.Audit")
}

/// What POST of a volume would answer: the lab takes no uploads.
pub(crate) fn no_uploads(_call: &Call) -> Answer {
    Err(Refusal::failed("upload failed: the simulated storage takes no files"))
}
