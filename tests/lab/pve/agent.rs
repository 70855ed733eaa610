//! The guest agent, as far as it can be told from outside: reachable a while after the start, knows its addresses.

use serde_json::{Value, json};

use super::Version;
use super::api::{Answer, Call, Refusal};
use super::config_keys::{is_net, parts};
use super::disks;
use super::state::Vm;

/// Refuses, in the server's order, unless the agent of the URL's machine answers.
fn reach(call: &Call) -> Result<Vm, Refusal> {
    let state = call.state();
    let vmid = call.vmid();
    let vm = state.vm(call.node(), vmid).map_err(Refusal::failed)?;
    let unconfigured = || Refusal::failed("No QEMU guest agent configured");
    if !vm.config.contains_key("agent") {
        return Err(unconfigured());
    }
    let running =
        vm.running.as_ref().ok_or_else(|| Refusal::failed(format!("VM {vmid} is not running")))?;
    if !running.agent {
        return Err(unconfigured());
    }
    let is_up = running.since.elapsed() >= call.world.pace.agent && !running.paused;
    let slow = call.world.faults.agent(vmid);
    if !is_up || slow == Some(false) {
        return Err(Refusal::failed("QEMU guest agent is not running"));
    }
    if slow == Some(true) {
        let word = if call.world.version == Version::V8_4 { "qmp" } else { "qga" };
        let text = format!("VM {vmid} {word} command 'guest-ping' failed - got timeout");
        return Err(Refusal::failed(text));
    }
    Ok(vm.clone())
}

/// `POST .../agent/ping`.
pub(crate) fn ping(call: &Call) -> Answer {
    reach(call)?;
    Ok(json!({"result": {}}).into())
}

/// `GET .../agent/info`.
pub(crate) fn info(call: &Call) -> Answer {
    reach(call)?;
    Ok(json!({"result": {"version": "10.0.2", "supported_commands": []}}).into())
}

/// `GET .../agent/get-host-name`.
pub(crate) fn host_name(call: &Call) -> Answer {
    let vm = reach(call)?;
    Ok(json!({"result": {"host-name": vm.name(call.vmid())}}).into())
}

/// `GET .../agent/get-osinfo`.
pub(crate) fn os_info(call: &Call) -> Answer {
    reach(call)?;
    Ok(json!({"result": {"id": "debian", "name": "Debian GNU/Linux", "machine": "x86_64"}}).into())
}

fn interface(name: &str, mac: &str, addresses: &[Value]) -> Value {
    let counters = [
        "rx-bytes",
        "rx-packets",
        "rx-errs",
        "rx-dropped",
        "tx-bytes",
        "tx-packets",
        "tx-errs",
        "tx-dropped",
    ];
    let statistics: serde_json::Map<_, _> =
        counters.iter().map(|name| ((*name).to_owned(), 0.into())).collect();
    json!({"name": name, "hardware-address": mac, "ip-addresses": addresses, "statistics": statistics})
}

fn address(address: &str, kind: &str, prefix: u8) -> Value {
    json!({"ip-address": address, "ip-address-type": kind, "prefix": prefix})
}

/// `GET .../agent/network-get-interfaces`.
pub(crate) fn interfaces(call: &Call) -> Answer {
    let vm = reach(call)?;
    let loopback = [address("127.0.0.1", "ipv4", 8), address("::1", "ipv6", 128)];
    let mut rows = vec![interface("lo", "00:00:00:00:00:00", &loopback)];
    for (key, net) in vm.config.iter().filter(|(key, _)| is_net(key)) {
        let index = &key[3..];
        let mac = parts(key, net).remove("macaddr").unwrap_or_default();
        let ip = vm
            .config
            .get(&format!("ipconfig{index}"))
            .and_then(|config| disks::option(config, "ip"));
        let addresses: Vec<_> = ip
            .and_then(|ip| ip.split_once('/'))
            .map(|(ip, prefix)| address(ip, "ipv4", prefix.parse().unwrap_or(32)))
            .into_iter()
            .collect();
        rows.push(interface(&format!("eth{index}"), &mac.to_lowercase(), &addresses));
    }
    Ok(json!({"result": rows}).into())
}

/// Commands that change or read files: the lab's agent refuses them, as many distributions' do.
pub(crate) fn refused(call: &Call) -> Answer {
    reach(call)?;
    Err(Refusal::failed("Agent error: Command has been disabled"))
}

/// `POST .../agent/shutdown`: the guest goes down by itself.
pub(crate) fn shutdown(call: &Call) -> Answer {
    reach(call)?;
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let world = std::sync::Arc::clone(&call.world);
    tokio::spawn(async move {
        if let Some(guests) = &world.guests
            && let Err(error) = guests.shutdown(vmid).await
        {
            tracing::warn!(%error, vmid, "a guest did not go down");
        }
        if let Ok(vm) = world.state().vm_mut(&node, vmid) {
            vm.running = None;
        }
    });
    Ok(json!({"result": {}}).into())
}
