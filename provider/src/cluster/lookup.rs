//! `data "kubesmith_cluster"`: a cluster as its machines show it, whoever manages it.

use std::net::Ipv4Addr;

use kubesmith_spec::{ClusterName, Role};
use kubesmith_tfplugin::{Cx, DataSource, Diag, Model, Result, Text, Value};

use super::import::machines;
use super::remembered::Remembered;
use crate::diagnose;
use crate::ledger::Ledger;
use crate::ledger::pool::Pool;
use crate::machine::Machine;
use crate::provider::{Context, deadline};

/// A cluster that another Terraform state, or another part of this one, manages: where its API is, and
/// its machines. Whether they run is not looked at, and no secret is shown.
#[derive(Debug, Model)]
#[tf(type_name = "kubesmith_cluster", timeouts(read = "2m"))]
pub(crate) struct FoundCluster {
    /// Name of the cluster.
    #[tf(required)]
    name: Text<ClusterName>,
    /// The Terraform state that owns it.
    #[tf(computed)]
    owner: Value<String>,
    /// Address of the Kubernetes API, for instance `https://10.40.19.201:6443`.
    #[tf(computed)]
    endpoint: Value<String>,
    /// The Kubernetes version that the control plane was made with.
    #[tf(computed)]
    kubernetes_version: Value<String>,
    /// Name or tag of the template that its machines were cloned from.
    #[tf(computed)]
    template: Value<String>,
    /// The account on its machines.
    #[tf(computed)]
    ssh_user: Value<String>,
    /// Its machines: the control plane, then the workers.
    #[tf(computed)]
    nodes: Value<Vec<FoundNode>>,
}

/// A machine of the cluster.
#[derive(Debug, Model)]
#[tf(computed)]
pub(crate) struct FoundNode {
    /// VM name, host name and Kubernetes node name.
    name: String,
    /// `control-plane` or `worker`.
    role: String,
    /// Its address.
    address: Ipv4Addr,
    /// Id of the virtual machine.
    vmid: u32,
    /// The Proxmox node that it is on.
    proxmox_node: String,
    /// Whether it was made to its end.
    finished: bool,
}

/// Looks it up.
pub(crate) struct ClusterLookup;

impl DataSource for ClusterLookup {
    type Model = FoundCluster;
    type Client = Context;

    async fn read(&self, cx: &Cx<Context>, mut config: FoundCluster) -> Result<FoundCluster> {
        let (context, deadline) = (cx.client()?, deadline(cx));
        let name = config.name.0.clone();
        let mut machines = machines(context, &name, &deadline).await.map_err(|error| {
            diagnose::proxmox(format!("Unable to look up cluster {name}"), &error)
        })?;
        machines.sort_by_key(|(_, machine)| {
            let node = machine.stamp.node.as_str();
            (machine.stamp.role, node.len(), node.to_owned())
        });
        let Some((_, first)) = machines.first() else {
            return Err(Diag::error(format!("There is no cluster {name}"))
                .detail(
                    "No machine that the API token may see is part of a cluster of that name. Check the name; if \
                     the cluster is made in this configuration, refer to its resource instead.",
                )
                .at("name")
                .into());
        };
        let owner = &first.stamp.owner;
        if let Some((_, other)) = machines.iter().find(|(_, other)| other.stamp.owner != *owner) {
            return Err(Diag::error(format!("There are several clusters {name}"))
                .detail(format!(
                    "Owners {owner} and {} have one of that name each. Use a token that sees only one of them.",
                    other.stamp.owner
                ))
                .at("name")
                .into());
        }
        let remembered = (first.stamp.role == Role::ControlPlane)
            .then(|| Remembered::parse(&first.config.description))
            .flatten();
        config.owner = first.stamp.owner.to_string().into();
        if let Some(remembered) = remembered {
            config.kubernetes_version = remembered.kubernetes_version.to_string().into();
            config.template = remembered.template.to_string().into();
            config.ssh_user = remembered.ssh_user.to_string().into();
        }

        let pools = Ledger::open(context, &deadline).await?.pools().await?;
        let nodes: Vec<_> =
            machines.iter().filter_map(|(vmid, machine)| node(*vmid, machine, &pools)).collect();
        let control_plane = nodes.iter().find(|node| node.role == Role::ControlPlane.to_string());
        config.endpoint = control_plane.map(|node| format!("https://{}:6443", node.address)).into();
        config.nodes = nodes.into();
        config.settle();
        Ok(config)
    }
}

impl FoundCluster {
    /// What no machine shows is null: it will not become known later.
    fn settle(&mut self) {
        for value in [&mut self.kubernetes_version, &mut self.template, &mut self.ssh_user] {
            if value.is_unknown() {
                *value = Value::Null;
            }
        }
    }
}

/// The machine, with the address that belongs to its VMID. `None` if its pool is gone, or has moved.
fn node(vmid: u32, machine: &Machine, pools: &[Pool]) -> Option<FoundNode> {
    let stamp = &machine.stamp;
    let pool = pools.iter().find(|pool| pool.name == stamp.pool)?;
    Some(FoundNode {
        name: stamp.node.to_string(),
        role: stamp.role.to_string(),
        address: pool.range.nth(vmid.checked_sub(pool.first_vmid)?)?,
        vmid,
        proxmox_node: machine.node.clone(),
        finished: stamp.made,
    })
}
