//! How a cluster is: does its API answer, and what does each node say of itself.

use serde::Serialize;
use serde_json::Value;

use super::{Error, Kube, Machine};

/// What the cluster says of itself, asked now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Health {
    /// Whether the API server says that it is ready.
    pub api_ready: bool,
    /// Its nodes, by name.
    pub nodes: Vec<Node>,
}

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Node {
    /// Its name, which is also its machine's.
    pub name: String,
    /// Whether it takes work.
    pub ready: bool,
    /// Why it is not ready, in the kubelet's words.
    pub reason: Option<String>,
    /// Whether new pods are kept off it.
    pub cordoned: bool,
    /// `control-plane`, or nothing for a worker.
    pub roles: Vec<String>,
    /// The kubelet's version, for instance `v1.36.4`.
    pub version: String,
    /// Processor cores that it has.
    pub cores: String,
    /// Memory that it has, as Kubernetes writes it.
    pub memory: String,
}

impl Health {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.api_ready && !self.nodes.is_empty() && self.nodes.iter().all(|node| node.ready)
    }
}

impl Kube {
    /// Asks the API whether it is ready, and for its nodes.
    pub async fn health(&self, machine: &Machine) -> Result<Health, Error> {
        let (ready, nodes) = tokio::join!(
            self.kubectl(machine, &["get", "--raw", "/readyz"], b""),
            self.ask(machine, &["get", "nodes", "-o", "json"]),
        );
        let api_ready = match ready {
            Ok(_) => true,
            // The API answered, and said no.
            Err(Error::Refused(_)) => false,
            Err(error) => return Err(error),
        };
        match nodes {
            Ok(nodes) => Ok(Health { api_ready, nodes: read(&nodes) }),
            Err(Error::Refused(_)) => Ok(Health { api_ready: false, nodes: Vec::new() }),
            Err(error) => Err(error),
        }
    }
}

fn read(list: &Value) -> Vec<Node> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut nodes: Vec<_> = list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|node| {
            let conditions = node["status"]["conditions"].as_array();
            let ready =
                conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
            let is_ready = ready.is_some_and(|ready| ready["status"] == "True");
            let reason = ready.map(|ready| text(&ready["message"])).filter(|_| !is_ready);
            let labels = node["metadata"]["labels"].as_object();
            Node {
                name: text(&node["metadata"]["name"]),
                ready: is_ready,
                reason: reason
                    .or_else(|| (!is_ready).then(|| "it has not reported yet".to_owned())),
                cordoned: node["spec"]["unschedulable"] == true,
                roles: labels
                    .into_iter()
                    .flat_map(serde_json::Map::keys)
                    .filter_map(|label| label.strip_prefix("node-role.kubernetes.io/"))
                    .map(str::to_owned)
                    .collect(),
                version: text(&node["status"]["nodeInfo"]["kubeletVersion"]),
                cores: text(&node["status"]["capacity"]["cpu"]),
                memory: text(&node["status"]["capacity"]["memory"]),
            }
        })
        .collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    nodes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cluster_is_well_when_every_node_says_so() {
        let node = |name: &str, status: &str| {
            json!({
                "metadata": {"name": name, "labels": {"node-role.kubernetes.io/control-plane": ""}},
                "status": {"conditions": [{"type": "Ready", "status": status, "message": "no network plugin"}],
                    "nodeInfo": {"kubeletVersion": "v1.36.4"}, "capacity": {"cpu": "2", "memory": "4015896Ki"}},
            })
        };
        let good = Health {
            api_ready: true,
            nodes: read(&json!({"items": [node("b", "True"), node("a", "True")]})),
        };
        assert!(good.is_good());
        assert_eq!(good.nodes[0].name, "a");
        assert_eq!(
            (good.nodes[0].roles.as_slice(), good.nodes[0].reason.as_deref()),
            (&["control-plane".to_owned()][..], None)
        );
        let bad = Health {
            api_ready: true,
            nodes: read(&json!({"items": [node("a", "Unknown"), {"metadata": {"name": "new"}}]})),
        };
        assert!(!bad.is_good());
        let reasons: Vec<_> = bad.nodes.iter().filter_map(|node| node.reason.as_deref()).collect();
        assert_eq!(reasons, ["no network plugin", "it has not reported yet"]);
        assert!(!Health { api_ready: true, nodes: Vec::new() }.is_good());
    }
}
