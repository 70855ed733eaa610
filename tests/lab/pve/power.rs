//! Starting and stopping, through the light guests if there are any.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use super::access::Principal;
use super::api::{Answer, Call, Refusal};
use super::cloudinit;
use super::config::{self, LOCK_WAIT};
use super::config_keys::{is_net, parts};
use super::ha;
use super::state::{Running, State, Vm, volume_of};
use super::tasks::{self, Task};
use crate::guests::BootRequest;

/// Parameters of a start that only migrations use.
const OF_MIGRATIONS: &[&str] = &[
    "stateuri",
    "skiplock",
    "migratedfrom",
    "migration_type",
    "migration_network",
    "targetstorage",
    "force-cpu",
    "nets-host-mtu",
];

/// `POST .../status/start`: always a UPID; whatever is wrong shows in the task.
pub(crate) fn start(call: &Call) -> Answer {
    OF_MIGRATIONS.iter().try_for_each(|option| call.no_root_option(option))?;
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    if set_wanted(call, "started") {
        return ha::request(call, "hastart", move |world| {
            let (who, at) = (Principal::parse("root@pam"), node.clone());
            tasks::fork(world, &at, who, "qmstart", vmid, |task| async move {
                boot(&task, &node, vmid).await
            });
        });
    }
    call.fork("qmstart", vmid, |task| async move { boot(&task, &node, vmid).await })
}

/// Tells the high-availability manager, if the machine is in its care, what becomes of it.
fn set_wanted(call: &Call, wanted: &str) -> bool {
    let mut state = call.state();
    let is_managed = state.managed.contains_key(&call.vmid());
    if is_managed {
        ha::manage(&mut state, call.vmid(), wanted);
    }
    is_managed
}

/// Boots a machine inside a task.
pub(crate) async fn boot(task: &Task, node: &str, vmid: u32) -> Result<(), String> {
    let world = &task.world;
    let _lock = world.locks.vm(node, vmid, LOCK_WAIT).await?;
    {
        let mut state = world.state();
        let vm = state.vm(node, vmid)?;
        if vm.lock() != Some("suspended") {
            vm.check_lock()?;
        }
        if vm.is_template() {
            return Err("you can't start a vm if it's a template".to_owned());
        }
        if vm.running.is_some() {
            return Err(format!("VM {vmid} already running"));
        }
        check_bridges(&state, vm)?;
        state.vm_mut(node, vmid)?.config.remove("lock");
        config::apply_pending(&mut state, node, vmid)?;
    }
    task.work(world.pace.start).await?;
    let (request, agent) = {
        let state = world.state();
        let vm = state.vm(node, vmid)?;
        (boot_request(&state, vmid, vm), vm.agent_enabled())
    };
    let has_guest = match (&world.guests, request) {
        (Some(guests), Some(request)) => {
            guests.start(request).await.map_err(|error| format!("start failed: {error:#}"))?;
            true
        }
        _ => false,
    };
    let running = Running {
        since: Instant::now(),
        pid: rand::rng().random_range(2000..60000),
        paused: false,
        agent,
        has_guest,
    };
    world.state().vm_mut(node, vmid)?.running = Some(running);
    Ok(())
}

fn check_bridges(state: &State, vm: &Vm) -> Result<(), String> {
    for (key, net) in vm.config.iter().filter(|(key, _)| is_net(key)) {
        let net = parts(key, net);
        let Some(name) = net.get("bridge") else { continue };
        let bridge = state.nodes.get(&vm.node).and_then(|node| node.bridges.get(name));
        let bridge = bridge.ok_or_else(|| format!("bridge '{name}' does not exist"))?;
        if net.contains_key("tag") && !bridge.physical_port && !bridge.vlan_aware {
            return Err(format!("no physical interface on bridge '{name}'"));
        }
    }
    Ok(())
}

/// What a light guest needs; nothing for a machine without an image that one could boot.
fn boot_request(state: &State, vmid: u32, vm: &Vm) -> Option<BootRequest> {
    let drive = vm.config.get(vm.boot_disk()?)?;
    let image = state.volume(&vm.node, volume_of(drive))?.image.clone()?;
    let user_data = cloudinit::user_data(vmid, vm);
    let network_config = cloudinit::network_config(vm);
    let meta_data = cloudinit::meta_data(&user_data, &network_config);
    Some(BootRequest { vmid, name: vm.name(vmid), image, user_data, meta_data, network_config })
}

/// `POST .../status/stop`: pulls the plug; of a stopped machine this is a success.
pub(crate) fn stop(call: &Call) -> Answer {
    let only_root = ["skiplock", "keepActive", "migratedfrom"];
    only_root.iter().try_for_each(|option| call.no_root_option(option))?;
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let overrule = call.params.flag("overrule-shutdown");
    if call.state().managed.contains_key(&vmid) {
        if overrule {
            let text = "Not applicable for HA resources.";
            return Err(Refusal::parameter("overrule-shutdown", text));
        }
        return ask_to_stop(call);
    }
    if overrule {
        call.world.tasks.stop_all("qmshutdown", vmid);
    }
    call.fork("qmstop", vmid, |task| async move { pull_plug(&task, &node, vmid).await })
}

/// Lets the high-availability manager stop the machine.
fn ask_to_stop(call: &Call) -> Answer {
    set_wanted(call, "stopped");
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    ha::request(call, "hastop", move |world| {
        let (who, at) = (Principal::parse("root@pam"), node.clone());
        tasks::fork(world, &at, who, "qmstop", vmid, |task| async move {
            pull_plug(&task, &node, vmid).await
        });
    })
}

async fn pull_plug(task: &Task, node: &str, vmid: u32) -> Result<(), String> {
    let _lock = task.world.locks.vm(node, vmid, LOCK_WAIT).await?;
    if !may_stop(&task.world.state(), node, vmid)? {
        return Ok(());
    }
    task.work(task.world.pace.stop).await?;
    halt(task, node, vmid, false).await
}

/// Whether the machine runs, and nothing forbids to stop it.
fn may_stop(state: &State, node: &str, vmid: u32) -> Result<bool, String> {
    let vm = state.vm_there(node, vmid)?;
    if vm.running.is_none() {
        return Ok(false);
    }
    vm.check_lock().map(|()| true)
}

/// Stops a machine inside a task, whether it runs or not.
pub(crate) async fn halt(task: &Task, node: &str, vmid: u32, orderly: bool) -> Result<(), String> {
    if let Some(guests) = &task.world.guests {
        let stopped = if orderly { guests.shutdown(vmid).await } else { guests.stop(vmid).await };
        stopped.map_err(|error| format!("{error:#}"))?;
    }
    task.world.state().vm_mut(node, vmid)?.running = None;
    Ok(())
}

/// `POST .../status/shutdown`.
pub(crate) fn shutdown(call: &Call) -> Answer {
    ["skiplock", "keepActive"].iter().try_for_each(|option| call.no_root_option(option))?;
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let force = call.params.flag("forceStop");
    let paused = is_paused(call);
    if paused && !force {
        return Err(Refusal::failed("VM is paused - cannot shutdown"));
    }
    if call.state().managed.contains_key(&vmid) {
        return ask_to_stop(call);
    }
    let limit = call.params.get("timeout").and_then(|seconds| seconds.parse().ok()).unwrap_or(60);
    call.fork("qmshutdown", vmid, |task| async move {
        let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
        if !may_stop(&task.world.state(), &node, vmid)? {
            return Ok(());
        }
        task.work(task.world.pace.stop).await?;
        let ignores = task.world.faults.ignores_shutdown(vmid);
        let down = async {
            if ignores {
                std::future::pending::<()>().await;
            }
            halt(&task, &node, vmid, !paused).await
        };
        let down = tokio::time::timeout(Duration::from_secs(limit), down);
        match task.unless_stopped(down).await? {
            Ok(result) => result,
            Err(_) if force => halt(&task, &node, vmid, false).await,
            Err(_) => Err("VM quit/powerdown failed - got timeout".to_owned()),
        }
    })
}

fn is_paused(call: &Call) -> bool {
    let state = call.state();
    let vm = state.vm(call.node(), call.vmid()).ok();
    vm.and_then(|vm| vm.running.as_ref()).is_some_and(|running| running.paused)
}

fn require_running(call: &Call) -> Result<(), Refusal> {
    let state = call.state();
    let vm = state.vm_there(call.node(), call.vmid()).map_err(Refusal::failed)?;
    match vm.running {
        Some(_) => Ok(()),
        None => Err(Refusal::failed(format!("VM {} not running", call.vmid()))),
    }
}

/// `POST .../status/reboot`: down and up again, which applies what waited.
pub(crate) fn reboot(call: &Call) -> Answer {
    if is_paused(call) {
        return Err(Refusal::failed("VM is paused - cannot shutdown"));
    }
    require_running(call)?;
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    call.fork("qmreboot", vmid, |task| async move {
        {
            let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
            halt(&task, &node, vmid, true).await?;
        }
        boot(&task, &node, vmid).await
    })
}

/// `POST .../status/reset`: the same process goes on, with a guest that begins anew.
pub(crate) fn reset(call: &Call) -> Answer {
    call.no_root_option("skiplock")?;
    require_running(call)?;
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    call.fork("qmreset", vmid, |task| async move {
        {
            let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
            task.world.state().vm(&node, vmid)?.check_lock()?;
            halt(&task, &node, vmid, false).await?;
        }
        boot(&task, &node, vmid).await
    })
}

/// `POST .../status/suspend`: pauses the machine, or with `todisk` writes it away and stops it.
pub(crate) fn suspend(call: &Call) -> Answer {
    call.no_root_option("skiplock")?;
    require_running(call)?;
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let to_disk = call.params.flag("todisk");
    if to_disk {
        let state = call.state();
        if state.managed.contains_key(&vmid) {
            return Err(Refusal::failed("Cannot suspend HA managed VM to disk"));
        }
        state.require(&call.who, &format!("/vms/{vmid}"), "VM.Config.Disk")?;
    }
    call.fork(if to_disk { "qmsuspend" } else { "qmpause" }, vmid, |task| async move {
        let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
        task.world.state().vm(&node, vmid)?.check_lock()?;
        task.work(task.world.pace.stop).await?;
        if to_disk {
            halt(&task, &node, vmid, false).await?;
            let lock = ("lock".to_owned(), "suspended".to_owned());
            task.world.state().vm_mut(&node, vmid)?.config.extend([lock]);
        } else if let Some(running) = &mut task.world.state().vm_mut(&node, vmid)?.running {
            running.paused = true;
        }
        Ok(())
    })
}

/// `POST .../status/resume`.
pub(crate) fn resume(call: &Call) -> Answer {
    ["skiplock", "nocheck"].iter().try_for_each(|option| call.no_root_option(option))?;
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let on_disk = call.state().vm(&node, vmid).is_ok_and(|vm| vm.lock() == Some("suspended"));
    if !on_disk {
        require_running(call)?;
    }
    call.fork("qmresume", vmid, |task| async move {
        if on_disk {
            return boot(&task, &node, vmid).await;
        }
        let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
        if let Some(running) = &mut task.world.state().vm_mut(&node, vmid)?.running {
            running.paused = false;
        }
        Ok(())
    })
}
