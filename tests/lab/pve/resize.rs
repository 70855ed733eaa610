//! `PUT .../resize`, `POST .../move_disk` and `.../template`: what is done to disks that exist.

use super::access::Principal;
use super::api::{Answer, Call, Refusal};
use super::config::LOCK_WAIT;
use super::disks::{self, Wanted};
use super::state::{State, Volume, volume_of};
use super::tasks::Task;

/// A task since 8.0; also what cannot be done is found out by it.
pub(crate) fn resize(call: &Call) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    call.no_root_option("skiplock")?;
    let slot = call.params.text("disk").to_owned();
    let size = call.params.text("size").to_owned();
    let digest = call.params.get("digest").map(str::to_owned);
    let who = call.who.clone();
    call.fork("resize", vmid, |task| async move {
        run(&task, &who, &node, vmid, &slot, &size, digest).await
    })
}

async fn run(
    task: &Task,
    who: &Principal,
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
    if disks::is_cdrom(&drive) {
        return Err("you can't resize a cdrom".to_owned());
    }
    let volume = volume_of(&drive).to_owned();
    let storage = disks::storage_of(&volume).unwrap_or_default();
    state
        .require(who, &format!("/storage/{storage}"), "Datastore.AllocateSpace")
        .map_err(|refusal| refusal.in_task())?;
    let key = state.volume_id(node, &volume);
    let old = state
        .volumes
        .get(&key)
        .map(|volume| volume.size)
        .ok_or_else(|| format!("volume '{volume}' does not exist"))?;
    let wanted = match size.strip_prefix('+') {
        Some(more) => disks::parse_size(more).and_then(|more| old.checked_add(more)),
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

/// `POST .../move_disk`: to another storage, by copying it.
pub(crate) fn move_disk(call: &Call) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let own = |name: &str| call.params.get(name).map(str::to_owned);
    let (slot, format) = (call.params.text("disk").to_owned(), own("format"));
    let storage = match (own("storage"), own("target-vmid")) {
        (Some(storage), None) => storage,
        (given, _) => {
            let text = match given {
                Some(_) => "either set 'storage' or 'target-vmid', but not both",
                None => "both 'storage' and 'target-vmid' missing, either needs to be set",
            };
            let errors = ["storage", "target-vmid"].map(|name| (name.to_owned(), text.to_owned()));
            return Err(Refusal::parameters(errors.into()));
        }
    };
    let state = call.state();
    state.require(&call.who, &format!("/storage/{storage}"), "Datastore.AllocateSpace")?;
    let vm = state.vm(&node, vmid).map_err(Refusal::failed)?;
    vm.check_lock().map_err(Refusal::failed)?;
    if call.params.get("digest").is_some_and(|digest| digest != vm.digest()) {
        return Err(Refusal::modified());
    }
    let drive = vm.config.get(&slot);
    let drive = drive.ok_or_else(|| Refusal::failed(format!("disk '{slot}' does not exist")))?;
    if disks::is_cdrom(drive) {
        return Err(Refusal::failed("you can't move a cdrom"));
    }
    let old = volume_of(drive);
    let kept = state.volume(&node, old).map(|volume| volume.format.clone()).unwrap_or_default();
    if disks::storage_of(old) == Some(&storage) && format.as_ref().is_none_or(|it| *it == kept) {
        return Err(Refusal::failed("you can't move to the same storage with same format"));
    }
    if !state.storage(&storage)?.takes("images") {
        let text = format!("storage '{storage}' does not support vm images");
        return Err(Refusal::parameter("storage", text));
    }
    drop(state);
    let delete = call.params.flag("delete");
    call.fork("qmmove", vmid, |task| async move {
        let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
        let failed = |error| format!("storage migration failed: {error}");
        task.work(task.world.pace.full_clone).await.map_err(failed)?;
        let mut state = task.world.state();
        let drive = state.vm(&node, vmid)?.config.get(&slot).cloned().unwrap_or_default();
        let old = volume_of(&drive).to_owned();
        let from = state.volume(&node, &old).cloned();
        let from = from.ok_or_else(|| failed(format!("volume '{old}' does not exist")))?;
        let format = format.as_deref().unwrap_or(&from.format);
        let wanted = Wanted {
            node: &node,
            storage: &storage,
            vmid,
            size: from.size,
            format,
            base: None,
            image: from.image,
        };
        let new = state.allocate(wanted).map_err(failed)?;
        let moved = drive.replacen(&old, &new, 1);
        if delete {
            state.free(&node, &old);
        }
        let config = &mut state.vm_mut(&node, vmid)?.config;
        config.insert(slot, moved);
        let unused = (0..256).map(|index| format!("unused{index}"));
        if let Some(free) =
            unused.into_iter().find(|key| !config.contains_key(key)).filter(|_| !delete)
        {
            config.insert(free, old);
        }
        Ok(())
    })
}

/// `POST .../template`: disks become base images, and there is no way back.
pub(crate) fn template(call: &Call) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let disk = call.params.get("disk").map(str::to_owned);
    check_template(&call.state(), &node, vmid, disk.as_deref()).map_err(Refusal::failed)?;
    call.fork("qmtemplate", vmid, |task| async move {
        let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
        check_template(&task.world.state(), &node, vmid, disk.as_deref())?;
        task.work(task.world.pace.config).await?;
        let frozen = match &task.world.guests {
            Some(guests) => guests.freeze(vmid).await.map_err(|error| format!("{error:#}"))?,
            None => None,
        };
        let mut state = task.world.state();
        let wanted = |slot: &str| disk.as_ref().is_none_or(|disk| disk == slot);
        for (slot, old) in state.volumes_of(vmid).into_iter().filter(|(slot, _)| wanted(slot)) {
            let new = old.replacen(&format!("/vm-{vmid}-disk-"), &format!("/base-{vmid}-disk-"), 1);
            let (from, to) = (state.volume_id(&node, &old), state.volume_id(&node, &new));
            if let Some(volume) = state.volumes.remove(&from) {
                let image = volume.image.map(|image| frozen.clone().unwrap_or(image));
                state.volumes.insert(to, Volume { base: None, image, ..volume });
            }
            if let Some(drive) = state.vm_mut(&node, vmid)?.config.get_mut(&slot) {
                *drive = drive.replacen(&old, &new, 1);
            }
        }
        state.vm_mut(&node, vmid)?.config.insert("template".to_owned(), "1".to_owned());
        Ok(())
    })
}

fn check_template(state: &State, node: &str, vmid: u32, disk: Option<&str>) -> Result<(), String> {
    let vm = state.vm(node, vmid)?;
    vm.check_lock()?;
    if !vm.snapshots.is_empty() {
        return Err("unable to create template, because VM contains snapshots".to_owned());
    }
    if vm.is_template() && disk.is_none() {
        return Err("you can't convert a template to a template".to_owned());
    }
    if vm.running.is_some() {
        return Err("you can't convert a VM to template if VM is running".to_owned());
    }
    Ok(())
}
