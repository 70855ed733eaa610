//! `POST /nodes/{node}/qemu`: a machine from nothing.

use std::collections::BTreeMap;

use super::api::{Answer, Call, Refusal};
use super::config::{self, Changes, LOCK_WAIT};
use super::config_keys::{is_drive, is_net};
use super::disks;
use super::ha;
use super::power;
use super::privileges;
use super::random;
use super::state::{State, Vm, volume_of};
use super::world::unix_time;

/// Claims the id at once, so that of two requests one fails right away; the rest is a task.
pub(crate) fn create(call: &Call) -> Answer {
    config::check_ssh_keys(call)?;
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let pool = call.params.get("pool").map(str::to_owned);
    let mut changes = config::given(call);
    let mut state = call.state();
    authorize(&state, call, vmid, pool.as_deref(), &changes)?;
    if let Some(existing) = state.vms.get(&vmid) {
        let text = format!(
            "unable to create VM {vmid} - VM {vmid} already exists on node '{}'",
            existing.node
        );
        return Err(Refusal::failed(text));
    }
    if let Some(storage) = call.params.get("storage") {
        on_default_storage(&mut changes, storage);
    }
    let config = BTreeMap::from([("lock".to_owned(), "create".to_owned())]);
    state.vms.insert(vmid, Vm { node: node.clone(), config, ..Vm::default() });
    drop(state);
    let (start, managed) = (call.params.flag("start"), call.params.flag("ha-managed"));
    let who = call.who.clone();
    call.fork("qmcreate", vmid, |task| async move {
        let lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
        let worked = task.work(task.world.pace.create).await;
        let written = worked.and_then(|()| {
            let state = &mut task.world.state();
            privileges::check_drives(state, &who, vmid, pool.as_deref(), &changes)
                .map_err(|refusal| refusal.in_task())?;
            write(state, &node, vmid, changes, pool.as_deref())
        });
        if let Err(error) = written {
            let mut state = task.world.state();
            for (_, volume) in state.volumes_of(vmid) {
                state.free(&node, &volume);
            }
            state.vms.remove(&vmid);
            return Err(format!("unable to create VM {vmid} - {error}"));
        }
        drop(lock);
        if managed {
            let wanted = if start { "started" } else { "stopped" };
            ha::manage(&mut task.world.state(), vmid, wanted);
        }
        if start { power::boot(&task, &node, vmid).await } else { Ok(()) }
    })
}

/// Disks that name no storage lie on the one that the request names for all.
fn on_default_storage(changes: &mut Changes, storage: &str) {
    for (_, value) in changes.iter_mut().filter(|(key, _)| is_drive(key)) {
        let is_bare = |value: &String| {
            disks::new_disk(volume_of(value)).is_some_and(|disk| disk.storage.is_none())
        };
        if let Some(value) = value.as_mut().filter(|value| is_bare(value)) {
            *value = format!("{storage}:{value}");
        }
    }
}

fn authorize(
    state: &State,
    call: &Call,
    vmid: u32,
    pool: Option<&str>,
    changes: &Changes,
) -> Result<(), Refusal> {
    let who = &call.who;
    if let Some(pool) = pool.filter(|pool| !state.pools.contains_key(*pool)) {
        return Err(Refusal::forbidden(&format!("pool '{pool}' does not exist")));
    }
    let storage = call.params.get("storage");
    if let Some(storage) = storage {
        state.require(who, &format!("/storage/{storage}"), "Datastore.AllocateSpace")?;
    }
    if call.params.flag("ha-managed") {
        state.require(who, "/", "Sys.Console")?;
    }
    let by_pool = pool.is_some_and(|pool| state.may(who, &format!("/pool/{pool}"), "VM.Allocate"));
    if !by_pool && !state.may(who, &format!("/vms/{vmid}"), "VM.Allocate") {
        return Err(Refusal::forbidden(""));
    }
    privileges::check_storages(state, who, vmid, storage, changes)?;
    privileges::check_keys(state, who, vmid, pool, changes)?;
    privileges::check_bridges(state, who, changes)?;
    disks::check_values(state, changes)
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
    // The first disk, the first CD-ROM that is none of cloud-init's, then the network.
    let first = |wanted: &dyn Fn(&str) -> bool| vm.drives().find(|(_, drive)| wanted(drive));
    let disk = first(&|drive| !disks::is_cdrom(drive) && !disks::is_cloudinit(drive));
    let cdrom = first(&|drive| disks::is_cdrom(drive));
    let drives = [disk, cdrom].into_iter().flatten().map(|(slot, _)| slot.to_owned());
    let slots: Vec<_> = drives.chain(vm.config.keys().filter(|key| is_net(key)).cloned()).collect();
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
