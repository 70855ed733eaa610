//! Services: those with a selector get the addresses of the ready pods that it selects as their endpoints.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Store,
    controllers::{edit, make},
    resources::kind,
    table::condition,
};

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const CONTROLLER: &str = "endpoint-controller";

/// Brings the endpoints of every Service up to date; endpoints whose Service is gone go too.
pub(super) fn reconcile(store: &Store) {
    let pods = store.list(&kind("pods").prefix("")).0;
    for service in store.list(&kind("services").prefix("")).0 {
        // Without a selector somebody else keeps them, as the API server does for its own Service.
        if service["spec"]["selector"].as_object().is_some_and(|selector| !selector.is_empty()) {
            keep(store, &service, &pods);
        }
    }
    for endpoints in store.list(&kind("endpoints").prefix("")).0 {
        let (namespace, name) = (text(&endpoints, "namespace"), text(&endpoints, "name"));
        let kept = endpoints["metadata"]["labels"][MANAGED_BY] == CONTROLLER;
        if kept && store.get(&kind("services").key(namespace, name)).is_none() {
            store.remove(&kind("endpoints").key(namespace, name));
        }
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

fn keep(store: &Store, service: &Value, pods: &[Arc<Value>]) {
    let (namespace, name) = (text(service, "namespace"), text(service, "name"));
    let wanted = subsets(service, pods);
    let key = kind("endpoints").key(namespace, name);
    if store.get(&key).is_none() {
        let metadata = json!({"name": name, "labels": {MANAGED_BY: CONTROLLER}});
        make(store, "endpoints", namespace, json!({"metadata": metadata, "subsets": wanted}));
    } else {
        edit(store, &key, |endpoints| endpoints["subsets"] = wanted);
    }
}

/// The ready pods of a Service and the ports that its own lead to.
fn subsets(service: &Value, pods: &[Arc<Value>]) -> Value {
    let selected = |pod: &&Arc<Value>| {
        let selector = service["spec"]["selector"].as_object();
        text(pod, "namespace") == text(service, "namespace")
            && condition(pod, "Ready") == "True"
            && selector.into_iter().flatten().all(|(label, value)| {
                pod["metadata"]["labels"].get(label).is_some_and(|found| found == value)
            })
    };
    let addresses: Vec<Value> = pods
        .iter()
        .filter(selected)
        .map(|pod| {
            let target = json!({"kind": "Pod", "namespace": text(pod, "namespace"), "name": text(pod, "name")});
            json!({"ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"], "targetRef": target})
        })
        .collect();
    if addresses.is_empty() {
        return json!([]);
    }
    let ports: Vec<Value> = service["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|port| {
            let target = if port["targetPort"].is_null() { "port" } else { "targetPort" };
            let mut wanted = json!({"port": port[target], "protocol": port.get("protocol").unwrap_or(&json!("TCP"))});
            if port["name"].is_string() {
                wanted["name"] = port["name"].clone();
            }
            wanted
        })
        .collect();
    json!([{"addresses": addresses, "ports": ports}])
}
