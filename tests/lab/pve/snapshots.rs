//! `.../snapshot`: the machine's configuration and disks as they were at an instant.

use serde_json::{Value, json};

use super::api::{Answer, Call, Refusal, done};
use super::config::{self, LOCK_WAIT};
use super::disks;
use super::power;
use super::state::{Snapshot, State, Vm, volume_of};
use super::tasks::Task;
use super::world::unix_time;

/// `GET .../snapshot`: all of them, and the present.
pub(crate) fn list(call: &Call) -> Answer {
    let state = call.state();
    let vm = state.vm(call.node(), call.vmid()).map_err(Refusal::failed)?;
    let rows = vm.snapshots.iter().map(|(name, snapshot)| {
        let mut row = json!({
            "name": name, "snaptime": snapshot.time, "vmstate": 0, "description": snapshot.description,
        });
        if let Some(parent) = &snapshot.parent {
            row["parent"] = parent.as_str().into();
        }
        row
    });
    let mut current = json!({
        "name": "current", "digest": vm.digest(), "running": u8::from(vm.running.is_some()),
        "description": "You are here!",
    });
    if let Some(parent) = &vm.parent {
        current["parent"] = parent.as_str().into();
    }
    Ok(rows.chain([current]).collect::<Value>().into())
}

/// `POST .../snapshot`.
pub(crate) fn create(call: &Call) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let name = call.params.text("snapname").to_owned();
    if name == "current" || name.eq_ignore_ascii_case("pending") {
        let reserved = if name == "current" { "current" } else { "pending" };
        return Err(Refusal::failed(format!(
            "unable to use snapshot name '{reserved}' (reserved name)"
        )));
    }
    call.state().vm(&node, vmid).map_err(Refusal::failed)?;
    let description = call.params.text("description").to_owned();
    call.fork("qmsnapshot", vmid, |task| async move {
        let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
        check_create(&task.world.state(), &node, vmid, &name)?;
        task.work(task.world.pace.config).await?;
        let mut state = task.world.state();
        let vm = state.vm_mut(&node, vmid)?;
        let parent = vm.parent.replace(name.clone());
        let config = vm.config.clone();
        vm.snapshots.insert(name, Snapshot { config, description, time: unix_time(), parent });
        Ok(())
    })
}

fn check_create(state: &State, node: &str, vmid: u32, name: &str) -> Result<(), String> {
    let vm = state.vm(node, vmid)?;
    vm.check_lock()?;
    if vm.is_template() {
        return Err("you can't take a snapshot if it's a template".to_owned());
    }
    if vm.snapshots.contains_key(name) {
        return Err(format!("snapshot name '{name}' already used"));
    }
    let mut disks = vm.drives().filter(|(_, drive)| !disks::is_cdrom(drive));
    let can = |drive: &str| {
        state.volume(node, volume_of(drive)).is_none_or(|volume| volume.format == "qcow2")
    };
    if disks.all(|(_, drive)| can(drive)) {
        Ok(())
    } else {
        Err("snapshot feature is not available".to_owned())
    }
}

/// `DELETE .../snapshot/{snapname}`.
pub(crate) fn delete(call: &Call) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let name = call.params.text("snapname").to_owned();
    call.fork("qmdelsnapshot", vmid, |task| async move {
        let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
        {
            let state = task.world.state();
            let vm = state.vm(&node, vmid)?;
            vm.check_lock()?;
            vm.snapshot(&name)?;
        }
        task.work(task.world.pace.config).await?;
        let mut state = task.world.state();
        forget(state.vm_mut(&node, vmid)?, &name);
        Ok(())
    })
}

/// Takes a snapshot away; those on top of it stand on what it stood on.
fn forget(vm: &mut Vm, name: &str) {
    let Some(gone) = vm.snapshots.remove(name) else { return };
    let others = vm.snapshots.values_mut().map(|snapshot| &mut snapshot.parent);
    for parent in others.chain([&mut vm.parent]).filter(|parent| parent.as_deref() == Some(name)) {
        parent.clone_from(&gone.parent);
    }
}

/// `POST .../snapshot/{snapname}/rollback`.
pub(crate) fn rollback(call: &Call) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let (name, start) = (call.params.text("snapname").to_owned(), call.params.flag("start"));
    call.fork("qmrollback", vmid, |task| async move {
        restore(&task, &node, vmid, &name).await?;
        if start { power::boot(&task, &node, vmid).await } else { Ok(()) }
    })
}

async fn restore(task: &Task, node: &str, vmid: u32, name: &str) -> Result<(), String> {
    let _lock = task.world.locks.vm(node, vmid, LOCK_WAIT).await?;
    {
        let state = task.world.state();
        let vm = state.vm(node, vmid)?;
        if vm.is_template() {
            return Err("you can't rollback if vm is a template".to_owned());
        }
        vm.snapshot(name)?;
        vm.check_lock()?;
    }
    power::halt(task, node, vmid, false).await?;
    task.work(task.world.pace.config).await?;
    let mut state = task.world.state();
    let vm = state.vm_mut(node, vmid)?;
    vm.config = vm.snapshot(name)?.config.clone();
    vm.pending.clear();
    vm.parent = Some(name.to_owned());
    Ok(())
}

/// `GET .../snapshot/{snapname}/config`.
pub(crate) fn read(call: &Call) -> Answer {
    let state = call.state();
    let vm = state.vm(call.node(), call.vmid()).map_err(Refusal::failed)?;
    let snapshot = vm.snapshot(call.params.text("snapname")).map_err(Refusal::failed)?;
    let mut row = config::show(&snapshot.config);
    row["snaptime"] = snapshot.time.into();
    if !snapshot.description.is_empty() {
        row["description"] = snapshot.description.as_str().into();
    }
    if let Some(parent) = &snapshot.parent {
        row["parent"] = parent.as_str().into();
    }
    Ok(row.into())
}

/// `PUT .../snapshot/{snapname}/config`: only the description can change.
pub(crate) fn update(call: &Call) -> Answer {
    let Some(description) = call.params.get("description") else { return done() };
    let mut state = call.state();
    let vm = state.vm_mut(call.node(), call.vmid()).map_err(Refusal::failed)?;
    vm.check_lock().map_err(Refusal::failed)?;
    let name = call.params.text("snapname");
    vm.snapshot(name).map_err(Refusal::failed)?;
    if let Some(snapshot) = vm.snapshots.get_mut(name) {
        description.clone_into(&mut snapshot.description);
    }
    done()
}
