//! `PUT .../resize` and `POST .../template`: what is done to disks that exist.

use super::api::{Answer, Call, Refusal};
use super::config::LOCK_WAIT;
use super::config_keys;
use super::disks;
use super::state::{Volume, volume_of};
use super::tasks::Task;

/// A task since 8.0; also what cannot be done is found out by it.
pub(crate) fn resize(call: &Call) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let slot = call.params.text("disk").to_owned();
    if !config_keys::is_drive(&slot) {
        return Err(Refusal::parameter(
            "disk",
            format!("value '{slot}' does not have a value in the enumeration"),
        ));
    }
    let size = call.params.text("size").to_owned();
    let digest = call.params.get("digest").map(str::to_owned);
    call.fork(
        "resize",
        vmid,
        |task| async move { run(&task, &node, vmid, &slot, &size, digest).await },
    )
}

async fn run(
    task: &Task,
    node: &str,
    vmid: u32,
    slot: &str,
    size: &str,
    digest: Option<String>,
) -> Result<(), String> {
    let _lock = task.world.locks.vm(node, vmid, LOCK_WAIT).await?;
    task.work(task.world.pace.config).await?;
    let mut state = task.world.state();
    let vm = state.vm(node, vmid)?;
    if digest.is_some_and(|digest| digest != vm.digest()) {
        return Err("checksum mismatch (file change by other user?)".to_owned());
    }
    vm.check_lock()?;
    let drive =
        vm.config.get(slot).cloned().ok_or_else(|| format!("disk '{slot}' does not exist"))?;
    if drive.contains("media=cdrom") {
        return Err("you can't resize a cdrom".to_owned());
    }
    let volume = volume_of(&drive).to_owned();
    let key = state.volume_id(node, &volume);
    let old = state
        .volumes
        .get(&key)
        .map(|volume| volume.size)
        .ok_or_else(|| format!("volume '{volume}' does not exist"))?;
    let wanted = match size.strip_prefix('+') {
        Some(more) => disks::parse_size(more).map(|more| old + more),
        None => disks::parse_size(size),
    };
    let wanted = wanted.ok_or("unable to parse size")?;
    if wanted < old {
        return Err("shrinking disks is not supported".to_owned());
    }
    if let Some(volume) = state.volumes.get_mut(&key) {
        volume.size = wanted;
    }
    let drive = disks::with_option(&drive, "size", &disks::show_size(wanted));
    state.vm_mut(node, vmid)?.config.insert(slot.to_owned(), drive);
    Ok(())
}

/// `POST .../template`: disks become base images, and there is no way back.
pub(crate) fn template(call: &Call) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    {
        let state = call.state();
        let vm = state.vm(&node, vmid).map_err(Refusal::failed)?;
        vm.check_lock().map_err(Refusal::failed)?;
        if vm.is_template() {
            return Err(Refusal::failed("you can't convert a template to a template"));
        }
        if vm.running.is_some() {
            return Err(Refusal::failed("you can't convert a VM to template if VM is running"));
        }
    }
    call.fork("qmtemplate", vmid, |task| async move {
        let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
        task.work(task.world.pace.config).await?;
        let mut state = task.world.state();
        for (slot, old) in state.volumes_of(vmid) {
            let new = old.replacen(&format!("/vm-{vmid}-disk-"), &format!("/base-{vmid}-disk-"), 1);
            let (from, to) = (state.volume_id(&node, &old), state.volume_id(&node, &new));
            if let Some(volume) = state.volumes.remove(&from) {
                state.volumes.insert(to, Volume { base: None, ..volume });
            }
            if let Some(drive) = state.vm_mut(&node, vmid)?.config.get_mut(&slot) {
                *drive = drive.replacen(&old, &new, 1);
            }
        }
        state.vm_mut(&node, vmid)?.config.insert("template".to_owned(), "1".to_owned());
        Ok(())
    })
}
