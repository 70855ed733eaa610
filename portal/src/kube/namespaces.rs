//! Namespaces: list, make, delete.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::manifests::{self, Limits, MANAGED, OWNER};
use super::{Error, Kube, Machine, NamespaceName};
use crate::ids::PersonId;

/// A namespace as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Namespace {
    /// Its name.
    #[schema(value_type = String)]
    pub name: NamespaceName,
    /// Whose it is; nobody's if it was made past the portal.
    #[schema(value_type = Option<String>)]
    pub owner: Option<PersonId>,
    /// When it was made.
    #[schema(value_type = Option<String>)]
    pub created: Option<Timestamp>,
    /// Whether it is being deleted.
    pub ending: bool,
    /// What it uses of its quota, if it has the portal's.
    pub usage: Option<Usage>,
}

/// Used and allowed, in the units of Kubernetes as it writes them (`500m`, `4Gi`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Usage {
    /// Processor cores asked for, and the limit.
    pub cores: Used,
    /// Memory asked for, and the limit.
    pub memory: Used,
    /// Pods, and the limit.
    pub pods: Used,
    /// Storage claimed, and the limit.
    pub storage: Used,
}

/// How much of something is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Used {
    /// Now.
    pub used: String,
    /// At most.
    pub limit: String,
}

impl Kube {
    /// Every namespace that is not the cluster's own, by name.
    pub async fn namespaces(&self, machine: &Machine) -> Result<Vec<Namespace>, Error> {
        let (namespaces, quotas) = tokio::try_join!(
            self.ask(machine, &["get", "namespaces", "-o", "json"]),
            self.ask(
                machine,
                &["get", "resourcequotas", "--all-namespaces", "-l", MANAGED, "-o", "json"]
            ),
        )?;
        Ok(read(&namespaces, &quotas))
    }

    /// One namespace, as it is now.
    pub async fn namespace(
        &self,
        machine: &Machine,
        name: &NamespaceName,
    ) -> Result<Namespace, Error> {
        let object =
            self.ask(machine, &["get", "namespace", "-o", "json", "--", name.as_str()]).await?;
        one(&object, &BTreeMap::new())
            .ok_or_else(|| Error::Unreadable("it is not a namespace".to_owned()))
    }

    /// Makes a namespace with its quota, its defaults and its wall. One that exists already is an error and is not touched.
    pub async fn create_namespace(
        &self,
        machine: &Machine,
        name: &NamespaceName,
        owner: &PersonId,
        limits: Limits,
    ) -> Result<(), Error> {
        self.send(machine, "create", &manifests::namespace(name, owner)).await?;
        let furnished = self.send(machine, "apply", &manifests::furnishings(name, limits)).await;
        if furnished.is_err() {
            // Half a namespace has no limits: none is better. What is left if this fails too shows in the list.
            let _ = self.delete_namespace(machine, name).await;
        }
        furnished
    }

    /// Begins to delete a namespace and all that is in it, credentials included.
    pub async fn delete_namespace(
        &self,
        machine: &Machine,
        name: &NamespaceName,
    ) -> Result<(), Error> {
        self.kubectl(machine, &["delete", "namespace", "--wait=false", "--", name.as_str()], b"")
            .await
            .map(drop)
    }
}

/// Reads the lists of namespaces and of quotas.
fn read(namespaces: &Value, quotas: &Value) -> Vec<Namespace> {
    let items = |list: &Value| list["items"].as_array().cloned().unwrap_or_default();
    let usages: BTreeMap<String, Usage> = items(quotas)
        .iter()
        .filter_map(|quota| {
            Some((quota["metadata"]["namespace"].as_str()?.to_owned(), usage(quota)))
        })
        .collect();
    let mut list: Vec<_> =
        items(namespaces).iter().filter_map(|object| one(object, &usages)).collect();
    list.sort_by(|a, b| a.name.cmp(&b.name));
    list
}

fn one(object: &Value, usages: &BTreeMap<String, Usage>) -> Option<Namespace> {
    let metadata = &object["metadata"];
    let name = NamespaceName::parse(metadata["name"].as_str()?).ok()?;
    Some(Namespace {
        owner: metadata["labels"][OWNER].as_str().and_then(|owner| owner.parse().ok()),
        created: metadata["creationTimestamp"].as_str().and_then(|time| time.parse().ok()),
        ending: object["status"]["phase"] == "Terminating"
            || metadata["deletionTimestamp"].is_string(),
        usage: usages.get(name.as_str()).cloned(),
        name,
    })
}

fn usage(quota: &Value) -> Usage {
    let of = |resource: &str| {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let hard = text(&quota["status"]["hard"][resource])
            .or_else(|| text(&quota["spec"]["hard"][resource]));
        // Before the quota's controller has looked, nothing is used.
        let used = text(&quota["status"]["used"][resource]).unwrap_or_else(|| "0".to_owned());
        Used { used, limit: hard.unwrap_or_else(|| "-".to_owned()) }
    };
    Usage {
        cores: of("requests.cpu"),
        memory: of("requests.memory"),
        pods: of("pods"),
        storage: of("requests.storage"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_show_peoples_namespaces_with_their_owners_and_quotas_only() {
        let owner = PersonId::new();
        let namespaces = json!({"items": [
            {"metadata": {"name": "kube-system"}}, {"metadata": {"name": "default"}},
            {"metadata": {"name": "web", "labels": {OWNER: owner.to_string()}, "creationTimestamp": "2026-11-25T10:00:00Z"}, "status": {"phase": "Active"}},
            {"metadata": {"name": "by-hand", "labels": {OWNER: "somebody"}}, "status": {"phase": "Terminating"}},
        ]});
        let quotas = json!({"items": [{"metadata": {"namespace": "web"}, "spec": {"hard": {"pods": "20", "requests.cpu": "2"}}, "status": {"used": {"pods": "3"}}}]});
        let list = read(&namespaces, &quotas);
        let names: Vec<_> = list
            .iter()
            .map(|namespace| (namespace.name.as_str(), namespace.owner.clone(), namespace.ending))
            .collect();
        assert_eq!(names, [("by-hand", None, true), ("web", Some(owner), false)]);
        let usage = list[1].usage.clone().unwrap();
        assert_eq!((usage.pods.used.as_str(), usage.pods.limit.as_str()), ("3", "20"));
        assert_eq!((usage.cores.used.as_str(), usage.cores.limit.as_str()), ("0", "2"));
    }
}
