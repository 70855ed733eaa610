//! `kubectl cordon`, `uncordon`, `drain`, `label`, `annotate` and `scale`.

use std::{process::ExitCode, time::Duration};

use anyhow::bail;
use serde_json::{Value, json};

use super::{Session, get, kinds};
use crate::kube::{say, say_error};

const AGAIN: Duration = Duration::from_millis(200);

/// The nodes that a command names, or selects.
async fn named(session: &Session, names: &[&str]) -> anyhow::Result<Vec<Value>> {
    if names.is_empty() && session.arguments.value("selector").is_none() {
        bail!("USAGE: cordon|uncordon|drain NODE [flags]: requires at least 1 argument");
    }
    let mut nodes = Vec::new();
    for name in names {
        let name = name.strip_prefix("node/").unwrap_or(name);
        nodes.push(session.client.get(&format!("/api/v1/nodes/{name}")).await?);
    }
    if names.is_empty() {
        let kind = kinds::find(session, "nodes").await?;
        let list = session.client.get(&get::path(session, &kind, None)).await?;
        nodes.extend(list["items"].as_array().cloned().unwrap_or_default());
    }
    Ok(nodes)
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

pub(super) async fn cordon(
    session: &Session,
    names: &[&str],
    cordon: bool,
) -> anyhow::Result<ExitCode> {
    for node in named(session, names).await? {
        set_schedulable(session, &node, cordon).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn set_schedulable(session: &Session, node: &Value, cordon: bool) -> anyhow::Result<()> {
    let what = if cordon { "cordoned" } else { "uncordoned" };
    if (node["spec"]["unschedulable"] == true) == cordon {
        say(format!("node/{} already {what}", name(node)));
        return Ok(());
    }
    let value = if cordon { json!(true) } else { Value::Null };
    session
        .client
        .patch(&format!("/api/v1/nodes/{}", name(node)), &json!({"spec": {"unschedulable": value}}))
        .await?;
    say(format!("node/{} {what}", name(node)));
    Ok(())
}

pub(super) async fn drain(session: &Session, names: &[&str]) -> anyhow::Result<ExitCode> {
    let nodes = named(session, names).await?;
    for node in &nodes {
        set_schedulable(session, node, true).await?;
    }
    let deadline = session.deadline("0")?;
    for node in &nodes {
        let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{}", name(node));
        let pods = session.client.get(&path).await?;
        let (mut evicted, mut problems) = (Vec::new(), Vec::new());
        for pod in pods["items"].as_array().into_iter().flatten() {
            match verdict(session, pod) {
                Verdict::Evict => evicted.push(pod),
                Verdict::Leave => {}
                Verdict::Refuse(problem) => problems.push(format!("{problem}: {}", full_name(pod))),
            }
        }
        if !problems.is_empty() {
            say_error(format!(
                "error: unable to drain node \"{}\" due to error: [{}], continuing command...",
                name(node),
                problems.join(", ")
            ));
            say_error(format!(
                "There are pending nodes to be drained:\n {}\n{}",
                name(node),
                problems.join("\n")
            ));
            return Ok(ExitCode::FAILURE);
        }
        for pod in &evicted {
            say(format!("evicting pod {}", full_name(pod)));
            let path = pod_path(pod);
            let eviction = json!({
                "apiVersion": "policy/v1", "kind": "Eviction",
                "metadata": {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]},
            });
            match session.client.post(&format!("{path}/eviction"), &eviction).await {
                Err(error) if error.is(404) => {}
                other => {
                    other?;
                }
            }
        }
        for pod in &evicted {
            while is_same(session, pod).await {
                if tokio::time::Instant::now() > deadline {
                    bail!(
                        "error when waiting for pod \"{}\" to terminate: global timeout reached",
                        name(pod)
                    );
                }
                tokio::time::sleep(AGAIN).await;
            }
            say(format!("pod/{} evicted", name(pod)));
        }
        say(format!("node/{} drained", name(node)));
    }
    Ok(ExitCode::SUCCESS)
}

enum Verdict {
    Evict,
    Leave,
    Refuse(&'static str),
}

fn verdict(session: &Session, pod: &Value) -> Verdict {
    if pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_string() {
        return Verdict::Leave;
    }
    let owner = pod["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|owner| owner["controller"] == true);
    let finished = ["Succeeded", "Failed"].iter().any(|phase| pod["status"]["phase"] == *phase);
    let local = pod["spec"]["volumes"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|volume| volume["emptyDir"].is_object());
    let flag = |name: &str| session.arguments.is_set(name);
    match owner {
        Some(owner) if owner["kind"] == "DaemonSet" => {
            if flag("ignore-daemonsets") {
                say_error(format!("Warning: ignoring DaemonSet-managed Pods: {}", full_name(pod)));
                Verdict::Leave
            } else {
                Verdict::Refuse(
                    "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)",
                )
            }
        }
        _ if local && !finished && !flag("delete-emptydir-data") && !flag("delete-local-data") => {
            Verdict::Refuse(
                "cannot delete Pods with local storage (use --delete-emptydir-data to override)",
            )
        }
        None if !finished && !flag("force") => Verdict::Refuse(
            "cannot delete Pods that declare no controller (use --force to override)",
        ),
        _ => Verdict::Evict,
    }
}

fn full_name(pod: &Value) -> String {
    format!("{}/{}", pod["metadata"]["namespace"].as_str().unwrap_or_default(), name(pod))
}

fn pod_path(pod: &Value) -> String {
    format!(
        "/api/v1/namespaces/{}/pods/{}",
        pod["metadata"]["namespace"].as_str().unwrap_or_default(),
        name(pod)
    )
}

async fn is_same(session: &Session, pod: &Value) -> bool {
    session
        .client
        .get(&pod_path(pod))
        .await
        .is_ok_and(|found| found["metadata"]["uid"] == pod["metadata"]["uid"])
}

/// `label`/`annotate TYPE NAME key=value key-`.
pub(super) async fn metadata(
    session: &Session,
    command: &str,
    words: &[&str],
) -> anyhow::Result<ExitCode> {
    let (changes, targets): (Vec<&str>, Vec<&str>) =
        words.iter().partition(|word| word.contains('=') || word.ends_with('-'));
    if changes.is_empty() {
        bail!("at least one {command} update is required");
    }
    let field = if command == "label" { "labels" } else { "annotations" };
    let all = session.arguments.is_set("all") || session.arguments.value("selector").is_some();
    for (kind, target) in kinds::targets(session, &targets).await? {
        let names = match target {
            Some(name) => vec![name],
            None if all => {
                let list = session.client.get(&get::path(session, &kind, None)).await?;
                list["items"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|object| name(object).to_owned())
                    .collect()
            }
            None => bail!(
                "one or more resources must be specified as <resource> <name> or <resource>/<name>"
            ),
        };
        for name in names {
            let path = get::path(session, &kind, Some(&name));
            let current = session.client.get(&path).await?;
            let mut patch = json!({"metadata": {field: {}}});
            for change in &changes {
                let Some((key, value)) = change.split_once('=') else {
                    patch["metadata"][field][change.trim_end_matches('-')] = Value::Null;
                    continue;
                };
                let before = &current["metadata"][field][key];
                if before.is_string() && before != value && !session.arguments.is_set("overwrite") {
                    bail!(
                        "'{key}' already has a value ({}), and --overwrite is false",
                        before.as_str().unwrap_or_default()
                    );
                }
                patch["metadata"][field][key] = value.into();
            }
            session.client.patch(&path, &patch).await?;
            say(format!(
                "{} {command}{}",
                kind.label(&name),
                if command == "label" { "ed" } else { "d" }
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `scale TYPE NAME --replicas=N`.
pub(super) async fn scale(session: &Session, words: &[&str]) -> anyhow::Result<ExitCode> {
    let Some(replicas) =
        session.arguments.value("replicas").and_then(|replicas| replicas.parse::<u32>().ok())
    else {
        bail!(
            "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0"
        );
    };
    for (kind, target) in kinds::targets(session, words).await? {
        let Some(name) = target else {
            bail!("resource(s) were provided, but no name was specified")
        };
        session
            .client
            .patch(
                &get::path(session, &kind, Some(&name)),
                &json!({"spec": {"replicas": replicas}}),
            )
            .await?;
        say(format!("{} scaled", kind.label(&name)));
    }
    Ok(ExitCode::SUCCESS)
}
