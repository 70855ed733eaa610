//! `DELETE /nodes/{node}/qemu/{vmid}`.

use super::api::{Answer, Call, Refusal};
use super::config::LOCK_WAIT;
use super::state::State;
use super::tasks::Task;

/// Refuses machines that are protected or run; everything else is found out by the task.
pub(crate) fn destroy(call: &Call) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    call.no_root_option("skiplock")?;
    let purge = call.params.flag("purge");
    check(&call.state(), &node, vmid, purge).map_err(Refusal::failed)?;
    let everything = call.params.flag("destroy-unreferenced-disks");
    call.fork(
        "qmdestroy",
        vmid,
        |task| async move { run(&task, &node, vmid, purge, everything).await },
    )
}

fn check(state: &State, node: &str, vmid: u32, purge: bool) -> Result<(), String> {
    let vm = state.vm(node, vmid)?;
    if vm.flag("protection") {
        return Err(format!("can't remove VM {vmid} - protection mode enabled"));
    }
    if !purge && state.managed.contains_key(&vmid) {
        return Err(format!(
            "unable to remove VM {vmid} - used in HA resources and purge parameter not set."
        ));
    }
    if vm.running.is_some() {
        return Err(format!("VM {vmid} is running - destroy failed"));
    }
    Ok(())
}

async fn run(
    task: &Task,
    node: &str,
    vmid: u32,
    purge: bool,
    everything: bool,
) -> Result<(), String> {
    let world = &task.world;
    let _lock = world.locks.vm(node, vmid, LOCK_WAIT).await?;
    {
        let mut state = world.state();
        check(&state, node, vmid, purge)?;
        let vm = state.vm(node, vmid)?;
        if vm.lock() != Some("suspended") {
            vm.check_lock()?;
        }
        for (_, volume) in state.volumes_of(vmid) {
            let on_top = state.volumes.values().any(|other| other.base.as_deref() == Some(&volume));
            if on_top {
                return Err(format!("base volume '{volume}' is still in use by linked cloned"));
            }
        }
        state.vm_mut(node, vmid)?.config.insert("lock".to_owned(), "destroyed".to_owned());
    }
    task.work(world.pace.destroy).await?;
    if let Some(guests) = &world.guests {
        guests.destroy(vmid).await.map_err(|error| format!("{error:#}"))?;
    }
    let mut state = world.state();
    for (_, volume) in state.volumes_of(vmid) {
        // A disk that cannot be removed stays, and the machine goes all the same.
        if !state.free(node, &volume) {
            task.warn(format!("Could not remove disk '{volume}', check manually: volume is busy"));
        }
    }
    if everything {
        state.volumes.retain(|_, volume| volume.owner != vmid);
    }
    let path = format!("/vms/{vmid}");
    state.access.grants.retain(|grant, _| grant.path != path);
    for pool in state.pools.values_mut() {
        pool.vms.remove(&vmid);
    }
    state.vm_sets.remove(&vmid);
    state.vm_firewalls.remove(&vmid);
    state.managed.remove(&vmid);
    state.broadcast.remove(&vmid);
    state.vms.remove(&vmid);
    Ok(())
}
