//! Kubernetes over SSH: namespaces, health and short-lived credentials of one cluster.
//!
//! What a cluster holds is asked of the cluster each time and remembered nowhere. The administrator's own kubeconfig stays
//! on the control plane; what leaves it are credentials with a name, an end, and a way to take them back.

mod credentials;
mod error;
mod kubeconfig;
mod manifests;
mod names;
mod namespaces;
mod nodes;
pub mod service;
mod ssh;
pub mod withdraw;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use kubesmith_spec::Role;
use serde_json::Value;
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::cluster::exists::State;
use crate::ids::ClusterId;

pub use credentials::Issued;
pub use error::Error;
pub use manifests::{Limits, Power};
pub use names::{CredentialName, InvalidName, NamespaceName};
pub use namespaces::{Namespace, Usage, Used};
pub use nodes::{Health, Node};

/// Everything that is asked of clusters goes through here.
pub struct Kube {
    connections: ssh::Connections,
    rights_changed: Notify,
}

/// How a cluster's control plane is entered. Comes out of Terraform's state, and goes nowhere else.
#[derive(Clone)]
pub struct Machine {
    /// The cluster's id.
    pub cluster: ClusterId,
    /// The cluster's name, for the names in a kubeconfig.
    pub name: String,
    /// The control plane's address.
    pub address: Ipv4Addr,
    /// URL of the Kubernetes API.
    pub endpoint: String,
    /// Private key in OpenSSH's format.
    pub private_key: Zeroizing<String>,
    /// The pinned host keys.
    pub known_hosts: String,
}

/// Why a state does not say how to enter its cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the cluster's state has no usable {0}: apply the cluster again")]
pub struct NoMachine(&'static str);

impl Machine {
    /// Reads it out of a state that holds a cluster. The name is the one in our own database.
    pub fn of(id: ClusterId, name: &str, state: &State) -> Result<Self, NoMachine> {
        let cluster = state.cluster().ok_or(NoMachine("cluster"))?;
        let key = state.ssh_private_key().filter(|key| !key.is_empty());
        let address = cluster.nodes.iter().find(|node| node.role == Role::ControlPlane);
        Ok(Self {
            cluster: id,
            name: name.to_owned(),
            address: address.ok_or(NoMachine("control plane"))?.address,
            endpoint: cluster.endpoint.ok_or(NoMachine("endpoint"))?,
            private_key: Zeroizing::new(key.ok_or(NoMachine("SSH key"))?.to_owned()),
            known_hosts: Some(cluster.known_hosts)
                .filter(|hosts| !hosts.is_empty())
                .ok_or(NoMachine("host keys"))?,
        })
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Machine({}, {})", self.cluster, self.address)
    }
}

impl Kube {
    /// Connections will be kept below this folder.
    pub fn new(dir: PathBuf) -> Self {
        Self { connections: ssh::Connections::new(dir), rights_changed: Notify::new() }
    }

    /// Makes the folder anew. For the one process that serves: another one's connections would be lost.
    pub fn prepare(&self) -> std::io::Result<()> {
        self.connections.prepare()
    }

    /// Somebody may hold kubeconfigs from now on that they have no right to.
    pub fn rights_changed(&self) {
        self.rights_changed.notify_one();
    }

    /// Closes the connection to a cluster that is gone.
    pub fn forget(&self, cluster: &ClusterId) {
        self.connections.forget(cluster);
    }

    /// kubectl as the cluster's administrator, on the control plane.
    async fn kubectl(
        &self,
        machine: &Machine,
        words: &[&str],
        stdin: &[u8],
    ) -> Result<String, Error> {
        const KUBECTL: [&str; 5] =
            ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "--request-timeout", "20s"];
        self.connections.run(machine, &[&KUBECTL[..], words].concat(), stdin).await
    }

    /// kubectl's answer as JSON.
    async fn ask(&self, machine: &Machine, words: &[&str]) -> Result<Value, Error> {
        let text = self.kubectl(machine, words, b"").await?;
        serde_json::from_str(&text).map_err(|error| Error::Unreadable(error.to_string()))
    }

    /// Hands objects to `kubectl apply` or `create`, on its standard input.
    async fn send(&self, machine: &Machine, verb: &str, objects: &Value) -> Result<(), Error> {
        self.kubectl(machine, &[verb, "-f", "-"], objects.to_string().as_bytes()).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_machine_is_read_from_a_state_and_never_shows_its_key() {
        let attributes = json!({
            "name": "demo", "endpoint": "https://10.40.19.201:6443", "ssh_private_key": "SECRET",
            "known_hosts": "10.40.19.201 ssh-ed25519 AAAA\n", "kubernetes_version": "1.36.4",
            "nodes": [
                {"name": "demo-worker-1", "role": "worker", "address": "10.40.19.202", "vmid": 2, "proxmox_node": "pve1"},
                {"name": "demo-cp-1", "role": "control-plane", "address": "10.40.19.201", "vmid": 1, "proxmox_node": "pve1"},
            ],
        });
        let of = |attributes: &Value| {
            let state = json!({"version": 4, "serial": 1, "lineage": "x", "resources": [{
                "mode": "managed", "type": "kubesmith_cluster", "instances": [{"attributes": attributes}],
            }]});
            let state = State::parse(state.to_string().as_bytes()).unwrap();
            Machine::of(ClusterId::new(), "demo", &state)
        };
        let machine = of(&attributes).unwrap();
        assert_eq!(machine.address, Ipv4Addr::new(10, 40, 19, 201));
        assert!(!format!("{machine:?}").contains("SECRET"));
        for (missing, named) in [
            ("endpoint", "endpoint"),
            ("known_hosts", "host keys"),
            ("ssh_private_key", "SSH key"),
            ("nodes", "control plane"),
        ] {
            let mut attributes = attributes.clone();
            attributes[missing] = Value::Null;
            assert_eq!(of(&attributes).unwrap_err(), NoMachine(named));
        }
    }
}
