//! `/version` and what single nodes tell about themselves.

use serde_json::{Value, json};

use super::Version;
use super::api::{Answer, Call, done};

/// Package version, release and commit.
pub(crate) fn versions(version: Version) -> (&'static str, &'static str, &'static str) {
    match version {
        Version::V8_4 => ("8.4.21", "8.4", "2606ac85"),
        Version::V9_1 => ("9.1.8", "9.1", "a8e257e1"),
    }
}

/// `GET /version` and `GET /nodes/{node}/version`.
pub(crate) fn version(call: &Call) -> Answer {
    let (version, release, repository) = versions(call.world.version);
    Ok(json!({"version": version, "release": release, "repoid": repository}).into())
}

/// `GET /nodes/{node}/status`.
pub(crate) fn status(call: &Call) -> Answer {
    let state = call.state();
    let Some(node) = state.nodes.get(call.node()) else { return done() };
    let (version, _, repository) = versions(call.world.version);
    let (used, total) = (2u64 << 30, node.memory);
    let disk = 100u64 << 30;
    let mut row = json!({
        "uptime": call.world.uptime().as_secs(),
        "cpu": 0.02, "wait": 0, "idle": 0,
        "loadavg": ["0.10", "0.10", "0.10"],
        "cpuinfo": {"cores": node.cores, "cpus": node.cores, "sockets": 1, "model": "Simulated", "mhz": "2596.132",
            "hvm": "1", "flags": "fpu", "user_hz": 100},
        "memory": {"total": total, "used": used, "free": total - used},
        "swap": {"total": 0, "used": 0, "free": 0},
        "ksm": {"shared": 0},
        "rootfs": {"total": disk, "used": disk / 10, "free": disk - disk / 10, "avail": disk - disk / 10},
        "kversion": "Linux 6.8.12-lab", "pveversion": format!("pve-manager/{version}/{repository}"),
        "current-kernel": {"sysname": "Linux", "release": "6.8.12-lab", "version": "#1 SMP", "machine": "x86_64"},
        "boot-info": {"mode": "legacy-bios"},
    });
    if call.world.version == Version::V9_1 {
        row["memory"]["available"] = (total - used).into();
        row["cpuinfo"]["family"] = "25".into();
        row["cpuinfo"]["vendor"] = "AuthenticAMD".into();
    }
    Ok(row.into())
}

/// `GET /nodes/{node}/network`.
pub(crate) fn network(call: &Call) -> Answer {
    let state = call.state();
    let Some(node) = state.nodes.get(call.node()) else { return done() };
    let wanted = call.params.get("type").is_none_or(|kind| {
        matches!(kind, "bridge" | "any_bridge" | "any_local_bridge" | "include_sdn")
    });
    let bridges = node.bridges.iter().filter(|_| wanted).map(|(name, bridge)| {
        let mut row = json!({
            "iface": name, "type": "bridge", "active": 1, "autostart": 1, "method": "static", "families": ["inet"],
            "address": node.address, "netmask": "24", "bridge_fd": "0", "bridge_stp": "off", "priority": 3,
            "bridge_ports": if bridge.physical_port { "eth0" } else { "" },
        });
        if bridge.vlan_aware {
            row["bridge_vlan_aware"] = 1.into();
        }
        row
    });
    Ok(bridges.collect::<Value>().into())
}

/// `GET /nodes/{node}/certificates/info`.
pub(crate) fn certificates(call: &Call) -> Answer {
    let identity = &call.world.identity;
    Ok(json!([
        {"filename": "pve-root-ca.pem", "pem": identity.ca_pem, "issuer": "/CN=Proxmox Virtual Environment"},
        {"filename": "pve-ssl.pem", "pem": identity.leaf_pem, "fingerprint": identity.fingerprint},
    ])
    .into())
}

/// `GET /nodes/{node}/time`.
pub(crate) fn time(_call: &Call) -> Answer {
    let now = super::world::unix_time();
    Ok(json!({"time": now, "localtime": now, "timezone": "UTC"}).into())
}

/// `GET /cluster/options`: everything at its default.
pub(crate) fn options(_call: &Call) -> Answer {
    Ok(json!({}).into())
}

/// What there is none of here.
pub(crate) fn nothing(_call: &Call) -> Answer {
    Ok(json!([]).into())
}
