//! What the cluster knows about everything in it: broadcasts of the nodes' status daemons, and the files.
//!
//! Numbers, names and states are as old as the last round; a machine that is younger has neither. Locks and tags come
//! from the configuration files and are always true.

use serde_json::{Map, Value, json};

use super::Version;
use super::api::{Answer, Call, Refusal};
use super::disks;
use super::state::{State, Vm};

/// What a status daemon measures of one machine.
pub(crate) fn measure(_state: &State, vmid: u32, vm: &Vm, version: Version) -> Map<String, Value> {
    let running = vm.running.as_ref();
    let memory = if running.is_some() { vm.memory() / 3 } else { 0 };
    let mut row = json!({
        "name": vm.name(vmid),
        "status": if running.is_some() { "running" } else { "stopped" },
        "template": u8::from(vm.is_template()),
        "maxcpu": vm.integer("cores", 1) * vm.integer("sockets", 1),
        "cpu": 0,
        "maxmem": vm.memory(),
        "mem": memory,
        "maxdisk": disks::boot_disk_size(vm),
        "disk": 0,
        "diskread": 0,
        "diskwrite": 0,
        "netin": 0,
        "netout": 0,
        "uptime": running.map_or(0, |running| running.since.elapsed().as_secs()),
    });
    if version == Version::V9_1 {
        row["memhost"] = memory.into();
    }
    match row {
        Value::Object(row) => row,
        _ => Map::new(),
    }
}

/// The row of a machine in `/cluster/resources`.
pub(crate) fn vm_row(state: &State, vmid: u32) -> Option<Map<String, Value>> {
    let vm = state.vms.get(&vmid)?;
    let node_is_up = state.nodes.get(&vm.node).is_some_and(|node| !node.down);
    let known = state.broadcast.get(&vmid).filter(|_| node_is_up);
    let mut row =
        known.cloned().unwrap_or_else(|| Map::from_iter([("status".to_owned(), "unknown".into())]));
    row.insert("id".to_owned(), format!("qemu/{vmid}").into());
    row.insert("type".to_owned(), "qemu".into());
    row.insert("vmid".to_owned(), vmid.into());
    row.insert("node".to_owned(), vm.node.clone().into());
    for key in ["lock", "tags"] {
        if let Some(value) = vm.config.get(key) {
            row.insert(key.to_owned(), value.clone().into());
        }
    }
    if let Some(pool) = state.pool_of(vmid) {
        row.insert("pool".to_owned(), pool.into());
    }
    if let Some(managed) = state.managed.get(&vmid) {
        let wanted = managed.options.get("state").cloned().unwrap_or_default();
        row.insert("hastate".to_owned(), wanted.into());
    }
    Some(row)
}

fn node_rows(call: &Call, state: &State) -> Vec<Value> {
    let rows = state.nodes.iter().map(|(name, node)| {
        let status = if node.down { "offline" } else { "online" };
        let mut row = json!({"id": format!("node/{name}"), "type": "node", "node": name, "status": status, "level": ""});
        if state.may(&call.who, &format!("/nodes/{name}"), "Sys.Audit") && !node.down {
            let used: u64 = state
                .vms
                .values()
                .filter(|vm| vm.node == *name && vm.running.is_some())
                .map(|vm| vm.memory() / 3)
                .sum();
            row["cpu"] = 0.02.into();
            row["maxcpu"] = node.cores.into();
            row["mem"] = (used + (1 << 30)).into();
            row["maxmem"] = node.memory.into();
            row["disk"] = (8u64 << 30).into();
            row["maxdisk"] = (100u64 << 30).into();
            row["uptime"] = call.world.uptime().as_secs().into();
        }
        row
    });
    rows.collect()
}

/// The row of a storage, seen from a node.
pub(crate) fn storage_row(state: &State, node: &str, name: &str) -> Option<Value> {
    let storage = state.storages.get(name)?;
    Some(json!({
        "id": format!("storage/{node}/{name}"), "type": "storage", "storage": name, "node": node,
        "status": "available", "shared": u8::from(storage.shared), "content": storage.content,
        "plugintype": storage.kind, "disk": storage.used, "maxdisk": storage.total,
    }))
}

fn storage_rows(call: &Call, state: &State) -> Vec<Value> {
    let privileges = ["Datastore.Audit", "Datastore.AllocateSpace"];
    let may_see = |name: &str| state.may_any(&call.who, &format!("/storage/{name}"), &privileges);
    let visible = state.storages.keys().filter(|name| may_see(name));
    visible
        .flat_map(|name| state.nodes.keys().filter_map(|node| storage_row(state, node, name)))
        .collect()
}

/// `GET /cluster/resources`.
pub(crate) fn list(call: &Call) -> Answer {
    let state = call.state();
    let wanted = |kind: &str| call.params.get("type").is_none_or(|wanted| wanted == kind);
    let mut rows = Vec::new();
    if wanted("vm") {
        for vmid in state
            .vms
            .keys()
            .filter(|vmid| state.may(&call.who, &format!("/vms/{vmid}"), "VM.Audit"))
        {
            let Some(mut row) = vm_row(&state, *vmid) else { continue };
            let hidden = row
                .get("pool")
                .and_then(Value::as_str)
                .is_some_and(|pool| !state.may(&call.who, &format!("/pool/{pool}"), "Pool.Audit"));
            if hidden {
                row.remove("pool");
            }
            rows.push(row.into());
        }
    }
    if wanted("node") {
        rows.extend(node_rows(call, &state).into_iter().map(|mut row| {
            row["cgroup-mode"] = 2.into();
            row
        }));
    }
    if wanted("storage") {
        rows.extend(storage_rows(call, &state));
    }
    if wanted("sdn") || wanted("network") {
        let zone = "/sdn/zones/localnetwork";
        let nodes = state
            .nodes
            .keys()
            .filter(|_| state.may_any(&call.who, zone, &["SDN.Audit", "SDN.Allocate"]));
        rows.extend(nodes.map(|node| match call.world.version {
            Version::V8_4 => {
                let id = format!("sdn/{node}/localnetwork");
                json!({"id": id, "type": "sdn", "sdn": "localnetwork", "node": node, "status": "ok"})
            }
            Version::V9_1 => json!({
                "id": format!("network/{node}/zone/localnetwork"), "type": "network", "network": "localnetwork",
                "network-type": "zone", "node": node, "status": "ok",
            }),
        }));
    }
    Ok(Value::from(rows).into())
}

/// `GET /nodes`.
pub(crate) fn nodes(call: &Call) -> Answer {
    let state = call.state();
    let rows = node_rows(call, &state).into_iter().map(|mut row| {
        row["ssl_fingerprint"] = call.world.identity.fingerprint.as_str().into();
        row
    });
    Ok(rows.collect::<Value>().into())
}

/// `GET /cluster/nextid`: the lowest free one, which it does not reserve; or whether a given one is free.
pub(crate) fn next_id(call: &Call) -> Answer {
    let state = call.state();
    if call.params.get("vmid").is_some() {
        let vmid = call.vmid();
        if state.vms.contains_key(&vmid) {
            return Err(Refusal::parameter("vmid", format!("VM {vmid} already exists")));
        }
        return Ok(Value::from(vmid.to_string()).into());
    }
    let free = (100..1_000_000).find(|vmid: &u32| !state.vms.contains_key(vmid));
    let none = || Refusal::failed("unable to get any free VMID in range [100, 1000000]");
    free.map(|vmid| Value::from(vmid.to_string()).into()).ok_or_else(none)
}

/// `GET /cluster/status`.
pub(crate) fn cluster_status(call: &Call) -> Answer {
    let state = call.state();
    let mut rows: Vec<_> = state
        .nodes
        .iter()
        .enumerate()
        .map(|(index, (name, node))| {
            json!({
                "id": format!("node/{name}"), "type": "node", "name": name, "ip": node.address,
                "online": u8::from(!node.down), "nodeid": index + 1, "local": u8::from(index == 0), "level": "",
            })
        })
        .collect();
    let quorate = u8::from(!call.world.faults.has_no_quorum());
    if rows.len() > 1 {
        let nodes = rows.len();
        rows.insert(0, json!({"id": "cluster", "type": "cluster", "name": "lab", "nodes": nodes, "quorate": quorate, "version": nodes}));
    }
    Ok(Value::from(rows).into())
}

/// `GET /nodes/{node}/qemu`: the node's own view, which is never old.
pub(crate) fn node_vms(call: &Call) -> Answer {
    let state = call.state();
    let vms = state.vms.iter().filter(|(vmid, vm)| {
        vm.node == call.node() && state.may(&call.who, &format!("/vms/{vmid}"), "VM.Audit")
    });
    let rows = vms.map(|(vmid, vm)| {
        let mut row = measure(&state, *vmid, vm, call.world.version);
        row.insert("vmid".to_owned(), (*vmid).into());
        if let Some(cpus) = row.remove("maxcpu") {
            row.insert("cpus".to_owned(), cpus);
        }
        if !vm.is_template() {
            row.remove("template");
        }
        for key in ["lock", "tags"] {
            if let Some(value) = vm.config.get(key) {
                row.insert(key.to_owned(), value.clone().into());
            }
        }
        Value::from(row)
    });
    Ok(rows.collect::<Value>().into())
}

/// `GET .../status/current`.
pub(crate) fn vm_status(call: &Call) -> Answer {
    let state = call.state();
    let vmid = call.vmid();
    let vm = state.vm(call.node(), vmid).map_err(Refusal::failed)?;
    let mut row = Value::from(measure(&state, vmid, vm, call.world.version));
    let status = row["status"].clone();
    row["vmid"] = vmid.into();
    let paused = vm.running.as_ref().is_some_and(|running| running.paused);
    row["qmpstatus"] = if paused { "paused".into() } else { status };
    row["cpus"] = row["maxcpu"].clone();
    row["clipboard"] = Value::Null;
    row["ha"] = json!({"managed": 0});
    if let Some(managed) = state.managed.get(&vmid) {
        row["ha"] = json!({"managed": 1, "state": managed.options.get("state")});
    }
    if vm.agent_enabled() {
        row["agent"] = 1.into();
    }
    if vm.config.contains_key("serial0") {
        row["serial"] = 1.into();
    }
    for key in ["lock", "tags"] {
        if let Some(value) = vm.config.get(key) {
            row[key] = value.as_str().into();
        }
    }
    if let Some(running) = &vm.running {
        row["pid"] = running.pid.into();
        let nets = vm.config.keys().filter_map(|key| key.strip_prefix("net")?.parse::<u32>().ok());
        let nets =
            nets.map(|index| (format!("tap{vmid}i{index}"), json!({"netin": 0, "netout": 0})));
        row["nics"] = nets.collect::<Map<_, _>>().into();
        if call.world.version == Version::V9_1 {
            for kind in ["cpu", "io", "memory"] {
                for level in ["some", "full"] {
                    row[format!("pressure{kind}{level}")] = 0.0.into();
                }
            }
        }
    }
    if let Value::Object(row) = &mut row {
        for only_in_lists in ["maxcpu", "diskread", "diskwrite"] {
            row.remove(only_in_lists);
        }
        if !vm.is_template() {
            row.remove("template");
        }
    }
    Ok(row.into())
}
