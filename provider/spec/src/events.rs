//! Stage events: what the provider tells whoever watches a run.
//!
//! Terraform itself shows only a heartbeat for a resource, so the provider also appends one JSON object
//! a line to the file that `KUBESMITH_EVENTS` names. Readers must ignore fields they do not know.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::names::NodeName;

/// The version of the line format; raised only when a reader could misunderstand a line.
pub const VERSION: u32 = 1;

/// One line of the event stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Version of the line format.
    pub v: u32,
    /// When it happened, as RFC 3339 in UTC.
    pub time: String,
    /// The Terraform type of the resource, for instance `kubesmith_cluster`.
    pub resource: String,
    /// The name of the resource, as its user gave it.
    pub name: String,
    /// The stage of the work.
    pub phase: Phase,
    /// Which kind of step it is, such as `clone_machine`, for programs; absent where it is none of the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The step, in words for people.
    pub step: String,
    /// How far the step is.
    pub status: Status,
    /// The machine that the step concerns, if it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// What else is worth knowing: a reason, what was last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What a destroy has seen absent; only on the last line of a destroy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// The stages of the work, in the order in which a cluster goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// VMs are cloned and given their size.
    Machines,
    /// VMs are started and answer over SSH.
    Boot,
    /// Ansible installs Kubernetes and joins the nodes.
    Configure,
    /// The cluster is checked as a whole.
    Ready,
    /// VMs are removed.
    Destroy,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The step has begun.
    Started,
    /// The step ended well.
    Done,
    /// The step ended badly; `detail` says why.
    Failed,
    /// Something worth showing that neither begins nor ends a step.
    Info,
}

/// The proof of a destroy: everything that Proxmox confirmed to be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// VMIDs that no longer exist anywhere in the datacentre.
    pub vmids: Vec<u32>,
    /// Addresses that nothing of ours carries any more.
    pub addresses: Vec<Ipv4Addr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_and_leaves_out_what_it_does_not_have() {
        let event = Event {
            v: VERSION,
            time: "2026-11-23T02:00:00Z".into(),
            resource: "kubesmith_cluster".into(),
            name: "demo".into(),
            phase: Phase::Machines,
            kind: Some("clone_machine".into()),
            step: "clone demo-cp-1".into(),
            status: Status::Done,
            node: Some(NodeName::parse("demo-cp-1").unwrap()),
            detail: None,
            receipt: None,
        };
        let line = serde_json::to_string(&event).unwrap();
        insta::assert_snapshot!(line, @r#"{"v":1,"time":"2026-11-23T02:00:00Z","resource":"kubesmith_cluster","name":"demo","phase":"machines","kind":"clone_machine","step":"clone demo-cp-1","status":"done","node":"demo-cp-1"}"#);
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }
}
