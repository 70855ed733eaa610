//! One step of a converge. Its `Display` is what people read: in the log, in the events, in errors.
//!
//! A step carries everything that its execution needs, so that `apply` decides nothing.

use std::fmt;

use kubesmith_spec::events::Phase;
use kubesmith_spec::{MachineSize, NodeName};

use super::placement::Placement;
use super::target::Machine;

/// A machine that exists, named enough to act on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Existing {
    /// VM name.
    pub(crate) name: NodeName,
    /// Its id.
    pub(crate) vmid: u32,
    /// The Proxmox node it is on.
    pub(crate) host: String,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Clone the template. The stamp is in the description from the clone on.
    CloneMachine {
        /// What is made.
        machine: Machine,
        /// From which template, on which Proxmox node.
        placement: Placement,
    },
    /// Set size, network and cloud-init of a stopped machine.
    ConfigureMachine {
        /// What it should be.
        machine: Machine,
    },
    /// Grow the boot disk.
    ResizeDisk {
        /// Whose disk.
        machine: Machine,
        /// The disk's key, such as `scsi0`.
        disk: String,
    },
    /// Power on.
    StartMachine {
        /// Which one.
        machine: Machine,
    },
    /// Wait until the machine answers over SSH, and pin its host key.
    AwaitSsh {
        /// Which one.
        machine: Machine,
    },
    /// Run the playbook `site.yml` over the control plane and the nodes that need it.
    RunPlaybook {
        /// Names of the nodes.
        nodes: Vec<NodeName>,
    },
    /// Wait until Kubernetes says `Ready` of these nodes.
    AwaitReady {
        /// Names of the nodes.
        nodes: Vec<NodeName>,
    },
    /// Write `made=1` into the stamp: the last step of a machine's creation.
    MarkMade {
        /// Which one.
        machine: Machine,
    },
    /// Move the work off these nodes and delete them from Kubernetes (playbook `remove.yml`).
    DrainNodes {
        /// Names of the nodes, highest index first.
        nodes: Vec<NodeName>,
    },
    /// Shut a machine down in an orderly way, because its size changes.
    ShutDownMachine {
        /// Which one.
        machine: Machine,
        /// Its size before.
        from: MachineSize,
    },
    /// Power off, before it is destroyed.
    StopMachine(Existing),
    /// Destroy, and see that it is gone.
    DestroyMachine(Existing),
    /// Stop and destroy what an earlier run left half made.
    RemoveUnfinished(Existing),
}

impl Step {
    /// The phase it belongs to.
    pub(crate) fn phase(&self) -> Phase {
        match self {
            Self::CloneMachine { .. }
            | Self::ConfigureMachine { .. }
            | Self::ResizeDisk { .. }
            | Self::DrainNodes { .. }
            | Self::ShutDownMachine { .. }
            | Self::RemoveUnfinished(_) => Phase::Machines,
            Self::StopMachine(_) | Self::DestroyMachine(_) => Phase::Destroy,
            Self::StartMachine { .. } | Self::AwaitSsh { .. } => Phase::Boot,
            Self::RunPlaybook { .. } => Phase::Configure,
            Self::AwaitReady { .. } | Self::MarkMade { .. } => Phase::Ready,
        }
    }

    /// Its kind, for programs that watch the events.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::CloneMachine { .. } => "clone_machine",
            Self::ConfigureMachine { .. } => "configure_machine",
            Self::ResizeDisk { .. } => "resize_disk",
            Self::StartMachine { .. } => "start_machine",
            Self::AwaitSsh { .. } => "await_ssh",
            Self::RunPlaybook { .. } => "run_playbook",
            Self::AwaitReady { .. } => "await_ready",
            Self::MarkMade { .. } => "mark_made",
            Self::DrainNodes { .. } => "drain_nodes",
            Self::ShutDownMachine { .. } => "shut_down_machine",
            Self::StopMachine(_) => "stop_machine",
            Self::DestroyMachine(_) => "destroy_machine",
            Self::RemoveUnfinished(_) => "remove_unfinished",
        }
    }

    /// The one machine it is about, as name and VMID. Steps of one machine run in their order,
    /// steps of different machines and steps about none run side by side.
    pub(crate) fn machine(&self) -> Option<(&NodeName, u32)> {
        match self {
            Self::CloneMachine { machine, .. }
            | Self::ConfigureMachine { machine }
            | Self::ResizeDisk { machine, .. }
            | Self::StartMachine { machine }
            | Self::AwaitSsh { machine }
            | Self::ShutDownMachine { machine, .. }
            | Self::MarkMade { machine } => Some((&machine.name, machine.vmid)),
            Self::StopMachine(existing)
            | Self::DestroyMachine(existing)
            | Self::RemoveUnfinished(existing) => Some((&existing.name, existing.vmid)),
            Self::RunPlaybook { .. } | Self::AwaitReady { .. } | Self::DrainNodes { .. } => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CloneMachine { machine, placement } => write!(f, "clone {machine} {placement}"),
            Self::ConfigureMachine { machine } => {
                let MachineSize { cores, memory_mib, disk_gib: _ } = machine.size;
                write!(
                    f,
                    "configure {machine}: {cores} cores, {memory_mib} MiB, {}",
                    machine.address
                )
            }
            Self::ResizeDisk { machine, disk } => {
                write!(f, "grow disk {disk} of {machine} to {} GiB", machine.size.disk_gib)
            }
            Self::StartMachine { machine } => write!(f, "start {machine}"),
            Self::AwaitSsh { machine } => {
                write!(f, "wait for SSH on {} ({})", machine.name, machine.address)
            }
            Self::RunPlaybook { nodes } => write!(f, "configure Kubernetes on {}", list(nodes)),
            Self::AwaitReady { nodes } => write!(f, "wait until ready: {}", list(nodes)),
            Self::MarkMade { machine } => write!(f, "mark {machine} as finished"),
            Self::DrainNodes { nodes } => {
                write!(f, "drain and remove from Kubernetes: {}", list(nodes))
            }
            Self::ShutDownMachine { machine, from } => write!(
                f,
                "shut down {machine} to change its size from {} cores, {} MiB, {} GiB",
                from.cores, from.memory_mib, from.disk_gib
            ),
            Self::StopMachine(existing) => write!(f, "stop {existing}"),
            Self::DestroyMachine(existing) => write!(f, "destroy {existing}"),
            Self::RemoveUnfinished(existing) => write!(f, "remove unfinished {existing}"),
        }
    }
}

impl fmt::Display for Existing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (VM {} on {})", self.name, self.vmid, self.host)
    }
}

fn list(nodes: &[NodeName]) -> String {
    nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}
