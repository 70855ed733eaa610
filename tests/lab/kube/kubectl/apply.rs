//! `kubectl apply`, `create` and `delete`.

use std::{io::Read as _, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use http::Method;
use serde_json::{Value, json};

use super::{Session, get, kinds};
use crate::kube::{say, say_error, yaml};

const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// Every object of the files that `-f` names; folders are read file by file, `-` is stdin.
fn objects(session: &Session) -> anyhow::Result<Vec<Value>> {
    let files = session.arguments.list("filename");
    if files.is_empty() {
        bail!("must specify one of -f and -k");
    }
    let mut objects = Vec::new();
    for file in &files {
        let mut texts = Vec::new();
        if file == "-" {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text)?;
            texts.push(text);
        } else if std::path::Path::new(file).is_dir() {
            let mut names: Vec<_> =
                std::fs::read_dir(file)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
            names.sort();
            for name in names.iter().filter(|name| {
                name.extension().is_some_and(|extension| {
                    extension == "yaml" || extension == "yml" || extension == "json"
                })
            }) {
                texts.push(std::fs::read_to_string(name)?);
            }
        } else {
            texts.push(
                std::fs::read_to_string(file)
                    .map_err(|_| anyhow::anyhow!("the path \"{file}\" does not exist"))?,
            );
        }
        for text in texts {
            for document in
                yaml::documents(&text).with_context(|| format!("error parsing {file}"))?
            {
                match document["items"].as_array() {
                    Some(items) if document["kind"] == "List" => {
                        objects.extend(items.iter().cloned());
                    }
                    _ => objects.push(document),
                }
            }
        }
    }
    Ok(objects)
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn namespace<'a>(session: &'a Session, object: &'a Value) -> &'a str {
    object["metadata"]["namespace"].as_str().unwrap_or(&session.namespace)
}

pub(super) async fn apply(session: &Session) -> anyhow::Result<ExitCode> {
    for object in objects(session)? {
        let kind = kinds::of_object(session, &object).await?;
        let collection = kind.path(Some(namespace(session, &object)));
        let mut desired = object.clone();
        // What this file said last time; fields that it no longer says are removed.
        let last = format!("{object}\n");
        desired["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
            last.into();
        let path = format!("{collection}/{}", name(&object));
        let result = match session.client.get(&path).await {
            Err(error) if error.is(404) => {
                session.client.post(&collection, &desired).await?;
                "created"
            }
            Err(error) => return Err(error.into()),
            Ok(current) => {
                let annotation = &current["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
                let before: Value = annotation
                    .as_str()
                    .and_then(|text| serde_json::from_str(text).ok())
                    .unwrap_or_default();
                let mut patch = desired;
                remove_dropped(&before, &object, &mut patch);
                let after = session
                    .client
                    .call(Method::PATCH, &path, "application/json", Some((STRATEGIC, &patch)))
                    .await?;
                let same =
                    current["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"];
                if same { "unchanged" } else { "configured" }
            }
        };
        say(format!("{} {result}", kind.label(name(&object))));
    }
    Ok(ExitCode::SUCCESS)
}

/// Adds a null to the patch for each field that was in the last file and is not in this one.
fn remove_dropped(before: &Value, now: &Value, patch: &mut Value) {
    for (key, old) in before.as_object().into_iter().flatten() {
        match now.get(key) {
            None => patch[key] = Value::Null,
            Some(new) if new.is_object() && old.is_object() => {
                remove_dropped(old, new, &mut patch[key]);
            }
            Some(_) => {}
        }
    }
}

pub(super) async fn create(session: &Session, words: &[&str]) -> anyhow::Result<ExitCode> {
    let literals = || -> serde_json::Map<String, Value> {
        let pairs = session.arguments.list("from-literal");
        pairs
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect()
    };
    let simple = |kind: &str, name: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
    let made = match words {
        [] => objects(session)?,
        ["namespace" | "ns", name] => vec![simple("Namespace", name)],
        ["serviceaccount" | "sa", name] => vec![simple("ServiceAccount", name)],
        ["configmap" | "cm", name] => {
            let mut object = simple("ConfigMap", name);
            object["data"] = literals().into();
            vec![object]
        }
        ["secret", "generic", name] => {
            let mut object = simple("Secret", name);
            object["stringData"] = literals().into();
            vec![object]
        }
        other => {
            bail!("the stand-in cannot create \"{}\": give it a file with -f", other.join(" "))
        }
    };
    for object in made {
        let kind = kinds::of_object(session, &object).await?;
        let stored =
            session.client.post(&kind.path(Some(namespace(session, &object))), &object).await?;
        match session.arguments.value("output") {
            Some(format) => get::show(&stored, format)?,
            None => say(format!("{} created", kind.label(name(&stored)))),
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn delete(session: &Session, words: &[&str]) -> anyhow::Result<ExitCode> {
    let mut targets = Vec::new();
    if words.is_empty() {
        for object in objects(session)? {
            let kind = kinds::of_object(session, &object).await?;
            let path =
                format!("{}/{}", kind.path(Some(namespace(session, &object))), name(&object));
            targets.push((kind, name(&object).to_owned(), path));
        }
    } else {
        for (kind, name) in kinds::targets(session, words).await? {
            if let Some(name) = name {
                let path = get::path(session, &kind, Some(&name));
                targets.push((kind, name, path));
                continue;
            }
            if !session.arguments.is_set("all") && session.arguments.value("selector").is_none() {
                bail!("resource(s) were provided, but no name was specified");
            }
            let list = session.client.get(&get::path(session, &kind, None)).await?;
            for object in list["items"].as_array().into_iter().flatten() {
                let name = self::name(object).to_owned();
                let path =
                    format!("{}/{name}", kind.path(object["metadata"]["namespace"].as_str()));
                targets.push((kind.clone(), name, path));
            }
        }
    }
    let mut code = ExitCode::SUCCESS;
    let deadline = session.deadline("0")?;
    for (kind, name, path) in targets {
        match session.client.delete(&path).await {
            Ok(_) => {}
            Err(error) if error.is(404) && session.arguments.is_set("ignore-not-found") => continue,
            Err(error) => {
                say_error(error.to_string());
                code = ExitCode::FAILURE;
                continue;
            }
        }
        let label = kind.label(&name);
        say(format!("{} \"{name}\" deleted", label.split('/').next().unwrap_or_default()));
        while session.client.get(&path).await.is_ok() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(code)
}
