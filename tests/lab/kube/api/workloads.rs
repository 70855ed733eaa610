//! Workloads: `DaemonSets`, Deployments, `ReplicaSets` and `StatefulSets` get their pods, pods get a node, owners get a status.
//!
//! Pods are objects only. The kubelet that a pod is bound to says whether it "runs" (`kubelet/pods.rs`).

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Store,
    controllers::{child_name, edit, make},
    nodes::fits,
    resources::{Resource, kind},
    table::condition,
};

/// Brings every workload one step further; each step's writes call for the next.
pub(super) fn reconcile(store: &Store) {
    collect_garbage(store);
    let nodes = store.list(&kind("nodes").prefix("")).0;
    for set in store.list(&kind("daemonsets").prefix("")).0 {
        daemon_set(store, &set, &nodes);
    }
    for deployment in store.list(&kind("deployments").prefix("")).0 {
        self::deployment(store, &deployment);
    }
    for plural in ["replicasets", "statefulsets"] {
        for set in store.list(&kind(plural).prefix("")).0 {
            replicated(store, kind(plural), &set);
        }
    }
    schedule(store, &nodes);
    readiness(store, &nodes);
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

fn key(resource: &Resource, object: &Value) -> String {
    resource.key(text(object, "namespace"), text(object, "name"))
}

fn owned(objects: &[Arc<Value>], owner: &Value) -> Vec<Arc<Value>> {
    let uid = &owner["metadata"]["uid"];
    let is_owned = |object: &Arc<Value>| {
        object["metadata"]["ownerReferences"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|reference| reference["uid"] == *uid)
    };
    objects.iter().filter(|object| is_owned(object)).map(Arc::clone).collect()
}

/// Objects whose owner is gone, and pods of nodes that are gone, go too.
fn collect_garbage(store: &Store) {
    for plural in ["replicasets", "pods"] {
        for object in store.list(&kind(plural).prefix("")).0 {
            let node = object["spec"]["nodeName"].as_str();
            let stray = plural == "pods"
                && node.is_some_and(|node| store.get(&kind("nodes").key("", node)).is_none());
            let orphan = object["metadata"]["ownerReferences"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|reference| {
                    let owner = super::resources::RESOURCES
                        .iter()
                        .find(|resource| reference["kind"] == resource.kind);
                    owner.is_some_and(|owner| {
                        let namespace =
                            if owner.namespaced { text(&object, "namespace") } else { "" };
                        let found = store.get(
                            &owner.key(namespace, reference["name"].as_str().unwrap_or_default()),
                        );
                        found.is_none_or(|found| found["metadata"]["uid"] != reference["uid"])
                    })
                });
            // A Deployment deleted with --cascade=orphan is not told apart: nothing here needs it.
            if stray || orphan {
                store.remove(&key(kind(plural), &object));
            }
        }
    }
}

fn template_hash(owner: &Value) -> String {
    hex::encode(&Sha256::digest(owner["spec"]["template"].to_string().as_bytes())[..5])
}

/// A pod (or `ReplicaSet`) from a template, owned by `owner`.
fn child(owner: &Value, owner_kind: &str, name: &str, hash_label: &str, hash: &str) -> Value {
    let template = &owner["spec"]["template"];
    let mut labels = template["metadata"]["labels"].clone();
    labels[hash_label] = hash.into();
    let mut metadata = json!({"name": name, "labels": labels, "ownerReferences": [{
        "apiVersion": "apps/v1", "kind": owner_kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    }]});
    if template["metadata"]["annotations"].is_object() {
        metadata["annotations"] = template["metadata"]["annotations"].clone();
    }
    json!({"metadata": metadata, "spec": template["spec"]})
}

fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready") == "True"
}

fn count<'a>(pods: &'a [Arc<Value>], matches: impl Fn(&'a Value) -> bool) -> usize {
    pods.iter().filter(|pod| matches(pod)).count()
}

/// One pod on each node that the template fits; a node's own troubles do not keep daemons away.
fn daemon_set(store: &Store, set: &Value, nodes: &[Arc<Value>]) {
    const LABEL: &str = "controller-revision-hash";
    const TOLERATED: [&str; 4] = [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
        "node.kubernetes.io/unschedulable",
        "node.kubernetes.io/network-unavailable",
    ];
    let (namespace, name, hash) = (text(set, "namespace"), text(set, "name"), template_hash(set));
    let pods = owned(&store.list(&kind("pods").prefix(namespace)).0, set);
    let wanted: Vec<&Arc<Value>> = nodes
        .iter()
        .filter(|node| fits(node, &set["spec"]["template"]["spec"], &TOLERATED))
        .collect();
    let on = |pod: &Value, node: &Value| pod["spec"]["nodeName"] == node["metadata"]["name"];
    let current = |pod: &Value| pod["metadata"]["labels"][LABEL] == hash.as_str();
    for pod in &pods {
        if !current(pod) || !wanted.iter().any(|node| on(pod, node)) {
            store.remove(&key(kind("pods"), pod));
        }
    }
    for node in &wanted {
        if !pods.iter().any(|pod| on(pod, node) && current(pod)) {
            let mut pod = child(set, "DaemonSet", &child_name(name), LABEL, &hash);
            pod["spec"]["nodeName"] = node["metadata"]["name"].clone();
            make(store, "pods", namespace, pod);
        }
    }
    let pods = owned(&store.list(&kind("pods").prefix(namespace)).0, set);
    let ready = count(&pods, is_ready);
    edit(store, &key(kind("daemonsets"), set), |set| {
        set["status"] = json!({
            "desiredNumberScheduled": wanted.len(), "currentNumberScheduled": pods.len(), "updatedNumberScheduled": pods.len(),
            "numberReady": ready, "numberAvailable": ready, "numberUnavailable": wanted.len().saturating_sub(ready),
            "numberMisscheduled": 0, "observedGeneration": set["metadata"]["generation"],
        });
    });
}

/// A `ReplicaSet` for the current template; those of earlier templates are emptied.
fn deployment(store: &Store, deployment: &Value) {
    const LABEL: &str = "pod-template-hash";
    let (namespace, name, hash) =
        (text(deployment, "namespace"), text(deployment, "name"), template_hash(deployment));
    let replicas = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    let current = format!("{name}-{hash}");
    let sets = owned(&store.list(&kind("replicasets").prefix(namespace)).0, deployment);
    for set in &sets {
        let wanted = if text(set, "name") == current { replicas } else { 0 };
        edit(store, &key(kind("replicasets"), set), |set| set["spec"]["replicas"] = wanted.into());
    }
    if !sets.iter().any(|set| text(set, "name") == current) {
        let mut set = child(deployment, "Deployment", &current, LABEL, &hash);
        let mut selector = deployment["spec"]["selector"].clone();
        selector["matchLabels"][LABEL] = hash.as_str().into();
        let mut template = deployment["spec"]["template"].clone();
        template["metadata"]["labels"][LABEL] = hash.as_str().into();
        set["spec"] = json!({"replicas": replicas, "selector": selector, "template": template});
        make(store, "replicasets", namespace, set);
    }
    let sets = owned(&store.list(&kind("replicasets").prefix(namespace)).0, deployment);
    let sum =
        |field: &str| sets.iter().filter_map(|set| set["status"][field].as_i64()).sum::<i64>();
    let updated = sets
        .iter()
        .find(|set| text(set, "name") == current)
        .and_then(|set| set["status"]["replicas"].as_i64())
        .unwrap_or(0);
    let ready = sum("readyReplicas");
    edit(store, &key(kind("deployments"), deployment), |deployment| {
        let available = condition_of(
            deployment,
            "Available",
            ready >= replicas,
            "MinimumReplicasAvailable",
            "MinimumReplicasUnavailable",
        );
        let progressing =
            condition_of(deployment, "Progressing", true, "NewReplicaSetAvailable", "");
        let mut status = json!({
            "replicas": sum("replicas"), "updatedReplicas": updated, "readyReplicas": ready, "availableReplicas": ready,
            "observedGeneration": deployment["metadata"]["generation"], "conditions": [available, progressing],
        });
        if ready < replicas {
            status["unavailableReplicas"] = (replicas - ready).into();
        }
        deployment["status"] = status;
    });
}

/// A condition that keeps its time of change while its status stays.
fn condition_of(object: &Value, kind: &str, holds: bool, yes: &str, no: &str) -> Value {
    let status = if holds { "True" } else { "False" };
    let before = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == kind);
    let since = before
        .filter(|before| before["status"] == status)
        .map_or_else(|| crate::kube::now().into(), |before| before["lastTransitionTime"].clone());
    json!({"type": kind, "status": status, "reason": if holds { yes } else { no }, "lastTransitionTime": since, "lastUpdateTime": since})
}

/// As many pods as a `ReplicaSet` or a `StatefulSet` asks for.
fn replicated(store: &Store, resource: &Resource, set: &Value) {
    let (namespace, name, hash) = (text(set, "namespace"), text(set, "name"), template_hash(set));
    let ordinal = resource.kind == "StatefulSet";
    let label = if ordinal { "controller-revision-hash" } else { "kubesmith-standin/template" };
    let replicas = usize::try_from(set["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or(0);
    let mut pods = owned(&store.list(&kind("pods").prefix(namespace)).0, set);
    if ordinal {
        let current = |pod: &Value| pod["metadata"]["labels"][label] == hash.as_str();
        for pod in pods.iter().filter(|pod| !current(pod)) {
            store.remove(&key(kind("pods"), pod));
        }
        pods.retain(|pod| current(pod));
    }
    for pod in pods.iter().skip(replicas) {
        store.remove(&key(kind("pods"), pod));
    }
    let names = (0..replicas)
        .map(|n| format!("{name}-{n}"))
        .filter(|name| !pods.iter().any(|pod| text(pod, "name") == name));
    let names: Vec<String> = if ordinal {
        names.collect()
    } else {
        (pods.len()..replicas).map(|_| child_name(name)).collect()
    };
    for name in names {
        make(store, "pods", namespace, child(set, resource.kind, &name, label, &hash));
    }
    let pods = owned(&store.list(&kind("pods").prefix(namespace)).0, set);
    let ready = count(&pods, is_ready);
    edit(store, &key(resource, set), |set| {
        set["status"] = json!({
            "replicas": pods.len(), "readyReplicas": ready, "availableReplicas": ready, "updatedReplicas": pods.len(),
            "currentReplicas": pods.len(), "currentRevision": hash, "updateRevision": hash,
            "observedGeneration": set["metadata"]["generation"],
        });
    });
}

/// Gives pods without a node the fitting node with the fewest pods.
fn schedule(store: &Store, nodes: &[Arc<Value>]) {
    let pods = store.list(&kind("pods").prefix("")).0;
    for pod in pods.iter().filter(|pod| pod["spec"]["nodeName"].is_null()) {
        let load = |node: &Value| {
            count(&pods, |other| other["spec"]["nodeName"] == node["metadata"]["name"])
        };
        let chosen =
            nodes.iter().filter(|node| fits(node, &pod["spec"], &[])).min_by_key(|node| load(node));
        if let Some(node) = chosen {
            edit(store, &key(kind("pods"), pod), |pod| {
                pod["spec"]["nodeName"] = node["metadata"]["name"].clone();
            });
        }
    }
}

/// Pods of a node that is not ready are not ready.
fn readiness(store: &Store, nodes: &[Arc<Value>]) {
    for pod in store.list(&kind("pods").prefix("")).0.iter().filter(|pod| is_ready(pod)) {
        let node = nodes.iter().find(|node| node["metadata"]["name"] == pod["spec"]["nodeName"]);
        if node.is_some_and(|node| condition(node, "Ready") == "Unknown") {
            edit(store, &key(kind("pods"), pod), |pod| {
                for condition in pod["status"]["conditions"].as_array_mut().into_iter().flatten() {
                    if condition["type"] == "Ready" {
                        condition["status"] = "False".into();
                    }
                }
            });
        }
    }
}
