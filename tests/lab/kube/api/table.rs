//! Rows ready to print: what `kubectl get` asks for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::resources::Resource;

/// One column: its heading, whether only `-o wide` shows it, and its cell.
struct Column(&'static str, bool, fn(&Value) -> String);

/// Whether a request asks for a table rather than for objects.
pub(super) fn wanted(accept: &str) -> bool {
    accept.split(',').next().is_some_and(|first| {
        first.contains("as=Table") && first.contains("v=v1") && !first.contains("v1beta1")
    })
}

/// The table of some objects of one kind.
pub(super) fn render(resource: &Resource, objects: &[Arc<Value>], version: Option<u64>) -> Value {
    let columns = columns(resource.kind);
    let definitions: Vec<Value> = columns
        .iter()
        .enumerate()
        .map(|(index, Column(name, wide, _))| {
            json!({"name": name, "type": "string", "format": if index == 0 { "name" } else { "" }, "description": "", "priority": i32::from(*wide)})
        })
        .collect();
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells: Vec<String> = columns.iter().map(|Column(_, _, cell)| cell(object)).collect();
            let metadata = json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
            });
            json!({"cells": cells, "object": metadata})
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1",
        "metadata": version.map_or(json!({}), |version| json!({"resourceVersion": version.to_string()})),
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn columns(kind: &str) -> Vec<Column> {
    let name = Column("Name", false, |object| text(&object["metadata"]["name"]));
    let age = || Column("Age", false, |object| age(&object["metadata"]["creationTimestamp"]));
    let mut columns = vec![name];
    match kind {
        "Node" => columns.extend([
            Column("Status", false, node_status),
            Column("Roles", false, roles),
            age(),
            Column("Version", false, |node| text(&node["status"]["nodeInfo"]["kubeletVersion"])),
            Column("Internal-IP", true, |node| address(node, "InternalIP")),
            Column("External-IP", true, |node| address(node, "ExternalIP")),
            Column("OS-Image", true, |node| text(&node["status"]["nodeInfo"]["osImage"])),
            Column("Kernel-Version", true, |node| {
                text(&node["status"]["nodeInfo"]["kernelVersion"])
            }),
            Column("Container-Runtime", true, |node| {
                text(&node["status"]["nodeInfo"]["containerRuntimeVersion"])
            }),
        ]),
        "Namespace" => columns
            .extend([Column("Status", false, |object| text(&object["status"]["phase"])), age()]),
        "Pod" => columns.extend([
            Column("Ready", false, |pod| {
                format!(
                    "{}/{}",
                    pod_ready(pod),
                    pod["spec"]["containers"].as_array().map_or(0, Vec::len)
                )
            }),
            Column("Status", false, |pod| {
                let phase = text(&pod["status"]["phase"]);
                let creating = phase == "Pending" && pod["spec"]["nodeName"].is_string();
                if creating { "ContainerCreating".to_owned() } else { phase }
            }),
            Column("Restarts", false, |_| "0".to_owned()),
            age(),
            Column("IP", true, |pod| text(&pod["status"]["podIP"])),
            Column("Node", true, |pod| text(&pod["spec"]["nodeName"])),
        ]),
        "DaemonSet" => columns.extend([
            Column("Desired", false, |set| count(&set["status"]["desiredNumberScheduled"])),
            Column("Current", false, |set| count(&set["status"]["currentNumberScheduled"])),
            Column("Ready", false, |set| count(&set["status"]["numberReady"])),
            Column("Up-to-date", false, |set| count(&set["status"]["updatedNumberScheduled"])),
            Column("Available", false, |set| count(&set["status"]["numberAvailable"])),
            age(),
        ]),
        "Deployment" => columns.extend([
            Column("Ready", false, |set| {
                format!(
                    "{}/{}",
                    count(&set["status"]["readyReplicas"]),
                    count(&set["spec"]["replicas"])
                )
            }),
            Column("Up-to-date", false, |set| count(&set["status"]["updatedReplicas"])),
            Column("Available", false, |set| count(&set["status"]["availableReplicas"])),
            age(),
        ]),
        "Service" => columns.extend([
            Column("Type", false, |service| text(&service["spec"]["type"])),
            Column("Cluster-IP", false, |service| text(&service["spec"]["clusterIP"])),
            Column("Port(s)", false, ports),
            age(),
        ]),
        "CertificateSigningRequest" => columns.extend([
            age(),
            Column("SignerName", false, |request| text(&request["spec"]["signerName"])),
            Column("Requestor", false, |request| text(&request["spec"]["username"])),
            Column("Condition", false, request_condition),
        ]),
        "ConfigMap" | "Secret" => {
            columns.extend([
                Column("Data", false, |object| {
                    object["data"].as_object().map_or(0, serde_json::Map::len).to_string()
                }),
                age(),
            ]);
        }
        _ => columns.push(age()),
    }
    columns
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("<none>").to_owned()
}

fn count(value: &Value) -> String {
    value.as_i64().unwrap_or(0).to_string()
}

/// The status of a condition of an object, as text.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|condition| condition["type"] == kind);
    found.and_then(|condition| condition["status"].as_str()).unwrap_or("Unknown")
}

fn node_status(node: &Value) -> String {
    let ready = if condition(node, "Ready") == "True" { "Ready" } else { "NotReady" };
    let cordoned = if node["spec"]["unschedulable"] == true { ",SchedulingDisabled" } else { "" };
    format!("{ready}{cordoned}")
}

fn roles(node: &Value) -> String {
    let labels = node["metadata"]["labels"].as_object();
    let roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(label, _)| label.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }
}

fn address(node: &Value, kind: &str) -> String {
    let addresses = node["status"]["addresses"].as_array();
    text(
        addresses
            .into_iter()
            .flatten()
            .find(|address| address["type"] == kind)
            .map_or(&Value::Null, |address| &address["address"]),
    )
}

fn pod_ready(pod: &Value) -> usize {
    let all = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
    if condition(pod, "Ready") == "True" { all } else { 0 }
}

fn ports(service: &Value) -> String {
    let ports = service["spec"]["ports"].as_array();
    let ports: Vec<String> = ports
        .into_iter()
        .flatten()
        .map(|port| format!("{}/{}", port["port"], port["protocol"].as_str().unwrap_or("TCP")))
        .collect();
    if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") }
}

fn request_condition(request: &Value) -> String {
    let conditions = request["status"]["conditions"].as_array();
    let mut names: Vec<&str> = conditions
        .into_iter()
        .flatten()
        .filter_map(|condition| condition["type"].as_str())
        .collect();
    if request["status"]["certificate"].is_string() {
        names.push("Issued");
    }
    if names.is_empty() { "Pending".to_owned() } else { names.join(",") }
}

/// How long ago, as kubectl shows it.
fn age(created: &Value) -> String {
    let Some(created) = created.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok())
    else {
        return "<unknown>".to_owned();
    };
    let seconds = (jiff::Timestamp::now().as_second() - created.as_second()).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 != 0 => format!("{minutes}m{}s", seconds % 60),
        120..10800 => format!("{minutes}m"),
        10800..172_800 => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}
