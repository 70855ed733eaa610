//! Starting and stopping, through the light guests if there are any.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use super::api::{Answer, Call, Refusal};
use super::cloudinit;
use super::config::{self, LOCK_WAIT};
use super::config_keys::NET;
use super::state::{Running, State, Vm, volume_of};
use super::tasks::Task;
use crate::guests::BootRequest;

/// `POST .../status/start`: always a UPID; whatever is wrong shows in the task.
pub(crate) fn start(call: &Call) -> Answer {
    no_skiplock(call)?;
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    call.fork("qmstart", vmid, |task| async move { boot(&task, &node, vmid).await })
}

fn no_skiplock(call: &Call) -> Result<(), Refusal> {
    if call.params.flag("skiplock") && !call.who.is_root() {
        return Err(Refusal::parameter("skiplock", "Only root may use this option."));
    }
    Ok(())
}

/// Boots a machine inside a task.
pub(crate) async fn boot(task: &Task, node: &str, vmid: u32) -> Result<(), String> {
    let world = &task.world;
    let _lock = world.locks.vm(node, vmid, LOCK_WAIT).await?;
    {
        let mut state = world.state();
        let vm = state.vm(node, vmid)?;
        vm.check_lock()?;
        if vm.is_template() {
            return Err("you can't start a vm if it's a template".to_owned());
        }
        if vm.running.is_some() {
            return Err(format!("VM {vmid} already running"));
        }
        check_bridges(&state, vm)?;
        config::apply_pending(state.vm_mut(node, vmid)?);
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
        agent,
        has_guest,
    };
    world.state().vm_mut(node, vmid)?.running = Some(running);
    Ok(())
}

fn check_bridges(state: &State, vm: &Vm) -> Result<(), String> {
    for (key, net) in vm.config.iter().filter(|(key, _)| key.starts_with("net")) {
        let net = NET.parse(key, net)?;
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
    no_skiplock(call)?;
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    if call.params.flag("overrule-shutdown") {
        call.world.tasks.stop_all("qmshutdown", vmid);
    }
    call.fork("qmstop", vmid, |task| async move {
        let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
        if task.world.state().vm(&node, vmid)?.running.is_none() {
            return Ok(());
        }
        task.world.state().vm(&node, vmid)?.check_lock()?;
        task.work(task.world.pace.stop).await?;
        halt(&task, &node, vmid, false).await
    })
}

async fn halt(task: &Task, node: &str, vmid: u32, orderly: bool) -> Result<(), String> {
    if let Some(guests) = &task.world.guests {
        let stopped = if orderly { guests.shutdown(vmid).await } else { guests.stop(vmid).await };
        stopped.map_err(|error| format!("{error:#}"))?;
    }
    task.world.state().vm_mut(node, vmid)?.running = None;
    Ok(())
}

/// `POST .../status/shutdown`.
pub(crate) fn shutdown(call: &Call) -> Answer {
    no_skiplock(call)?;
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let force = call.params.flag("forceStop");
    let limit = call.params.get("timeout").and_then(|seconds| seconds.parse().ok()).unwrap_or(60);
    call.fork("qmshutdown", vmid, |task| async move {
        let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
        if task.world.state().vm(&node, vmid)?.running.is_none() {
            return Ok(());
        }
        task.world.state().vm(&node, vmid)?.check_lock()?;
        task.work(task.world.pace.stop).await?;
        let down = tokio::time::timeout(Duration::from_secs(limit), halt(&task, &node, vmid, true));
        match task.unless_stopped(down).await? {
            Ok(result) => result,
            Err(_) if force => halt(&task, &node, vmid, false).await,
            Err(_) => Err("VM quit/powerdown failed - got timeout".to_owned()),
        }
    })
}

fn require_running(call: &Call) -> Result<(), Refusal> {
    let state = call.state();
    let vm = state.vm(call.node(), call.vmid()).map_err(Refusal::failed)?;
    match vm.running {
        Some(_) => Ok(()),
        None => Err(Refusal::failed(format!("VM {} not running", call.vmid()))),
    }
}

/// `POST .../status/reboot`: down and up again, which applies what waited.
pub(crate) fn reboot(call: &Call) -> Answer {
    require_running(call)?;
    restart(call, "qmreboot", true)
}

/// `POST .../status/reset`.
pub(crate) fn reset(call: &Call) -> Answer {
    require_running(call)?;
    restart(call, "qmreset", false)
}

fn restart(call: &Call, kind: &'static str, orderly: bool) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    call.fork(kind, vmid, |task| async move {
        {
            let _lock = task.world.locks.vm(&node, vmid, LOCK_WAIT).await?;
            halt(&task, &node, vmid, orderly).await?;
        }
        boot(&task, &node, vmid).await
    })
}

/// `POST .../status/suspend` and `resume`: the lab only knows machines that run or do not.
pub(crate) fn suspend(call: &Call) -> Answer {
    require_running(call)?;
    call.fork("qmsuspend", call.vmid(), |_| async { Ok(()) })
}

/// See [`suspend`].
pub(crate) fn resume(call: &Call) -> Answer {
    require_running(call)?;
    call.fork("qmresume", call.vmid(), |_| async { Ok(()) })
}
