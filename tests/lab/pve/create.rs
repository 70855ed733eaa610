//! `POST /nodes/{node}/qemu`: a machine from nothing.

use std::collections::BTreeMap;

use super::api::{Answer, Call, Refusal};
use super::config::{self, Changes, LOCK_WAIT};
use super::config_keys;
use super::power;
use super::random;
use super::state::{State, Vm};
use super::world::unix_time;

/// Claims the id at once, so that of two requests one fails right away; the rest is a task.
pub(crate) fn create(call: &Call) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let pool = call.params.get("pool").map(str::to_owned);
    let changes: Changes = call
        .params
        .iter()
        .filter(|(key, _)| config_keys::find(key).is_some())
        .map(|(key, value)| (key.to_owned(), Some(value.to_owned())))
        .collect();
    let mut state = call.state();
    authorize(&state, call, vmid, pool.as_deref(), &changes)?;
    if let Some(existing) = state.vms.get(&vmid) {
        let text = format!(
            "unable to create VM {vmid} - VM {vmid} already exists on node '{}'",
            existing.node
        );
        return Err(Refusal::failed(text));
    }
    let config = BTreeMap::from([("lock".to_owned(), "create".to_owned())]);
    state.vms.insert(vmid, Vm { node: node.clone(), config, ..Vm::default() });
    drop(state);
    let start = call.params.flag("start");
    call.fork("qmcreate", vmid, |task| async move {
        let lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
        let worked = task.work(task.world.pace.create).await;
        let written = worked
            .and_then(|()| write(&mut task.world.state(), &node, vmid, changes, pool.as_deref()));
        if let Err(error) = written {
            let mut state = task.world.state();
            for (_, volume) in state.volumes_of(vmid) {
                state.free(&node, &volume);
            }
            state.vms.remove(&vmid);
            return Err(format!("unable to create VM {vmid} - {error}"));
        }
        drop(lock);
        if start { power::boot(&task, &node, vmid).await } else { Ok(()) }
    })
}

fn authorize(
    state: &State,
    call: &Call,
    vmid: u32,
    pool: Option<&str>,
    changes: &Changes,
) -> Result<(), Refusal> {
    let by_pool =
        pool.is_some_and(|pool| state.may(&call.who, &format!("/pool/{pool}"), "VM.Allocate"));
    if !by_pool && !state.may(&call.who, &format!("/vms/{vmid}"), "VM.Allocate") {
        return Err(Refusal::forbidden(""));
    }
    if let Some(pool) = pool.filter(|pool| !state.pools.contains_key(*pool)) {
        return Err(Refusal::forbidden(&format!("pool '{pool}' does not exist")));
    }
    config::authorize_resources(state, &call.who, changes)?;
    config::authorize(state, &call.who, vmid, pool, changes)
}

fn write(
    state: &mut State,
    node: &str,
    vmid: u32,
    changes: Changes,
    pool: Option<&str>,
) -> Result<(), String> {
    config::apply(state, node, vmid, changes, false)?;
    let vm = state.vm_mut(node, vmid)?;
    let slots: Vec<_> = vm.drives().map(|(slot, _)| slot.to_owned()).collect();
    let nets =
        vm.config.keys().filter(|key| key.starts_with("net") && !key.starts_with("nets")).cloned();
    // Disks before CD-ROMs before the network, as the server guesses an order.
    let mut slots: Vec<_> = slots.into_iter().chain(nets).collect();
    slots.sort_by_key(|slot| (slot.starts_with("net"), slot.starts_with("ide")));
    let order =
        if slots.is_empty() { " ".to_owned() } else { format!("order={}", slots.join(";")) };
    vm.config.entry("boot".to_owned()).or_insert(order);
    vm.config.entry("smbios1".to_owned()).or_insert_with(|| format!("uuid={}", random::uuid()));
    vm.config.entry("vmgenid".to_owned()).or_insert_with(random::uuid);
    vm.config.insert("meta".to_owned(), format!("creation-qemu=10.0.2,ctime={}", unix_time()));
    vm.config.remove("lock");
    if let Some(pool) = pool.and_then(|pool| state.pools.get_mut(pool)) {
        pool.vms.insert(vmid);
    }
    Ok(())
}
