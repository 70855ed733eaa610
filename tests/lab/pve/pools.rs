//! `/pools`: groups of machines and storages that share rights.

use serde_json::{Value, json};

use super::api::{Answer, Call, Refusal, done};
use super::resources;
use super::state::{Pool, State};

fn missing(name: &str) -> String {
    format!("pool '{name}' does not exist")
}

fn find<'a>(state: &'a State, name: &str) -> Result<&'a Pool, Refusal> {
    state.pools.get(name).ok_or_else(|| Refusal::failed(missing(name)))
}

/// All members of a pool, or those of one kind; whoever may see the pool sees them.
fn members(call: &Call, state: &State, pool: &Pool) -> Vec<Value> {
    let wanted = |kind: &str| call.params.get("type").is_none_or(|wanted| wanted == kind);
    let vms = pool.vms.iter().filter(|_| wanted("qemu")).filter_map(|vmid| {
        let mut row = resources::vm_row(state, *vmid)?;
        for not_here in ["pool", "tags", "lock", "hastate"] {
            row.remove(not_here);
        }
        Some(Value::from(row))
    });
    let storages = pool.storages.iter().filter(|_| wanted("storage"));
    let node = state.nodes.keys().next();
    let storages = storages.filter_map(|name| resources::storage_row(state, node?, name));
    vms.chain(storages).collect()
}

fn row(name: &str, pool: &Pool) -> Value {
    let mut row = json!({"poolid": name});
    if let Some(comment) = &pool.comment {
        row["comment"] = comment.as_str().into();
    }
    row
}

/// `GET /pools`: those one may see, or with `poolid` that one and its members.
pub(crate) fn list(call: &Call) -> Answer {
    let state = call.state();
    if let Some(name) = call.params.get("poolid") {
        state.require(&call.who, &format!("/pool/{name}"), "Pool.Audit")?;
        let pool = find(&state, name)?;
        let mut row = row(name, pool);
        row["members"] = members(call, &state, pool).into();
        return Ok(json!([row]).into());
    }
    let pools = state
        .pools
        .iter()
        .filter(|(name, _)| state.may_any(&call.who, &format!("/pool/{name}"), &["Pool.Audit"]));
    Ok(pools.map(|(name, pool)| row(name, pool)).collect::<Value>().into())
}

/// `GET /pools/{poolid}`.
pub(crate) fn read(call: &Call) -> Answer {
    let state = call.state();
    let name = call.params.text("poolid");
    let pool = find(&state, name)?;
    let mut row = row(name, pool);
    row["members"] = members(call, &state, pool).into();
    Ok(row.into())
}

/// `POST /pools`.
pub(crate) fn create(call: &Call) -> Answer {
    let name = call.params.text("poolid");
    let failed = |text: String| Refusal::failed(format!("create pool failed: {text}"));
    let pools = &mut call.state().pools;
    if pools.contains_key(name) {
        return Err(failed(format!("pool '{name}' already exists")));
    }
    if let Some((parent, _)) = name.rsplit_once('/')
        && !pools.contains_key(parent)
    {
        return Err(failed(format!("parent '{parent}' of pool '{name}' does not exist")));
    }
    pools.insert(
        name.to_owned(),
        Pool { comment: call.params.get("comment").map(str::to_owned), ..Pool::default() },
    );
    done()
}

/// `PUT /pools` and `PUT /pools/{poolid}`: adds members, or removes them with `delete`. Ids need not exist.
pub(crate) fn update(call: &Call) -> Answer {
    let name = call.params.text("poolid");
    let failed = |text: String| Refusal::failed(format!("update pools failed: {text}"));
    let remove = call.params.flag("delete");
    let mut state = call.state();
    let before = state.pools.get(name).cloned().ok_or_else(|| failed(missing(name)))?;
    let mut pool = before;
    if let Some(comment) = call.params.get("comment") {
        pool.comment = Some(comment.to_owned());
    }
    for vmid in call.params.list("vms").into_iter().filter_map(|vmid| vmid.parse().ok()) {
        state.require_modify(&call.who, &format!("/vms/{vmid}"))?;
        if remove {
            if !pool.vms.remove(&vmid) {
                return Err(failed(format!("VM {vmid} is not a pool member")));
            }
            continue;
        }
        if pool.vms.contains(&vmid) {
            return Err(failed(format!("VM {vmid} is already a pool member")));
        }
        let other = state.pool_of(vmid).map(str::to_owned);
        if let Some(other) = other {
            if !call.params.flag("allow-move") {
                return Err(failed(format!(
                    "VM {vmid} belongs already to pool '{other}' and 'allow-move' is not set"
                )));
            }
            state.require(&call.who, &format!("/pool/{other}"), "Pool.Allocate")?;
            if let Some(other) = state.pools.get_mut(&other) {
                other.vms.remove(&vmid);
            }
        }
        pool.vms.insert(vmid);
    }
    for storage in call.params.list("storage") {
        state.require_modify(&call.who, &format!("/storage/{storage}"))?;
        let known = pool.storages.contains(storage);
        match (remove, known) {
            (true, false) => {
                return Err(failed(format!("Storage '{storage}' is not a pool member")));
            }
            (false, true) => {
                return Err(failed(format!("Storage '{storage}' is already a pool member")));
            }
            (true, true) => drop(pool.storages.remove(storage)),
            (false, false) => drop(pool.storages.insert(storage.to_owned())),
        }
    }
    state.pools.insert(name.to_owned(), pool);
    done()
}

/// `DELETE /pools` and `DELETE /pools/{poolid}`: only empty ones.
pub(crate) fn delete(call: &Call) -> Answer {
    let name = call.params.text("poolid");
    let failed = |text: String| Refusal::failed(format!("delete pool failed: {text}"));
    let mut state = call.state();
    let pool = state.pools.get(name).ok_or_else(|| failed(missing(name)))?;
    let existing = pool.vms.iter().find(|vmid| state.vms.contains_key(vmid));
    if let Some(vmid) = existing {
        return Err(failed(format!("pool '{name}' is not empty (contains VM {vmid})")));
    }
    if let Some(storage) = pool.storages.first() {
        return Err(failed(format!("pool '{name}' is not empty (contains storage '{storage}')")));
    }
    if let Some(below) = state.pools.keys().find(|pool| pool.starts_with(&format!("{name}/"))) {
        return Err(failed(format!("pool '{name}' is not empty (contains pool '{below}')")));
    }
    state.pools.remove(name);
    let path = format!("/pool/{name}");
    state.access.grants.retain(|grant, _| grant.path != path);
    done()
}
