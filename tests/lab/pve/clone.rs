//! `POST .../clone`: how machines come from a template.
//!
//! Many things are refused before the task begins, but the id is claimed inside it: two clones onto one id both get a
//! UPID. The new configuration is there from early on, locked; disks come late and membership of a pool last.

use std::collections::BTreeMap;
use std::time::Duration;

use super::api::{Answer, Call, Refusal};
use super::config_keys::is_net;
use super::disks::{self, Wanted};
use super::privileges;
use super::random;
use super::state::{State, Vm, volume_of};
use super::tasks::Task;

/// What a clone says of itself when it is stopped.
const INTERRUPTED: &str = "interrupted by signal";

/// Clones do not wait long for a machine that is busy.
const LOCK_WAIT: Duration = Duration::from_secs(1);

struct Job {
    node: String,
    source: u32,
    new: u32,
    target: Option<String>,
    pool: Option<String>,
    /// Where full copies go.
    storage: Option<String>,
    format: Option<String>,
    snapshot: Option<String>,
    full: bool,
    name: Option<String>,
    description: Option<String>,
}

/// Checks what can be checked and begins.
pub(crate) fn clone(call: &Call) -> Answer {
    let own = |name: &str| call.params.get(name).map(str::to_owned);
    let state = call.state();
    let (node, source) = (call.node().to_owned(), call.vmid());
    state.vm_there(&node, source).map_err(Refusal::failed)?;
    let pool = own("pool");
    if let Some(pool) = pool.as_ref().filter(|pool| !state.pools.contains_key(*pool)) {
        return Err(Refusal::forbidden(&format!("pool '{pool}' does not exist")));
    }
    let target = own("target").filter(|target| *target != node && target != "localhost");
    if let Some(target) = target.as_ref().filter(|target| !state.nodes.contains_key(*target)) {
        return Err(Refusal::failed(format!("no such cluster node '{target}'")));
    }
    let storage = own("storage");
    if let Some(name) = &storage {
        let target_storage = state.storage(name)?;
        if !target_storage.takes("images") {
            let text = format!("storage '{name}' does not support vm images");
            return Err(Refusal::parameter("storage", text));
        }
        if target.is_some() && !target_storage.shared {
            return Err(Refusal::failed(format!("can't clone to non-shared storage '{name}'")));
        }
    }
    let vm = state.vm(&node, source).map_err(Refusal::failed)?;
    vm.check_lock().map_err(Refusal::failed)?;
    let snapshot = own("snapname");
    if let Some(name) = &snapshot {
        vm.snapshot(name).map_err(Refusal::failed)?;
    }
    let full = call.params.get("full").map_or(!vm.is_template(), |full| full == "1");
    let job = Job {
        new: call.params.number("newid"),
        storage,
        format: own("format"),
        snapshot,
        name: own("name").filter(|name| !name.is_empty()),
        description: own("description").filter(|text| !text.is_empty()),
        node,
        source,
        target,
        pool,
        full,
    };
    check(&state, call, vm, &job)?;
    drop(state);
    call.fork("qmclone", source, |task| async move { run(&task, job).await })
}

/// `GET .../feature`: what can be done with the machine's disks where they lie.
pub(crate) fn feature(call: &Call) -> Answer {
    let state = call.state();
    state.vm_there(call.node(), call.vmid()).map_err(Refusal::failed)?;
    let vm = state.vm(call.node(), call.vmid()).map_err(Refusal::failed)?;
    if let Some(name) = call.params.get("snapname") {
        vm.snapshot(name).map_err(Refusal::failed)?;
    }
    let disks: Vec<_> = vm.drives().filter(|(_, drive)| !disks::is_cdrom(drive)).collect();
    let formats = disks.iter().filter_map(|(_, drive)| state.volume(&vm.node, volume_of(drive)));
    let has = match call.params.text("feature") {
        "snapshot" => formats.into_iter().all(|volume| volume.format == "qcow2"),
        "clone" => vm.is_template(),
        _ => true,
    };
    let is_shared = |drive: &str| {
        let storage = disks::storage_of(volume_of(drive)).and_then(|name| state.storages.get(name));
        storage.is_some_and(|storage| storage.shared)
    };
    let nodes: Vec<_> = if disks.iter().all(|(_, drive)| is_shared(drive)) {
        state.nodes.keys().cloned().collect()
    } else {
        vec![vm.node.clone()]
    };
    Ok(serde_json::json!({"hasFeature": u8::from(has), "nodes": nodes}).into())
}

fn check(state: &State, call: &Call, vm: &Vm, job: &Job) -> Result<(), Refusal> {
    for option in ["storage", "format"] {
        if !job.full && call.params.get(option).is_some() {
            return Err(Refusal::failed(format!(
                "parameter '{option}' not allowed for linked clones"
            )));
        }
    }
    let mut all_shared = true;
    for (_, drive) in vm.drives() {
        let Some(source) = disks::storage_of(volume_of(drive)) else { continue };
        all_shared &= state.storage(source)?.shared;
        if !disks::is_cdrom(drive) {
            let storage = job.storage.as_deref().unwrap_or(source);
            state.require(&call.who, &format!("/storage/{storage}"), "Datastore.AllocateSpace")?;
        }
    }
    for (_, net) in vm.config.iter().filter(|(key, _)| is_net(key)) {
        privileges::check_bridge(state, &call.who, net)?;
    }
    if let Some(target) = job.target.as_ref().filter(|_| !all_shared) {
        return Err(Refusal::failed(format!(
            "can't clone VM to node '{target}' (VM uses local storage)"
        )));
    }
    let new = job.new;
    if state.vms.get(&new).is_some_and(|other| other.node == job.node) {
        return Err(Refusal::failed(format!(
            "unable to create VM {new}: config file already exists"
        )));
    }
    let disk = vm.drives().find(|(_, drive)| !disks::is_cdrom(drive));
    match disk.filter(|_| !job.full && !vm.is_template()) {
        Some((slot, drive)) => {
            let volume = volume_of(drive);
            Err(Refusal::failed(format!(
                "Linked clone feature is not supported for '{volume}' ({slot})"
            )))
        }
        None => Ok(()),
    }
}

async fn run(task: &Task, job: Job) -> Result<(), String> {
    let locks = &task.world.locks;
    let runs = task.world.state().vm(&job.node, job.source)?.running.is_some();
    // Clones of a stopped machine run side by side.
    let (_shared, _alone) = if runs {
        (None, Some(locks.vm(&job.node, job.source, LOCK_WAIT).await?))
    } else {
        (Some(locks.vm_shared(&job.node, job.source, LOCK_WAIT).await?), None)
    };
    let _new = locks.vm(&job.node, job.new, LOCK_WAIT).await?;
    claim(&mut task.world.state(), &job)?;
    let result = copy(task, &job).await;
    if result.is_err() {
        let mut state = task.world.state();
        for (_, volume) in state.volumes_of(job.new) {
            state.free(&job.node, &volume);
        }
        state.vms.remove(&job.new);
        state.vm_sets.remove(&job.new);
    }
    result.map_err(|error| format!("clone failed: {error}"))
}

/// Takes the id: the cluster's file system refuses a second file for it on any node.
fn claim(state: &mut State, job: &Job) -> Result<(), String> {
    let new = job.new;
    if let Some(other) = state.vms.get(&new) {
        if other.node == job.node {
            return Err(format!("unable to create VM {new}: config file already exists"));
        }
        let file = format!("/etc/pve/nodes/{}/qemu-server/{new}.conf", job.node);
        return Err(format!("close (rename) atomic file '{file}' failed: File exists"));
    }
    let config = [("lock", "clone"), ("description", " qmclone temporary file")];
    let config = config.map(|(key, value)| (key.to_owned(), value.to_owned()));
    state.vms.insert(
        new,
        Vm { node: job.node.clone(), config: BTreeMap::from(config), ..Vm::default() },
    );
    Ok(())
}

async fn copy(task: &Task, job: &Job) -> Result<(), String> {
    let world = &task.world;
    task.log(format!(
        "create {} clone of VM {}",
        if job.full { "full" } else { "linked" },
        job.source
    ));
    task.work(world.pace.config).await.map_err(|_| INTERRUPTED)?;
    let (config, drives) = {
        let mut state = world.state();
        let mut source = state.vm(&job.node, job.source)?.clone();
        if let Some(name) = &job.snapshot {
            source.config = source.snapshot(name)?.config.clone();
        }
        let (config, drives) = inherit(&source, job);
        let mut early = config.clone();
        early.insert("lock".to_owned(), "clone".to_owned());
        state.vm_mut(&job.node, job.new)?.config = early;
        (config, drives)
    };
    if world.faults.clone_fails() {
        return Err(
            "copy failed: command '/usr/bin/qemu-img create' failed: exit code 1".to_owned()
        );
    }
    let pace = if job.full { world.pace.full_clone } else { world.pace.linked_clone };
    let mut made = BTreeMap::new();
    for (slot, drive) in drives {
        let from = disks::storage_of(volume_of(&drive)).unwrap_or_default().to_owned();
        let storage = job.storage.clone().filter(|_| job.full).unwrap_or(from);
        let shared = world.state().storage(&storage).is_ok_and(|storage| storage.shared);
        let lock = world.locks.storage(&job.node, &storage, shared);
        let _lock = task.unless_stopped(lock).await.map_err(|_| INTERRUPTED)??;
        if !disks::is_cloudinit(&drive) {
            let command = if job.full { "convert" } else { "create" };
            let failed = |_| {
                format!("copy failed: command '/usr/bin/qemu-img {command}' failed: {INTERRUPTED}")
            };
            task.work(pace).await.map_err(failed)?;
        }
        let drive = copy_drive(&mut world.state(), job, &storage, &drive)?;
        // In the configuration at once, so that a failure further on finds and frees it.
        if let Ok(vm) = world.state().vm_mut(&job.node, job.new) {
            vm.config.insert(slot.clone(), drive.clone());
        }
        made.insert(slot, drive);
    }
    let mut state = world.state();
    let vm = state.vm_mut(&job.node, job.new)?;
    vm.config = config.into_iter().chain(made).collect();
    if let Some(target) = &job.target {
        vm.node.clone_from(target);
    }
    if let Some(sets) = state.vm_sets.get(&job.source).cloned() {
        state.vm_sets.insert(job.new, sets);
    }
    if let Some(options) = state.vm_firewalls.get(&job.source).cloned() {
        state.vm_firewalls.insert(job.new, options);
    }
    if let Some(pool) = job.pool.as_ref().and_then(|pool| state.pools.get_mut(pool)) {
        pool.vms.insert(job.new);
    }
    Ok(())
}

/// What a clone takes over: everything, but with names, addresses and identities of its own.
fn inherit(source: &Vm, job: &Job) -> (BTreeMap<String, String>, Vec<(String, String)>) {
    let mut config = source.config.clone();
    let mut drives = Vec::new();
    for (slot, drive) in source.drives() {
        if disks::storage_of(volume_of(drive)).is_some() {
            config.remove(slot);
            drives.push((slot.to_owned(), drive.to_owned()));
        }
    }
    config.retain(|key, _| key != "template" && key != "lock" && !key.starts_with("unused"));
    for (_, net) in config.iter_mut().filter(|(key, _)| is_net(key)) {
        if let Some((model, rest)) = net.split_once('=') {
            let rest =
                rest.split_once(',').map_or_else(String::new, |(_, rest)| format!(",{rest}"));
            *net = format!("{model}={}{rest}", random::mac());
        }
    }
    let smbios = config.get("smbios1").map(String::as_str).unwrap_or_default();
    let kept: Vec<_> =
        smbios.split(',').filter(|part| !part.is_empty() && !part.starts_with("uuid=")).collect();
    let uuid = format!("uuid={}", random::uuid());
    let smbios = kept.into_iter().chain([uuid.as_str()]).collect::<Vec<_>>().join(",");
    config.insert("smbios1".to_owned(), smbios);
    if config.contains_key("vmgenid") {
        config.insert("vmgenid".to_owned(), random::uuid());
    }
    let copy_of = || {
        format!(
            "Copy-of-VM-{}",
            source.config.get("name").cloned().unwrap_or_else(|| job.source.to_string())
        )
    };
    config.insert("name".to_owned(), job.name.clone().unwrap_or_else(copy_of));
    if let Some(description) = &job.description {
        config.insert("description".to_owned(), description.clone());
    }
    (config, drives)
}

fn copy_drive(state: &mut State, job: &Job, storage: &str, drive: &str) -> Result<String, String> {
    let old = volume_of(drive);
    if disks::is_cloudinit(drive) {
        let id = state.allocate_cloudinit(&job.node, storage, job.new)?;
        return Ok(format!("{id},media=cdrom,size={}", disks::show_size(disks::CLOUDINIT_SIZE)));
    }
    if disks::is_cdrom(drive) {
        return Ok(drive.to_owned());
    }
    let from = state
        .volume(&job.node, old)
        .cloned()
        .ok_or_else(|| format!("volume '{old}' does not exist"))?;
    let base = (!job.full).then(|| old.to_owned());
    let format = match (&job.format, job.full) {
        (Some(format), true) => format,
        (None, true) => &from.format,
        // What stands on a base image can only be this.
        (_, false) => "qcow2",
    };
    let id = state.allocate(Wanted {
        node: &job.node,
        storage,
        vmid: job.new,
        size: from.size,
        format,
        base,
        image: from.image,
    })?;
    let rest = drive.split_once(',').map_or_else(String::new, |(_, rest)| format!(",{rest}"));
    Ok(format!("{id}{rest}"))
}
