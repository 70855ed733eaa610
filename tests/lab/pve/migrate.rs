//! `.../migrate`: moving a machine to another node of the cluster.

use std::sync::Arc;

use serde_json::{Map, json};

use super::access::Principal;
use super::api::{Answer, Call, Refusal};
use super::config::LOCK_WAIT;
use super::disks;
use super::ha;
use super::state::{State, Vm, volume_of};
use super::tasks::{self, Task};
use super::world::World;

/// `GET .../migrate`: where the machine could go, and what it has that stays behind.
pub(crate) fn preconditions(call: &Call) -> Answer {
    let state = call.state();
    let vm = state.vm(call.node(), call.vmid()).map_err(Refusal::failed)?;
    vm.check_lock().map_err(Refusal::failed)?;
    let others: Vec<_> = state.nodes.keys().filter(|node| *node != call.node()).collect();
    let local_disks: Vec<_> = local(&state, vm)
        .map(|(_, drive)| {
            let volume = volume_of(drive);
            let size = state.volume(&vm.node, volume).map_or(0, |volume| volume.size);
            json!({"volid": volume, "size": size, "cdrom": u8::from(disks::is_cdrom(drive)), "is_unused": 0})
        })
        .collect();
    let mut row = json!({
        "running": u8::from(vm.running.is_some()), "allowed_nodes": others, "not_allowed_nodes": Map::new(),
        "local_disks": local_disks, "local_resources": [], "mapped-resources": [], "mapped-resource-info": {},
    });
    if call.world.version == super::Version::V9_1 {
        row["has-dbus-vmstate"] = 1.into();
    }
    if state.managed.contains_key(&call.vmid()) && call.world.version == super::Version::V9_1 {
        row["dependent-ha-resources"] = json!([]);
    }
    Ok(row.into())
}

/// The drives whose volumes no other node sees.
fn local<'a>(state: &'a State, vm: &'a Vm) -> impl Iterator<Item = (&'a str, &'a str)> {
    vm.drives().filter(|(_, drive)| {
        let storage = disks::storage_of(volume_of(drive)).and_then(|name| state.storages.get(name));
        storage.is_some_and(|storage| !storage.shared)
    })
}

/// `POST .../migrate`.
pub(crate) fn migrate(call: &Call) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let target = call.params.text("target").to_owned();
    if target == node {
        return Err(Refusal::parameter("target", "target is local node."));
    }
    let state = call.state();
    if !state.nodes.contains_key(&target) {
        return Err(Refusal::failed(format!("no such cluster node '{target}'")));
    }
    for option in ["force", "migration_type", "migration_network"] {
        call.no_root_option(option)?;
    }
    let vm = state.vm(&node, vmid).map_err(Refusal::failed)?;
    vm.check_lock().map_err(Refusal::failed)?;
    if vm.running.is_some() && !call.params.flag("online") {
        return Err(Refusal::failed("can't migrate running VM without --online"));
    }
    if let Some(storage) = call.params.get("targetstorage").filter(|storage| *storage != "1") {
        state.require(&call.who, &format!("/vms/{vmid}"), "VM.Config.Disk")?;
        state.storage(storage)?;
        state.require(&call.who, &format!("/storage/{storage}"), "Datastore.AllocateSpace")?;
    }
    let managed = state.managed.contains_key(&vmid);
    drop(state);
    let with_disks = call.params.flag("with-local-disks");
    if managed {
        return ha::request(call, "hamigrate", move |world| {
            go(world, node, vmid, target, with_disks);
        });
    }
    call.fork(
        "qmigrate",
        vmid,
        |task| async move { run(&task, &node, vmid, &target, with_disks).await },
    )
}

/// Starts the task that the high-availability manager was asked for.
fn go(world: &Arc<World>, node: String, vmid: u32, target: String, with_disks: bool) {
    let who = Principal::parse("root@pam");
    tasks::fork(world, &node.clone(), who, "qmigrate", vmid, |task| async move {
        run(&task, &node, vmid, &target, with_disks).await
    });
}

async fn run(
    task: &Task,
    node: &str,
    vmid: u32,
    target: &str,
    with_disks: bool,
) -> Result<(), String> {
    let _lock = task.world.locks.vm(node, vmid, LOCK_WAIT).await?;
    {
        let mut state = task.world.state();
        let vm = state.vm(node, vmid)?;
        vm.check_lock()?;
        let kept = local(&state, vm).find(|(_, drive)| !disks::is_cloudinit(drive));
        if let Some((_, drive)) = kept.filter(|_| vm.running.is_some() && !with_disks) {
            let volume = volume_of(drive).to_owned();
            task.log(format!("can't migrate local disk '{volume}': can't live migrate attached local disks without with-local-disks option"));
            return Err("migration aborted (duration 00:00:00): Failed to sync data - can't migrate VM - check log".to_owned());
        }
        state.vm_mut(node, vmid)?.config.insert("lock".to_owned(), "migrate".to_owned());
    }
    let worked = task.work(task.world.pace.full_clone).await;
    let mut state = task.world.state();
    let volumes = state.volumes_of(vmid);
    let vm = state.vm_mut(node, vmid)?;
    vm.config.remove("lock");
    worked.map_err(|error| format!("migration aborted (duration 00:00:01): {error}"))?;
    target.clone_into(&mut vm.node);
    for (_, id) in volumes {
        let (from, to) = (state.volume_id(node, &id), state.volume_id(target, &id));
        if let Some(volume) = state.volumes.remove(&from) {
            state.volumes.insert(to, volume);
        }
    }
    Ok(())
}
