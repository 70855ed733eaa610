//! From what people type (`no`, `nodes`, `deploy/web`, `deployments.apps`) to a path of the API, by asking the server.

use std::process::ExitCode;

use anyhow::bail;
use serde_json::Value;

use super::Session;
use crate::kube::say;

/// One kind, as discovery tells it.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) group_version: String,
    pub(super) plural: String,
    pub(super) name: String,
    pub(super) namespaced: bool,
    singular: String,
    short: Vec<String>,
}

impl Kind {
    /// The collection of this kind; no namespace means all of them.
    pub(super) fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group_version == "v1" {
            "/api/v1".to_owned()
        } else {
            format!("/apis/{}", self.group_version)
        };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{}", self.plural),
        }
    }

    fn group(&self) -> &str {
        self.group_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// `node/a`, `deployment.apps/web`: how results name an object.
    pub(super) fn label(&self, name: &str) -> String {
        let group =
            if self.group().is_empty() { String::new() } else { format!(".{}", self.group()) };
        format!("{}{group}/{name}", self.singular)
    }

    fn is_called(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let (name, group) =
            text.split_once('.').map_or((text.as_str(), None), |(name, group)| (name, Some(group)));
        let named = name == self.plural
            || name == self.singular
            || self.short.iter().any(|short| short == name);
        named && group.is_none_or(|group| group == self.group())
    }
}

/// Every kind that the server has.
pub(super) async fn all(session: &Session) -> anyhow::Result<Vec<Kind>> {
    let mut lists = vec![session.client.get("/api/v1").await?];
    let groups = session.client.get("/apis").await?;
    for group in groups["groups"].as_array().into_iter().flatten() {
        let version = group["preferredVersion"]["groupVersion"].as_str().unwrap_or_default();
        lists.push(session.client.get(&format!("/apis/{version}")).await?);
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut kinds = Vec::new();
    for list in &lists {
        for entry in list["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|entry| !text(&entry["name"]).contains('/'))
        {
            let name = text(&entry["kind"]);
            let singular = text(&entry["singularName"]);
            kinds.push(Kind {
                group_version: text(&list["groupVersion"]),
                plural: text(&entry["name"]),
                singular: if singular.is_empty() { name.to_lowercase() } else { singular },
                name,
                namespaced: entry["namespaced"] == true,
                short: entry["shortNames"].as_array().into_iter().flatten().map(&text).collect(),
            });
        }
    }
    Ok(kinds)
}

pub(super) async fn find(session: &Session, text: &str) -> anyhow::Result<Kind> {
    let kinds = all(session).await?;
    match kinds.into_iter().find(|kind| kind.is_called(text)) {
        Some(kind) => Ok(kind),
        None => bail!("the server doesn't have a resource type \"{text}\""),
    }
}

/// The kind of an object that was read from a file.
pub(super) async fn of_object(session: &Session, object: &Value) -> anyhow::Result<Kind> {
    let (version, name) = (
        object["apiVersion"].as_str().unwrap_or_default(),
        object["kind"].as_str().unwrap_or_default(),
    );
    let kinds = all(session).await?;
    match kinds.into_iter().find(|kind| kind.group_version == version && kind.name == name) {
        Some(kind) => Ok(kind),
        None => bail!(
            "resource mapping not found for kind \"{name}\": no matches for kind \"{name}\" in version \"{version}\""
        ),
    }
}

/// What a command line means: kinds with names (`node a b`, `node/a`, `nodes`); no name means all of them.
pub(super) async fn targets(
    session: &Session,
    words: &[&str],
) -> anyhow::Result<Vec<(Kind, Option<String>)>> {
    let Some(first) = words.first() else { bail!("You must specify the type of resource to get.") };
    let mut targets = Vec::new();
    if first.contains('/') {
        for word in words {
            let Some((kind, name)) = word.split_once('/') else {
                bail!("there is no need to specify a resource type as a separate argument")
            };
            targets.push((find(session, kind).await?, Some(name.to_owned())));
        }
        return Ok(targets);
    }
    for kind in first.split(',') {
        let kind = find(session, kind).await?;
        if words.len() == 1 {
            targets.push((kind, None));
        } else {
            targets.extend(words[1..].iter().map(|name| (kind.clone(), Some((*name).to_owned()))));
        }
    }
    Ok(targets)
}

pub(super) async fn list(session: &Session) -> anyhow::Result<ExitCode> {
    let mut rows = vec![
        ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"].map(str::to_owned).to_vec(),
    ];
    for kind in all(session).await? {
        rows.push(vec![
            kind.plural,
            kind.short.join(","),
            kind.group_version,
            kind.namespaced.to_string(),
            kind.name,
        ]);
    }
    say(super::columns(&rows));
    Ok(ExitCode::SUCCESS)
}
