//! Nodes: which of them still send heartbeats, their taints, their share of the pod network, and pods without a node.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Store, controllers::edit, defaults::nth_address, resources::kind, table::condition};

/// A node that has not renewed its lease for this long is not known to be alive.
const GRACE_SECONDS: i64 = 40;

/// Brings every node's condition, taints and pod network up to date.
pub(super) fn reconcile(store: &Store, pod_subnet: Option<&str>, started: jiff::Timestamp) {
    let (nodes, _) = store.list(&kind("nodes").prefix(""));
    let mut used: BTreeSet<String> = nodes
        .iter()
        .filter_map(|node| node["spec"]["podCIDR"].as_str().map(str::to_owned))
        .collect();
    for node in &nodes {
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        // The store is locked while it is edited.
        let lost = lost(store, name, started);
        edit(store, &kind("nodes").key("", name), |node| {
            if lost {
                mark_lost(node);
            }
            taint(node);
            if let Some(subnet) = pod_subnet
                && node["spec"]["podCIDR"].is_null()
                && let Some(free) = free_subnet(subnet, &used)
            {
                used.insert(free.clone());
                node["spec"]["podCIDRs"] = json!([free]);
                node["spec"]["podCIDR"] = free.into();
            }
        });
    }
}

fn lost(store: &Store, name: &str, started: jiff::Timestamp) -> bool {
    let lease = store.get(&kind("leases").key("kube-node-lease", name));
    let renewed = lease
        .and_then(|lease| lease["spec"]["renewTime"].as_str()?.parse::<jiff::Timestamp>().ok());
    // After a restart of this server nodes have the whole grace period again.
    let last = renewed.map_or(started, |renewed| renewed.max(started));
    jiff::Timestamp::now().as_second() - last.as_second() > GRACE_SECONDS
}

fn mark_lost(node: &mut Value) {
    for condition in node["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if condition["status"] != "Unknown" {
            condition["status"] = "Unknown".into();
            condition["reason"] = "NodeStatusUnknown".into();
            condition["message"] = "Kubelet stopped posting node status.".into();
            condition["lastTransitionTime"] = crate::kube::now().into();
        }
    }
}

/// The taints that follow from what a node is; those that people set stay.
fn taint(node: &mut Value) {
    const OWN: [&str; 3] = [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
        "node.kubernetes.io/unschedulable",
    ];
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    match condition(node, "Ready") {
        "True" => {}
        "False" => wanted.extend([(OWN[0], "NoSchedule"), (OWN[0], "NoExecute")]),
        _ => wanted.extend([(OWN[1], "NoSchedule"), (OWN[1], "NoExecute")]),
    }
    if node["spec"]["unschedulable"] == true {
        wanted.push((OWN[2], "NoSchedule"));
    }
    let mut taints: Vec<Value> = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    let is = |taint: &Value, (key, effect): (&str, &str)| {
        taint["key"] == key && taint["effect"] == effect
    };
    taints.retain(|taint| {
        !OWN.iter().any(|key| taint["key"] == *key)
            || wanted.iter().any(|wanted| is(taint, *wanted))
    });
    for (key, effect) in wanted {
        if !taints.iter().any(|taint| is(taint, (key, effect))) {
            taints.push(json!({"key": key, "effect": effect}));
        }
    }
    if taints.is_empty() {
        node["spec"].as_object_mut().map(|spec| spec.remove("taints"));
    } else {
        node["spec"]["taints"] = taints.into();
    }
}

/// The first /24 of the pod network that no node has.
fn free_subnet(subnet: &str, used: &BTreeSet<String>) -> Option<String> {
    (0..256)
        .filter_map(|n| Some(format!("{}/24", nth_address(subnet, n * 256)?)))
        .find(|candidate| !used.contains(candidate))
}

/// Whether a pod may be placed on a node: its node selector fits and it tolerates the taints.
pub(super) fn fits(node: &Value, pod_spec: &Value, tolerated: &[&str]) -> bool {
    let labels = &node["metadata"]["labels"];
    let selected = pod_spec["nodeSelector"]
        .as_object()
        .into_iter()
        .flatten()
        .all(|(label, value)| labels[label] == *value);
    let taints = node["spec"]["taints"].as_array();
    selected
        && taints.into_iter().flatten().filter(|taint| taint["effect"] != "PreferNoSchedule").all(
            |taint| {
                tolerated.iter().any(|key| taint["key"] == *key)
                    || pod_spec["tolerations"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .any(|toleration| tolerates(toleration, taint))
            },
        )
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let effect = toleration["effect"]
        .as_str()
        .is_none_or(|effect| effect.is_empty() || taint["effect"] == effect);
    let key = toleration["key"].as_str().unwrap_or_default();
    let value = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let same = match toleration["operator"].as_str() {
        Some("Exists") => key.is_empty() || taint["key"] == key,
        _ => taint["key"] == key && value(&toleration["value"]) == value(&taint["value"]),
    };
    effect && same
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_heartbeats_is_lost_and_comes_back_clean() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.json")).unwrap();
        let key = kind("nodes").key("", "a");
        let ready = |status: &str| json!({"conditions": [{"type": "Ready", "status": status}]});
        store.put(&key, json!({"metadata": {"name": "a"}, "spec": {}, "status": ready("True")}));
        let now = jiff::Timestamp::now();
        let long_ago = now - jiff::SignedDuration::from_secs(GRACE_SECONDS + 5);

        reconcile(&store, Some("10.244.0.0/16"), now);
        let node = store.get(&key).unwrap();
        assert_eq!(
            (condition(&node, "Ready"), &node["spec"]["podCIDR"]),
            ("True", &json!("10.244.0.0/24"))
        );

        reconcile(&store, None, long_ago);
        let node = store.get(&key).unwrap();
        assert_eq!(condition(&node, "Ready"), "Unknown");
        assert_eq!(node["spec"]["taints"][0]["key"], "node.kubernetes.io/unreachable");

        let lease = json!({"metadata": {"name": "a"}, "spec": {"renewTime": now.to_string()}});
        store.put(&kind("leases").key("kube-node-lease", "a"), lease);
        edit(&store, &key, |node| node["status"] = ready("True"));
        reconcile(&store, None, long_ago);
        let node = store.get(&key).unwrap();
        assert_eq!((condition(&node, "Ready"), &node["spec"]["taints"]), ("True", &Value::Null));
    }
}
