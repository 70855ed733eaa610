//! What exists, as Terraform's state says it. PURE.
//!
//! The only reader of a state's inside. Secrets of the state leave it through named functions, never with the rest.

use std::net::Ipv4Addr;

use kubesmith_spec::{MachineSize, Role, Workers};
use serde::{Deserialize, Serialize};

use super::form::Wanted;
use crate::quota::Amount;

/// A state, as Terraform writes it (version 4).
#[derive(Debug, Clone, Deserialize)]
pub struct State {
    version: u32,
    /// Grows with every write.
    pub serial: u64,
    /// Names the history that the serial counts in.
    pub lineage: String,
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Debug, Clone, Deserialize)]
struct Resource {
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    instances: Vec<Instance>,
}

#[derive(Debug, Clone, Deserialize)]
struct Instance {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    attributes: serde_json::Value,
}

/// A text that is no state, or one of a version that we do not know.
#[derive(Debug, thiserror::Error)]
#[error("this is not a Terraform state of version 4: {0}")]
pub struct NotAState(String);

/// A cluster that stands in a state. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Whether its creation failed: the next plain apply would replace it.
    pub tainted: bool,
    /// The address of its API, once it has one.
    pub endpoint: Option<String>,
    /// The version of Kubernetes.
    pub kubernetes_version: String,
    /// Its machines that are as they should be.
    pub nodes: Vec<Node>,
    /// The control plane's size.
    pub control_plane: MachineSize,
    /// Each worker's size.
    pub worker: MachineSize,
    /// How many workers it should have.
    pub workers: u32,
    /// The account that the portal may use on its machines.
    pub ssh_user: String,
    /// Their host keys, as a `known_hosts` file.
    pub known_hosts: String,
}

/// A machine of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// VM, host and Kubernetes node name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its VMID.
    pub vmid: u32,
    /// The Proxmox node it is on.
    pub proxmox_node: String,
}

/// The text of a state whose history has a name: its own, or this one if it has none.
pub fn named(text: &[u8], lineage: &str) -> Result<Vec<u8>, NotAState> {
    let not_a_state = |error: serde_json::Error| NotAState(error.to_string());
    let mut state: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(text).map_err(not_a_state)?;
    if state.get("lineage").is_some_and(|lineage| lineage != "") {
        return Ok(text.to_owned());
    }
    state.insert("lineage".to_owned(), lineage.into());
    serde_json::to_vec(&state).map_err(not_a_state)
}

impl State {
    /// Reads the text of a state.
    pub fn parse(text: &[u8]) -> Result<Self, NotAState> {
        let state: Self =
            serde_json::from_slice(text).map_err(|error| NotAState(error.to_string()))?;
        if state.version != 4 {
            return Err(NotAState(format!("its version is {}", state.version)));
        }
        if state.lineage.is_empty() {
            return Err(NotAState("it has no lineage".to_owned()));
        }
        Ok(state)
    }

    /// Whether nothing that Terraform manages stands in it.
    pub fn is_empty(&self) -> bool {
        self.instances().next().is_none()
    }

    /// The cluster, if there is one.
    pub fn cluster(&self) -> Option<Cluster> {
        let instance = self.instance("kubesmith_cluster")?;
        let attributes = &instance.attributes;
        let text = |key: &str| attributes[key].as_str().unwrap_or_default().to_owned();
        Some(Cluster {
            name: text("name"),
            tainted: instance.status.as_deref() == Some("tainted"),
            endpoint: attributes["endpoint"].as_str().map(str::to_owned),
            kubernetes_version: text("kubernetes_version"),
            nodes: Vec::deserialize(&attributes["nodes"]).unwrap_or_default(),
            control_plane: size(&attributes["control_plane"]),
            worker: size(&attributes["workers"]),
            workers: number(&attributes["workers"]["count"]),
            ssh_user: text("ssh_user"),
            known_hosts: text("known_hosts"),
        })
    }

    /// The cluster as it would be asked for, if it is whole: what a laptop or CI has made of it.
    pub fn wanted(&self) -> Option<Wanted> {
        let cluster = self.cluster().filter(|cluster| !cluster.tainted)?;
        let attributes = &self.instance("kubesmith_cluster")?.attributes;
        Some(Wanted {
            name: cluster.name.parse().ok()?,
            template: attributes["template"].as_str()?.parse().ok()?,
            kubernetes_version: cluster.kubernetes_version.parse().ok()?,
            lease_size: self.addresses().len().try_into().ok()?,
            control_plane: cluster.control_plane,
            workers: Workers { count: cluster.workers, size: cluster.worker },
        })
    }

    /// The leased addresses, ascending.
    pub fn addresses(&self) -> Vec<Ipv4Addr> {
        let lease = self.instance("kubesmith_ip_lease");
        lease
            .and_then(|lease| Vec::deserialize(&lease.attributes["addresses"]).ok())
            .unwrap_or_default()
    }

    /// The private key that opens the machines. A secret: for the portal's own SSH, and for who owns the cluster.
    pub fn ssh_private_key(&self) -> Option<&str> {
        self.instance("kubesmith_cluster")?.attributes["ssh_private_key"].as_str()
    }

    /// The administrator's kubeconfig. A secret, for who owns the cluster alone.
    pub fn admin_kubeconfig(&self) -> Option<&str> {
        self.instance("kubesmith_cluster")?.attributes["kubeconfig"].as_str()
    }

    /// What it takes of a quota.
    pub fn amount(&self) -> Amount {
        match self.cluster() {
            Some(cluster) => Amount::of(cluster.control_plane, cluster.worker, cluster.workers),
            None => Amount::default(),
        }
    }

    fn instance(&self, kind: &str) -> Option<&Instance> {
        self.resources
            .iter()
            .filter(|resource| resource.mode == "managed" && resource.kind == kind)
            .find_map(|resource| resource.instances.first())
    }

    fn instances(&self) -> impl Iterator<Item = &Instance> {
        let managed = self.resources.iter().filter(|resource| resource.mode == "managed");
        managed.flat_map(|resource| &resource.instances)
    }
}

fn size(object: &serde_json::Value) -> MachineSize {
    MachineSize {
        cores: number(&object["cores"]),
        memory_mib: number(&object["memory_mib"]),
        disk_gib: number(&object["disk_gib"]),
    }
}

fn number(value: &serde_json::Value) -> u32 {
    value.as_u64().and_then(|number| number.try_into().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_state_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "EOF"),
            ("[]", "invalid"),
            (r#"{"version":3,"serial":1,"lineage":"a"}"#, "version is 3"),
            (r#"{"version":4,"serial":1,"lineage":""}"#, "no lineage"),
            (r#"{"version":4,"serial":-1,"lineage":"a"}"#, "invalid value: integer `-1`"),
        ] {
            let error = State::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let empty =
            State::parse(br#"{"version":4,"serial":1,"lineage":"a","resources":[]}"#).unwrap();
        assert!(
            empty.is_empty() && empty.cluster().is_none() && empty.amount() == Amount::default()
        );
    }
}
