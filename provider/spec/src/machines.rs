//! Which machines a cluster has, where they stand and what they are called: a projection of the spec.
//!
//! It is deterministic and stable: asking for one worker more never moves, renames or renumbers another.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{ClusterSpec, Lease, NodeName};

/// One machine of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// VM name, host name and Kubernetes node name.
    pub name: NodeName,
    /// What the machine does.
    pub role: Role,
    /// Its number within the role, from 1.
    pub index: u32,
    /// Its address.
    pub address: Ipv4Addr,
    /// The VMID that belongs to the address.
    pub vmid: u32,
    /// The position in `ClusterSpec::leases` of the lease that holds the address.
    pub lease: usize,
}

/// What a machine does in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Runs the API server, etcd and the controllers.
    #[serde(rename = "control-plane")]
    ControlPlane,
    /// Runs workloads.
    #[serde(rename = "worker")]
    Worker,
}

impl Role {
    /// The role as it stands in outputs and stamps.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
        }
    }

    /// The role as it stands in machine names.
    fn suffix(self) -> &'static str {
        match self {
            Self::ControlPlane => "cp",
            Self::Worker => "worker",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = crate::names::InvalidName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "control-plane" => Ok(Self::ControlPlane),
            "worker" => Ok(Self::Worker),
            _ => Err(crate::names::InvalidName {
                kind: "role",
                text: text.to_owned(),
                rule: "use control-plane or worker",
            }),
        }
    }
}

impl ClusterSpec {
    /// How many machines the cluster wants.
    pub fn machine_count(&self) -> u64 {
        1 + u64::from(self.workers.count)
    }

    /// The machines, control plane first, on the lowest addresses of the leases in their order.
    ///
    /// If the leases hold too few addresses the list ends early; [`ClusterSpec::problems`] says so.
    pub fn machines(&self) -> Vec<Machine> {
        let roles = std::iter::once((Role::ControlPlane, 1))
            .chain((1..=self.workers.count).map(|index| (Role::Worker, index)));
        let places = self.leases.iter().enumerate().flat_map(|(lease, held)| {
            held.places().map(move |(address, vmid)| (lease, address, vmid))
        });
        roles
            .zip(places)
            .map(|((role, index), (lease, address, vmid))| Machine {
                name: NodeName::of(&self.name, role.suffix(), index),
                role,
                index,
                address,
                vmid,
                lease,
            })
            .collect()
    }

    /// The address and port of the Kubernetes API, `10.40.19.201:6443`; `None` without any address.
    pub fn api_endpoint(&self) -> Option<String> {
        self.machines().first().map(|machine| format!("{}:6443", machine.address))
    }
}

impl Lease {
    /// Each address with the VMID that belongs to it.
    pub fn places(&self) -> impl Iterator<Item = (Ipv4Addr, u32)> {
        let vmids = (0..).map(|offset| self.first_vmid.saturating_add(offset));
        self.addresses.iter().copied().zip(vmids)
    }
}
