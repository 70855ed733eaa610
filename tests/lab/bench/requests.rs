//! What a create asks of Proxmox, counted and justified.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::demo::say;

/// Why a create of pool, lease and 1+2 machines makes each kind of request, and how many of it at most. A kind that is
/// not here, or more of one, is a missed bound: somebody must say why first.
const REQUESTS: &[(&str, usize, &str)] = &[
    ("GET    /version", 2, "address, certificate and token are proven once a process: plan, apply"),
    (
        "GET    /access/permissions",
        3,
        "preflight: what the token may do on pool, storage and bridge",
    ),
    ("GET    /nodes", 1, "where the ledger's machine is made, once in a datacentre"),
    (
        "GET    /cluster/resources",
        12,
        "which nodes are up and which VMs exist where: one look that resources share for a moment, and each look \
         before and after writes",
    ),
    (
        "GET    /cluster/nextid",
        16,
        "an address is leased, and a machine taken for absent, only when its VMID is free",
    ),
    (
        "GET    /nodes/NODE/storage",
        6,
        "preflight and placement: room on the template's storage, as each node sees it",
    ),
    (
        "GET    /nodes/NODE/qemu/VMID/config",
        36,
        "the stamp is read before each write (4 a machine), and in each look",
    ),
    (
        "GET    /nodes/NODE/qemu/VMID/status/current",
        12,
        "each look at a finished machine: lists lag ten seconds",
    ),
    (
        "GET    /nodes/NODE/qemu/VMID/firewall/ipset",
        3,
        "the pool's data: before it is made, and then shared by lease and cluster",
    ),
    (
        "GET    /nodes/NODE/qemu/VMID/firewall/ipset/lab",
        5,
        "the ledger's rows: before, after, and for the cluster",
    ),
    (
        "GET    /nodes/NODE/tasks/UPID/status",
        40,
        "looks at 10 tasks: quick for a second, then once a second",
    ),
    ("POST   /nodes/NODE/qemu", 1, "the ledger's machine, once in a datacentre"),
    ("POST   /nodes/NODE/qemu/VMID/firewall/ipset", 1, "the pool's set"),
    (
        "POST   /nodes/NODE/qemu/VMID/firewall/ipset/lab",
        6,
        "one row an address: created if absent, so that races are decided",
    ),
    ("POST   /nodes/NODE/qemu/VMID/clone", 3, "one a machine"),
    (
        "PUT    /nodes/NODE/qemu/VMID/config",
        6,
        "one a machine for all settings, one to mark it as finished",
    ),
    ("PUT    /nodes/NODE/qemu/VMID/resize", 3, "one a machine"),
    ("POST   /nodes/NODE/qemu/VMID/status/start", 3, "one a machine"),
];

/// What a create asked of Proxmox, by method and shape of the path, and why. True if all is accounted for.
pub(super) fn show(journal: &Value) -> bool {
    let mut shapes = BTreeMap::<String, usize>::new();
    let rows = journal.as_array().cloned().unwrap_or_default();
    for row in &rows {
        let path = row["path"].as_str().unwrap_or_default().trim_start_matches("/api2/json");
        let shape: Vec<_> =
            path.split('?').next().unwrap_or_default().split('/').map(shape).collect();
        let shape = format!("{:<6} {}", row["method"].as_str().unwrap_or("?"), shape.join("/"));
        *shapes.entry(shape).or_default() += 1;
    }
    say(format_args!(
        "\nProxmox requests of a create of pool, lease and 1+2 machines: {}",
        rows.len()
    ));
    let mut accounted = true;
    for (shape, count) in shapes {
        let known = REQUESTS.iter().find(|(known, ..)| *known == shape);
        let (most, why) = known.map_or((0, "not accounted for"), |(_, most, why)| (*most, *why));
        accounted &= count <= most;
        let verdict = if count <= most { "" } else { "MORE THAN ACCOUNTED FOR: " };
        say(format_args!("  {count:>3} (<= {most:>2})  {shape:<50} {verdict}{why}"));
    }
    accounted
}

/// A path's part with what differs by nature left out.
fn shape(part: &str) -> &str {
    if part.starts_with("UPID") {
        "UPID"
    } else if part.parse::<u32>().is_ok() {
        "VMID"
    } else if part.parse::<std::net::IpAddr>().is_ok() {
        "ADDRESS"
    } else if part.starts_with("pve") {
        "NODE"
    } else {
        part
    }
}
