//! `kubectl wait`, `rollout status` and `rollout restart`.

use std::{process::ExitCode, time::Duration};

use anyhow::bail;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Session, get, jsonpath, kinds, kinds::Kind};
use crate::kube::{now, say, say_error};

const AGAIN: Duration = Duration::from_millis(250);

/// What `--for` asks.
enum Goal {
    Condition(String, String),
    Deleted,
    Path(String, Option<String>),
}

impl Goal {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let lower = text.to_lowercase();
        if lower == "delete" {
            return Ok(Self::Deleted);
        }
        if let Some(condition) = text.strip_prefix("condition=") {
            let (kind, status) = condition.split_once('=').unwrap_or((condition, "True"));
            return Ok(Self::Condition(kind.to_owned(), status.to_owned()));
        }
        if let Some(path) = text.strip_prefix("jsonpath=") {
            let path = path.trim_matches(['\'', '"']);
            let (path, value) = match path.split_once("}=") {
                Some((path, value)) => (path, Some(value.to_owned())),
                None => (path.trim_end_matches('}'), None),
            };
            return Ok(Self::Path(path.trim_start_matches('{').to_owned(), value));
        }
        bail!("unrecognized condition: \"{text}\"")
    }

    fn reached(&self, object: &Value) -> bool {
        match self {
            Self::Deleted => false,
            Self::Condition(kind, status) => {
                object["status"]["conditions"].as_array().into_iter().flatten().any(|condition| {
                    let text = |field: &str| condition[field].as_str().unwrap_or_default();
                    text("type").eq_ignore_ascii_case(kind)
                        && text("status").eq_ignore_ascii_case(status)
                })
            }
            Self::Path(path, wanted) => jsonpath::find(path, object).is_ok_and(|found| {
                found.iter().any(|value| match wanted {
                    Some(wanted) => {
                        value.as_str().map_or_else(|| value.to_string(), str::to_owned) == *wanted
                    }
                    None => !value.is_null(),
                })
            }),
        }
    }
}

pub(super) async fn wait(session: &Session, words: &[&str]) -> anyhow::Result<ExitCode> {
    let Some(goal) = session.arguments.value("for") else { bail!("must specify --for") };
    let goal = Goal::parse(goal)?;
    let deadline = session.deadline("30s")?;
    let mut objects: Vec<(Kind, String, String)> = Vec::new();
    for (kind, name) in kinds::targets(session, words).await? {
        if let Some(name) = name {
            let path = get::path(session, &kind, Some(&name));
            if !matches!(goal, Goal::Deleted) {
                session.client.get(&path).await?;
            }
            objects.push((kind, name, path));
            continue;
        }
        let list = session.client.get(&get::path(session, &kind, None)).await?;
        for object in list["items"].as_array().into_iter().flatten() {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let path = format!("{}/{name}", kind.path(object["metadata"]["namespace"].as_str()));
            objects.push((kind.clone(), name, path));
        }
    }
    if objects.is_empty() {
        if matches!(goal, Goal::Deleted) {
            return Ok(ExitCode::SUCCESS);
        }
        bail!("no matching resources found");
    }
    let mut code = ExitCode::SUCCESS;
    for (kind, name, path) in objects {
        let met = loop {
            let met = match session.client.get(&path).await {
                Ok(object) => goal.reached(&object),
                Err(error) if error.is(404) && matches!(goal, Goal::Deleted) => true,
                Err(error) if error.is(404) => return Err(error.into()),
                // A restarting API server is waited for.
                Err(_) => false,
            };
            if met || Instant::now() > deadline {
                break met;
            }
            tokio::time::sleep(AGAIN).await;
        };
        if met {
            say(format!(
                "{} {}",
                kind.label(&name),
                if matches!(goal, Goal::Deleted) { "deleted" } else { "condition met" }
            ));
        } else {
            let kind = format!("{}s", kind.label("").trim_end_matches('/'));
            say_error(format!("error: timed out waiting for the condition on {kind}/{name}"));
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

pub(super) async fn rollout_status(session: &Session, words: &[&str]) -> anyhow::Result<ExitCode> {
    let deadline = session.deadline("0")?;
    for (kind, name) in kinds::targets(session, words).await? {
        let Some(name) = name else { bail!("required resource not specified") };
        let path = get::path(session, &kind, Some(&name));
        let mut said = String::new();
        loop {
            let object = session.client.get(&path).await?;
            let (line, done) = progress(&kind, &name, &object)?;
            if line != said {
                say(&line);
                said = line;
            }
            if done {
                break;
            }
            if Instant::now() > deadline {
                bail!("timed out waiting for the condition");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn progress(kind: &Kind, name: &str, object: &Value) -> anyhow::Result<(String, bool)> {
    let number = |field: &str| object["status"][field].as_i64().unwrap_or(0);
    let seen = object["status"]["observedGeneration"].as_i64()
        >= object["metadata"]["generation"].as_i64();
    let replicas = object["spec"]["replicas"].as_i64().unwrap_or(1);
    let (line, done) = match kind.name.as_str() {
        "DaemonSet" => {
            let (wanted, ready) = (number("desiredNumberScheduled"), number("numberAvailable"));
            let waiting = format!(
                "Waiting for daemon set \"{name}\" rollout to finish: {ready} of {wanted} updated pods are available..."
            );
            (waiting, seen && ready >= wanted && number("updatedNumberScheduled") >= wanted)
        }
        "Deployment" => {
            let ready = number("availableReplicas");
            let waiting = format!(
                "Waiting for deployment \"{name}\" rollout to finish: {ready} of {replicas} updated replicas are available..."
            );
            (
                waiting,
                seen && ready >= replicas
                    && number("updatedReplicas") >= replicas
                    && number("replicas") <= replicas,
            )
        }
        "StatefulSet" => {
            let ready = number("readyReplicas");
            (
                format!("Waiting for {} pods to be ready...", replicas - ready),
                seen && ready >= replicas,
            )
        }
        other => bail!("no status viewer has been implemented for {other}"),
    };
    let words = match kind.name.as_str() {
        "DaemonSet" => format!("daemon set \"{name}\" successfully rolled out"),
        "Deployment" => format!("deployment \"{name}\" successfully rolled out"),
        _ => format!("statefulset rolling update complete: {name}"),
    };
    Ok(if done { (words, true) } else { (line, false) })
}

pub(super) async fn rollout_restart(session: &Session, words: &[&str]) -> anyhow::Result<ExitCode> {
    for (kind, name) in kinds::targets(session, words).await? {
        let Some(name) = name else { bail!("required resource not specified") };
        let annotation = json!({"kubectl.kubernetes.io/restartedAt": now()});
        let patch = json!({"spec": {"template": {"metadata": {"annotations": annotation}}}});
        session.client.patch(&get::path(session, &kind, Some(&name)), &patch).await?;
        say(format!("{} restarted", kind.label(&name)));
    }
    Ok(ExitCode::SUCCESS)
}
