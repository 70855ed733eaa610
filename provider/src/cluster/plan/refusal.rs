//! Why there is no plan.

use crate::cluster::placement::NoPlace;
use crate::cluster::step::Existing;

/// Why there is no plan: something is in the way that only a person may move.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Another VM has the VMID that belongs to a leased address.
    #[error(
        "VM {vmid} on {host}, {what}, is not a machine of this cluster, but its VMID belongs to the leased address {address}; \
         nothing was changed: remove or renumber that VM, or exclude the address from the pool and take a new lease"
    )]
    Stranger {
        /// The VMID.
        vmid: u32,
        /// The node it is on.
        host: String,
        /// What it is.
        what: String,
        /// The address that the VMID stands for.
        address: std::net::Ipv4Addr,
    },
    /// A finished machine of this owner and cluster whose key this state does not have.
    #[error(
        "there are finished machines of this cluster that this Terraform state does not know: {}; nothing was changed. \
         To keep them, import the cluster with its SSH key: KUBESMITH_IMPORT_SSH_KEY_FILE=<private key> terraform import <resource address> <cluster name>. \
         To start afresh, remove them with `terraform-provider-kubesmith orphans --remove --cluster <cluster name>` and apply again",
        machines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Unknown {
        /// The machines.
        machines: Vec<Existing>,
    },
    /// A machine lies on a Proxmox node that is down.
    #[error(
        "VM {vmid} is on Proxmox node {host}, which is down; nothing was changed: bring {host} back and apply again"
    )]
    HostDown {
        /// The VMID.
        vmid: u32,
        /// The node.
        host: String,
    },
    /// The user agreed to a change that leaves the machines alone, but one of them is not there.
    #[error(
        "{machine} is gone or unfinished, and Terraform's plan does not say that it is made anew; \
         plan again, with a refresh, and apply that"
    )]
    Unplanned {
        /// Which machine.
        machine: String,
    },
    /// A disk cannot become smaller.
    #[error(
        "the disk of {machine} has {is} GiB and cannot shrink to {wanted} GiB; raise disk_gib or replace the cluster"
    )]
    Shrink {
        /// Which machine.
        machine: String,
        /// GiB now.
        is: u32,
        /// GiB wanted.
        wanted: u32,
    },
    /// No Proxmox node can take a machine.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
}
