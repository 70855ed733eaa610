//! `kubectl get`: tables, names, JSON, YAML, `JSONPath` and raw paths.

use std::process::ExitCode;

use anyhow::bail;
use http::Method;
use serde_json::{Value, json};

use super::{Session, columns, jsonpath, kinds, kinds::Kind};
use crate::kube::{client, say, say_error, yaml};

pub(super) async fn run(session: &Session, words: &[&str]) -> anyhow::Result<ExitCode> {
    if let Some(path) = session.arguments.value("raw") {
        match session.client.get(path).await? {
            Value::String(text) => say(text.trim_end_matches('\n')),
            other => say(other.to_string()),
        }
        return Ok(ExitCode::SUCCESS);
    }
    if session.arguments.is_set("watch") {
        bail!("the stand-in has no --watch: use wait");
    }
    let targets = kinds::targets(session, words).await?;
    match session.arguments.value("output").unwrap_or_default() {
        "" | "wide" => tables(session, &targets).await,
        format => objects(session, &targets, format).await,
    }
}

/// The path of a target, with the command line's selectors.
pub(super) fn path(session: &Session, kind: &Kind, name: Option<&str>) -> String {
    let everywhere = session.arguments.is_set("all-namespaces");
    let collection = kind.path((!everywhere).then_some(session.namespace.as_str()));
    let Some(name) = name else {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (flag, parameter) in
            [("selector", "labelSelector"), ("field-selector", "fieldSelector")]
        {
            if let Some(value) = session.arguments.value(flag) {
                query.append_pair(parameter, value);
            }
        }
        let query = query.finish();
        return if query.is_empty() { collection } else { format!("{collection}?{query}") };
    };
    format!("{collection}/{name}")
}

async fn tables(session: &Session, targets: &[(Kind, Option<String>)]) -> anyhow::Result<ExitCode> {
    let wide = session.arguments.value("output") == Some("wide");
    let everywhere = session.arguments.is_set("all-namespaces");
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for (kind, name) in targets {
        let table = session
            .client
            .call(Method::GET, &path(session, kind, name.as_deref()), client::TABLE, None)
            .await;
        let table = match table {
            Ok(table) => table,
            Err(error) if error.is(404) && session.arguments.is_set("ignore-not-found") => continue,
            Err(error) if targets.len() > 1 => {
                say_error(error.to_string());
                code = ExitCode::FAILURE;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let shown: Vec<bool> = table["columnDefinitions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|column| wide || column["priority"] == 0)
            .collect();
        let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let pick = |cells: Vec<String>| {
            cells.into_iter().zip(&shown).filter(|(_, shown)| **shown).map(|(cell, _)| cell)
        };
        if rows.is_empty() && !session.arguments.is_set("no-headers") {
            let names = table["columnDefinitions"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|column| cell(&column["name"]).to_uppercase());
            let heading = (everywhere && kind.namespaced).then(|| "NAMESPACE".to_owned());
            rows.push(heading.into_iter().chain(pick(names.collect())).collect());
        }
        for row in table["rows"].as_array().into_iter().flatten() {
            let namespace = (everywhere && kind.namespaced)
                .then(|| cell(&row["object"]["metadata"]["namespace"]));
            let cells = row["cells"].as_array().into_iter().flatten().map(cell).collect();
            rows.push(namespace.into_iter().chain(pick(cells)).collect());
        }
    }
    let headings = usize::from(!session.arguments.is_set("no-headers"));
    if rows.len() > headings {
        say(columns(&rows));
    } else if code == ExitCode::SUCCESS && !session.arguments.is_set("ignore-not-found") {
        let namespaced = targets.iter().any(|(kind, _)| kind.namespaced) && !everywhere;
        say_error(if namespaced {
            format!("No resources found in {} namespace.", session.namespace)
        } else {
            "No resources found".to_owned()
        });
    }
    Ok(code)
}

async fn objects(
    session: &Session,
    targets: &[(Kind, Option<String>)],
    format: &str,
) -> anyhow::Result<ExitCode> {
    let mut found = Vec::new();
    let single = targets.len() == 1 && targets[0].1.is_some();
    for (kind, name) in targets {
        let object = match session.client.get(&path(session, kind, name.as_deref())).await {
            Err(error) if error.is(404) && session.arguments.is_set("ignore-not-found") => continue,
            other => other?,
        };
        if name.is_some() {
            found.push((kind, object));
            continue;
        }
        for item in object["items"].as_array().into_iter().flatten() {
            let mut item = item.clone();
            item["kind"] = kind.name.as_str().into();
            item["apiVersion"] = kind.group_version.as_str().into();
            found.push((kind, item));
        }
    }
    if format == "name" {
        for (kind, object) in &found {
            say(kind.label(object["metadata"]["name"].as_str().unwrap_or_default()));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let all = if single {
        match found.pop() {
            Some((_, object)) => object,
            None => return Ok(ExitCode::SUCCESS),
        }
    } else {
        let items: Vec<Value> = found.into_iter().map(|(_, object)| object).collect();
        json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
    };
    show(&all, format)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints an object in one of the formats of `--output`.
pub(super) fn show(all: &Value, format: &str) -> anyhow::Result<()> {
    match format.split_once('=') {
        None if format == "json" => say(format!("{all:#}")),
        None if format == "yaml" => say(yaml::render(all).trim_end()),
        Some(("jsonpath", template)) => {
            use std::io::Write as _;
            let text = jsonpath::render(template, all)?;
            // No newline of its own, as the real one.
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
        _ => bail!(
            "unable to match a printer suitable for the output format \"{format}\", allowed formats are: json,jsonpath,name,wide,yaml"
        ),
    }
    Ok(())
}
