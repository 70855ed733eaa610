//! PURE: what Terraform states know, read from `terraform show -json` or `terraform state pull`.
//!
//! Whatever a state does not name may be destroyed by `--remove`. So a text that is not surely a whole
//! state is refused, never taken for an empty one, and what a state says halfway counts as known.

use kubesmith_spec::{ClusterName, LeaseName, Nonce, PoolName, Transaction};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::ledger::rows::Claim;
use crate::ssh::KeyPair;
use crate::stamp::Stamp;

/// Everything of Kubesmith's that the states know.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    leases: Vec<Lease>,
    clusters: Vec<Cluster>,
}

/// A lease, as a lease resource or a cluster resource names it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Lease {
    name: LeaseName,
    pool: PoolName,
    /// Missing in a state that no run has finished.
    transaction: Option<Transaction>,
}

#[derive(Debug, PartialEq, Eq)]
struct Cluster {
    name: ClusterName,
    leases: Vec<Lease>,
    /// The mark of its SSH key, if the state has one.
    key: Option<Nonce>,
}

/// The attributes of a `kubesmith_cluster` that are needed here.
#[derive(Deserialize)]
struct ClusterAttributes {
    name: ClusterName,
    leases: Vec<Lease>,
    ssh_private_key: Option<String>,
}

/// Why a text is not taken for a state.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is empty")]
    Empty,
    #[error("it is not JSON: {0}")]
    NotJson(String),
    #[error("it is a plan, not a state")]
    Plan,
    #[error(
        "it is neither a state (version 4) as `terraform state pull` writes it nor the JSON of `terraform show -json`"
    )]
    NotAState,
    #[error("{kind}.{name} in it cannot be read: {reason}")]
    Resource { kind: String, name: String, reason: String },
}

impl Known {
    /// Adds what one more state knows.
    pub(super) fn add(&mut self, text: &str) -> Result<(), Unreadable> {
        if text.trim().is_empty() {
            return Err(Unreadable::Empty);
        }
        let state: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| Unreadable::NotJson(error.to_string()))?;
        if state.contains_key("lineage") {
            self.add_pulled(&state)
        } else if state.contains_key("format_version") {
            self.add_shown(&state)
        } else {
            Err(Unreadable::NotAState)
        }
    }

    /// `terraform state pull`: one list of resources, each with its instances, the deposed ones too.
    fn add_pulled(&mut self, state: &Map<String, Value>) -> Result<(), Unreadable> {
        let resources = state.get("resources").and_then(Value::as_array);
        let (Some(4), Some(resources)) = (state.get("version").and_then(Value::as_u64), resources)
        else {
            return Err(Unreadable::NotAState);
        };
        for resource in resources {
            let instances = resource["instances"].as_array().ok_or(Unreadable::NotAState)?;
            instances
                .iter()
                .try_for_each(|instance| self.add_resource(resource, &instance["attributes"]))?;
        }
        Ok(())
    }

    /// `terraform show -json`: modules in modules. Without anything in the state there is not even the root.
    fn add_shown(&mut self, state: &Map<String, Value>) -> Result<(), Unreadable> {
        if state.contains_key("planned_values") || state.contains_key("resource_changes") {
            return Err(Unreadable::Plan);
        }
        if let Some(values) = state.get("values") {
            return self.add_module(values.get("root_module").unwrap_or(&Value::Null));
        }
        // Other commands of Terraform write a format_version as well.
        let expected = ["format_version", "terraform_version", "checks", "timestamp"];
        let empty = state.keys().all(|key| expected.contains(&key.as_str()));
        if empty { Ok(()) } else { Err(Unreadable::NotAState) }
    }

    fn add_module(&mut self, module: &Value) -> Result<(), Unreadable> {
        for resource in module["resources"].as_array().into_iter().flatten() {
            self.add_resource(resource, &resource["values"])?;
        }
        module["child_modules"]
            .as_array()
            .into_iter()
            .flatten()
            .try_for_each(|child| self.add_module(child))
    }

    fn add_resource(&mut self, resource: &Value, attributes: &Value) -> Result<(), Unreadable> {
        match (resource["mode"].as_str(), resource["type"].as_str()) {
            (Some("managed"), Some("kubesmith_ip_lease")) => {
                self.leases.push(read(resource, attributes)?);
            }
            (Some("managed"), Some("kubesmith_cluster")) => {
                let cluster: ClusterAttributes = read(resource, attributes)?;
                let key = cluster.ssh_private_key.and_then(|pem| KeyPair::parse(&pem).ok());
                self.clusters.push(Cluster {
                    name: cluster.name,
                    leases: cluster.leases,
                    key: key.map(|key| key.nonce()),
                });
            }
            (Some(_), Some(_)) => {}
            _ => return Err(Unreadable::NotAState),
        }
        Ok(())
    }

    /// Whether a cluster of the states has this machine. One that another key opens is not that cluster's.
    pub(super) fn has_machine(&self, stamp: &Stamp) -> bool {
        self.clusters.iter().filter(|cluster| cluster.name == stamp.cluster).any(|cluster| {
            let on_its_lease = cluster
                .leases
                .iter()
                .any(|lease| lease.is(&stamp.pool, &stamp.lease, &stamp.transaction));
            on_its_lease && cluster.key.as_ref().is_none_or(|key| *key == stamp.nonce)
        })
    }

    /// Whether the states have this lease, or a cluster that stands on it.
    pub(super) fn has_lease(&self, pool: &PoolName, claim: &Claim) -> bool {
        let of_clusters = self.clusters.iter().flat_map(|cluster| &cluster.leases);
        self.leases
            .iter()
            .chain(of_clusters)
            .any(|lease| lease.is(pool, &claim.lease, &claim.transaction))
    }
}

impl Lease {
    fn is(&self, pool: &PoolName, name: &LeaseName, transaction: &Transaction) -> bool {
        let same_transaction = self.transaction.as_ref().is_none_or(|known| known == transaction);
        self.pool == *pool && self.name == *name && same_transaction
    }
}

fn read<T: DeserializeOwned>(resource: &Value, attributes: &Value) -> Result<T, Unreadable> {
    T::deserialize(attributes).map_err(|error| Unreadable::Resource {
        kind: resource["type"].as_str().unwrap_or_default().to_owned(),
        name: resource["name"].as_str().unwrap_or_default().to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEY_OF_DEMO: &str = "kubesmith demo";

    fn cluster(leases: &Value, key: Option<&KeyPair>) -> Value {
        let key = key.map(|key| key.private_text().to_string());
        json!({"id": "demo", "name": "demo", "leases": leases, "nodes": null, "ssh_private_key": key})
    }

    fn lease(transaction: Option<&str>) -> Value {
        json!({"name": "demo", "pool": "lab", "transaction": transaction, "size": 6})
    }

    /// The same resources in both forms.
    fn both(kind: &str, attributes: &Value) -> [String; 2] {
        let pulled = json!({
            "version": 4, "terraform_version": "1.11.4", "serial": 3, "lineage": "b0e7", "outputs": {},
            "resources": [
                {"mode": "data", "type": "local_file", "name": "x", "instances": [{"attributes": {}}]},
                {"module": "module.course", "mode": "managed", "type": kind, "name": "demo",
                 "instances": [{"status": "tainted", "deposed": "0a", "attributes": attributes}]},
            ],
        });
        let shown = json!({
            "format_version": "1.0", "terraform_version": "1.11.4",
            "values": {"root_module": {"child_modules": [{"address": "module.course", "resources": [
                {"mode": "managed", "type": kind, "name": "demo", "values": attributes},
            ]}]}},
        });
        [pulled.to_string(), shown.to_string()]
    }

    fn known(text: &str) -> Known {
        let mut known = Known::default();
        known.add(text).unwrap();
        known
    }

    fn stamp(nonce: &Nonce, transaction: &str) -> Stamp {
        let line = format!(
            "kubesmith:v1 cluster=demo node=demo-cp-1 role=control-plane owner=me lease=lab/demo x={transaction} \
             nonce={nonce} made=1"
        );
        Stamp::parse(&line).unwrap()
    }

    #[test]
    fn a_machine_is_known_by_cluster_lease_and_key() {
        let (ours, other) = (KeyPair::generate(KEY_OF_DEMO), KeyPair::generate(KEY_OF_DEMO));
        let x = "00000000000000ff";
        for (case, leases, key, nonce, expected) in [
            ("its own", json!([lease(Some(x))]), Some(&ours), ours.nonce(), true),
            ("of another key", json!([lease(Some(x))]), Some(&ours), other.nonce(), false),
            ("the state has no key yet", json!([lease(Some(x))]), None, other.nonce(), true),
            (
                "of an earlier lease",
                json!([lease(Some("0000000000000001"))]),
                Some(&ours),
                ours.nonce(),
                false,
            ),
            ("on no lease", json!([]), Some(&ours), ours.nonce(), false),
        ] {
            for text in both("kubesmith_cluster", &cluster(&leases, key)) {
                assert_eq!(known(&text).has_machine(&stamp(&nonce, x)), expected, "{case}: {text}");
            }
        }
    }

    #[test]
    fn a_lease_is_known_by_its_transaction_and_through_clusters() {
        let (pool, claim) = ("lab".parse().unwrap(), super::super::find::tests::claim("me"));
        let (this, other) = (claim.transaction.to_string(), "0000000000000001");
        for (kind, attributes, expected) in [
            ("kubesmith_ip_lease", lease(Some(&this)), true),
            ("kubesmith_ip_lease", lease(Some(other)), false),
            ("kubesmith_ip_lease", lease(None), true),
            ("kubesmith_cluster", cluster(&json!([lease(Some(&this))]), None), true),
            ("kubesmith_ip_pool", lease(Some(&this)), false),
        ] {
            for text in both(kind, &attributes) {
                assert_eq!(known(&text).has_lease(&pool, &claim), expected, "{text}");
            }
        }
    }

    #[test]
    fn an_empty_state_knows_nothing() {
        for text in [
            r#"{"format_version":"1.0","terraform_version":"1.11.4"}"#,
            r#"{"version":4,"terraform_version":"1.11.4","serial":1,"lineage":"b0e7","outputs":{},"resources":[]}"#,
        ] {
            assert_eq!(known(text), Known::default());
        }
    }

    #[test]
    fn what_is_not_surely_a_state_is_refused() {
        let broken = both("kubesmith_cluster", &json!({"name": "demo"}));
        for (text, said) in [
            (" \n", "it is empty"),
            ("No state.", "it is not JSON"),
            ("[]", "it is not JSON"),
            ("{}", "neither a state"),
            (r#"{"format_version":"1.2","planned_values":{}}"#, "a plan"),
            (r#"{"format_version":"1.0","provider_schemas":{}}"#, "neither a state"),
            (r#"{"version":3,"lineage":"b0e7","modules":[]}"#, "neither a state"),
            (r#"{"lineage":"b0e7","serial":1,"encrypted_data":"x"}"#, "neither a state"),
            (&broken[0], "kubesmith_cluster.demo in it cannot be read: missing field `leases`"),
            (&broken[1], "kubesmith_cluster.demo in it cannot be read: missing field `leases`"),
        ] {
            let refused = Known::default().add(text).unwrap_err().to_string();
            assert!(refused.contains(said), "{text}: {refused}");
        }
    }
}
