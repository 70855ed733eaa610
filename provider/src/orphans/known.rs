//! PURE: what Terraform states know.
//!
//! Whatever a state does not name may be destroyed by `--remove`. So what a state says halfway counts as known.

use kubesmith_spec::{ClusterName, LeaseName, Nonce, PoolName, Transaction};
use serde::Deserialize;

use crate::ledger::rows::Claim;
use crate::ssh::KeyPair;
use crate::stamp::Stamp;
use crate::states::{self, Unreadable};

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

impl Known {
    /// Adds what one more state knows.
    pub(super) fn add(&mut self, text: &str) -> Result<(), Unreadable> {
        for resource in states::resources(text)? {
            match resource.kind.as_str() {
                "kubesmith_ip_lease" => self.leases.push(resource.read()?),
                "kubesmith_cluster" => {
                    let cluster: ClusterAttributes = resource.read()?;
                    let key = cluster.ssh_private_key.and_then(|pem| KeyPair::parse(&pem).ok());
                    self.clusters.push(Cluster {
                        name: cluster.name,
                        leases: cluster.leases,
                        key: key.map(|key| key.nonce()),
                    });
                }
                _ => {}
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

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
