//! The pods bound to this node: nothing runs, but a CNI's pod leaves its configuration, and pods are said to be running.

use std::time::Duration;

use serde_json::{Value, json};

use super::node::{Agent, network_ready};
use crate::kube::{client::ApiError, now, paths, yaml};

const AGAIN: Duration = Duration::from_secs(1);

/// Follows the node's pods until the future is dropped.
pub(super) async fn run(agent: &Agent<'_>) {
    loop {
        if let Err(error) = mirror_static_pods(agent).await {
            tracing::warn!(%error, "failed to create mirror pods");
        }
        let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{}", agent.name());
        match agent.client().watch(&path).await {
            Ok(mut watch) => {
                while let Some(event) = watch.next().await {
                    if event["type"] == "ADDED" || event["type"] == "MODIFIED" {
                        sync(agent, &event["object"]).await;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "failed to watch the node's pods"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn sync(agent: &Agent<'_>, pod: &Value) {
    if is_network(pod) && !network_ready() {
        match start_network(agent).await {
            Ok(()) => tracing::info!("the container network is there"),
            Err(error) => tracing::warn!(%error, "failed to set up the container network"),
        }
        // Pods that waited for the network are looked at again.
        if let Err(error) = resync(agent).await {
            tracing::warn!(%error, "failed to look at the node's pods");
        }
    }
    if let Err(error) = start(agent, pod).await
        && !error.is(404)
    {
        tracing::warn!(%error, pod = %pod["metadata"]["name"], "failed to update a pod's status");
    }
}

/// A pod that writes CNI configuration has the host's folder for it as a volume.
fn is_network(pod: &Value) -> bool {
    let volumes = pod["spec"]["volumes"].as_array();
    volumes.into_iter().flatten().any(|volume| {
        volume["hostPath"]["path"].as_str().is_some_and(|path| path.starts_with(paths::CNI))
    })
}

async fn start_network(agent: &Agent<'_>) -> anyhow::Result<()> {
    let config = json!({
        "name": "cbr0", "cniVersion": "0.3.1",
        "plugins": [
            {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    paths::write(paths::CNI_CONFIG, &format!("{config:#}\n"), 0o644)?;
    agent.report().await?;
    Ok(())
}

async fn resync(agent: &Agent<'_>) -> Result<(), ApiError> {
    let pods = agent
        .client()
        .get(&format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{}", agent.name()))
        .await?;
    for pod in pods["items"].as_array().into_iter().flatten() {
        start(agent, pod).await?;
    }
    Ok(())
}

/// Says that a pod runs, once it could.
async fn start(agent: &Agent<'_>, pod: &Value) -> Result<(), ApiError> {
    let host = pod["spec"]["hostNetwork"] == true;
    let conditions = pod["status"]["conditions"].as_array();
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    let ended = ["Succeeded", "Failed"].iter().any(|phase| pod["status"]["phase"] == *phase);
    if ready || ended || (!host && !network_ready()) {
        return Ok(());
    }
    // The control plane calls pods of a lost node not ready: it must hear first that this one is back.
    agent.report().await?;
    let time = now();
    let condition =
        |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": time});
    let containers: Vec<Value> = pod["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|container| {
            json!({
                "name": container["name"], "image": container["image"], "imageID": "", "ready": true, "started": true,
                "restartCount": 0, "state": {"running": {"startedAt": time}}, "lastState": {},
            })
        })
        .collect();
    let address = if host { agent.address().clone() } else { pod_address(pod).into() };
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
    let status = json!({
        "phase": "Running", "hostIP": agent.address(), "podIP": address, "podIPs": [{"ip": address}], "startTime": time, "qosClass": "BestEffort",
        "conditions": conditions, "containerStatuses": containers,
    });
    let metadata = &pod["metadata"];
    let name = |field: &str| metadata[field].as_str().unwrap_or_default();
    let path = format!("/api/v1/namespaces/{}/pods/{}/status", name("namespace"), name("name"));
    agent.client().patch(&path, &json!({"status": status})).await.map(|_| ())
}

/// An address that looks like one of the pod network and stays the same for a pod.
fn pod_address(pod: &Value) -> String {
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let byte = |range| u8::from_str_radix(uid.get(range).unwrap_or_default(), 16).unwrap_or(1);
    format!("10.244.{}.{}", byte(0..2), byte(2..4).max(2))
}

/// Static pods show in the API as mirror pods.
async fn mirror_static_pods(agent: &Agent<'_>) -> Result<(), ApiError> {
    let node = agent.client().get(&format!("/api/v1/nodes/{}", agent.name())).await?;
    let entries =
        std::fs::read_dir(paths::under_root(paths::MANIFESTS)).into_iter().flatten().flatten();
    for file in entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
    {
        let Some(mut pod) =
            std::fs::read_to_string(&file).ok().and_then(|text| yaml::document(&text).ok())
        else {
            continue;
        };
        let name =
            format!("{}-{}", pod["metadata"]["name"].as_str().unwrap_or("pod"), agent.name());
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        pod["metadata"]["name"] = name.into();
        pod["metadata"]["annotations"]["kubernetes.io/config.mirror"] = "standin".into();
        pod["metadata"]["annotations"]["kubernetes.io/config.source"] = "file".into();
        pod["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "v1", "kind": "Node", "name": agent.name(), "uid": node["metadata"]["uid"], "controller": true,
        }]);
        pod["spec"]["nodeName"] = agent.name().into();
        pod["spec"]["tolerations"] = json!([{"operator": "Exists", "effect": "NoExecute"}]);
        match agent.client().post(&format!("/api/v1/namespaces/{namespace}/pods"), &pod).await {
            Err(error) if error.is(409) => {}
            other => {
                other?;
            }
        }
    }
    Ok(())
}
