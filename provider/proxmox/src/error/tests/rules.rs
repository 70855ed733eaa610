//! Every rule for the error texts of Proxmox VE 8 and 9 as its sources have them, by its id: where the text comes,
//! and what it means to whoever reads it there. (That a task may end with warnings is no error: `task.rs`.)

use std::collections::{BTreeMap, BTreeSet};

use super::super::texts::classify;
use super::super::{Class, Error, Refusal};

/// Where a text comes.
#[derive(Clone, Copy)]
enum Where {
    /// In an answer with this status.
    Status(u16),
    /// In an answer with status 500.
    Answer,
    /// As the end of a task.
    Task,
    /// In either.
    Both,
    /// As what is wrong with this parameter, in an answer with status 400.
    Parameter(&'static str),
}

use Where::{Answer, Both, Parameter, Status, Task};

fn rules() -> Vec<(&'static str, Where, &'static [&'static str], Class)> {
    use Class::{Busy, NoQuorum, NotDelivered, UnknownOutcome};
    use Refusal::{
        AgentNotReady, AlreadyExists, AlreadyRunning, BadParameter, BaseInUse, Interrupted,
        Modified, NotFound, NotImplemented, NotRunning, Other, PartlyApplied, Protected, Running,
        Unauthorized, VmNotHere,
    };

    let no = Class::Refused;
    let locked = |lock: &str| Class::Refused(Refusal::Locked { lock: lock.to_owned() });
    let forbidden = |path: Option<&str>, privilege: Option<&str>| {
        let (path, privilege) = (path.map(str::to_owned), privilege.map(str::to_owned));
        Class::Refused(Refusal::Forbidden { path, privilege })
    };
    vec![
        // Somebody else is at it for a moment: the same request may be sent again.
        (
            "vm-flock",
            Both,
            &["can't lock file '/var/lock/qemu-server/lock-110.conf' - got timeout"],
            Busy,
        ),
        (
            "storage-flock",
            Task,
            &["can't lock file '/var/lock/pve-manager/pve-storage-local-lvm' - got timeout"],
            Busy,
        ),
        (
            "migrate-flock",
            Task,
            &["can't lock file '/var/lock/pve-manager/pve-migrate-101' - got timeout"],
            Busy,
        ),
        ("cfs-lock", Both, &["cfs-lock 'firewall-vm-9990' error: got lock request timeout"], Busy),
        ("sdn-locked", Answer, &["invalid lock token provided!"], Busy),
        ("peer-connect", Status(595), &["Connection refused"], NotDelivered),
        ("vm-locked", Both, &["VM is locked (backup)", "CT is locked (backup)"], locked("backup")),
        // The cluster accepts nothing at present.
        ("cfs-lock-quorum", Both, &["cfs-lock 'firewall-vm-9990' error: no quorum!"], NoQuorum),
        ("no-quorum", Both, &["cluster not ready - no quorum?"], NoQuorum),
        ("pmxcfs-down", Both, &["pve cluster filesystem not online."], NoQuorum),
        // Nobody knows whether it was done.
        (
            "cfs-lock-body",
            Both,
            &["'storage-ceph'-locked command timed out - aborting"],
            UnknownOutcome,
        ),
        ("peer-timeout", Status(596), &["Connection timed out"], UnknownOutcome),
        ("peer-body", Status(597), &["Broken pipe"], UnknownOutcome),
        ("peer-other", Status(599), &["Too many redirections"], UnknownOutcome),
        (
            "worker-start",
            Answer,
            &[
                "got no worker upid - start worker failed",
                "starting worker failed: fork failed",
                "got strange worker upid ('x' != 'y') - start worker failed",
            ],
            UnknownOutcome,
        ),
        (
            "task-lost",
            Task,
            &["unexpected status", "unable to get last line from task log"],
            UnknownOutcome,
        ),
        ("task-gone", Parameter("upid"), &["no such task"], UnknownOutcome),
        // Somebody was faster.
        (
            "vmid-taken-local",
            Both,
            &["unable to create VM 105: config file already exists"],
            no(AlreadyExists),
        ),
        ("vmid-taken-create", Answer, &["VM 101 already exists on node 'pve'"], no(AlreadyExists)),
        (
            "vmid-taken-remote",
            Task,
            &[
                "close (rename) atomic file '/etc/pve/nodes/pve/qemu-server/500.conf' failed: File exists",
            ],
            no(AlreadyExists),
        ),
        ("vmid-taken-nextid", Parameter("vmid"), &["VM 101 already exists"], no(AlreadyExists)),
        ("ipset-dup", Parameter("cidr"), &["address '10.0.0.1' already exists"], no(AlreadyExists)),
        ("ipset-name-dup", Parameter("name"), &["IPSet 'set1' already exists"], no(AlreadyExists)),
        ("ipam-dup", Answer, &["IP '10.0.0.1' already exist"], no(AlreadyExists)),
        ("digest-config", Both, &["checksum mismatch (file change by other user?)"], no(Modified)),
        (
            "digest-generic",
            Answer,
            &["detected modified configuration - file changed by other user? Try again."],
            no(Modified),
        ),
        ("destroy-running", Both, &["VM 102 is running - destroy failed"], no(Running)),
        // It is elsewhere, or nowhere.
        (
            "vm-not-here-1",
            Both,
            &["Configuration file 'nodes/pve/qemu-server/777.conf' does not exist"],
            no(VmNotHere),
        ),
        (
            "vm-not-here-2",
            Both,
            &["unable to find configuration file for VM 777 on node 'pve'"],
            no(VmNotHere),
        ),
        ("ipset-missing", Answer, &["no such IPSet 'nope'"], no(NotFound)),
        (
            "pool-missing",
            Status(403),
            &["Permission check failed (pool 'nopool' does not exist)"],
            no(NotFound),
        ),
        (
            "node-missing",
            Answer,
            &[
                "no such cluster node 'nonode'",
                "hostname lookup 'nonode' failed - failed to get address info",
            ],
            no(NotFound),
        ),
        // As the machine is, it cannot be done.
        ("already-running", Task, &["VM 102 already running"], no(AlreadyRunning)),
        ("not-running", Answer, &["VM 160 not running"], no(NotRunning)),
        ("protection", Both, &["can't remove VM 101 - protection mode enabled"], no(Protected)),
        (
            "base-in-use",
            Task,
            &["base volume 'local:9000/base-9000-disk-0.qcow2' is still in use by linked cloned"],
            no(BaseInUse),
        ),
        ("task-killed", Task, &["interrupted by signal", "received interrupt"], no(Interrupted)),
        ("agent-vm-off", Answer, &["VM 102 is not running"], no(NotRunning)),
        ("agent-not-running", Answer, &["QEMU guest agent is not running"], no(AgentNotReady)),
        (
            "agent-timeout",
            Answer,
            &[
                "VM 100 qmp command 'guest-ping' failed - got timeout",
                "VM 100 qga command 'guest-exec' failed - got timeout",
                "unable to connect to VM 100 qga socket - timeout after 31 retries",
            ],
            no(AgentNotReady),
        ),
        (
            "hotplug",
            Parameter("net0"),
            &["hotplug problem - no slot", "unable to apply pending change net0: boom"],
            no(PartlyApplied),
        ),
        // No, and not for a reason that passes.
        ("destroy-ha", Both, &["used in HA resources and purge parameter not set"], no(Other)),
        ("powerdown-timeout", Task, &["VM quit/powerdown failed - got timeout"], no(Other)),
        ("paused", Answer, &["VM is paused - cannot shutdown"], no(Other)),
        (
            "clone-local",
            Answer,
            &[
                "can't clone VM to node 'x' (VM uses local storage)",
                "can't clone to non-shared storage 'y'",
            ],
            no(Other),
        ),
        (
            "clone-feature",
            Both,
            &["Linked clone feature is not supported for 'local:101/vm.raw' (scsi0)"],
            no(Other),
        ),
        (
            "clone-linked-params",
            Answer,
            &["parameter 'storage' not allowed for linked clones"],
            no(Other),
        ),
        (
            "storage-not-here",
            Both,
            &["storage 'x' is not available on node 'pve'", "storage 'x' is disabled"],
            no(Other),
        ),
        (
            "storage-content",
            Parameter("storage"),
            &["storage 'x' does not support vm images"],
            no(BadParameter),
        ),
        ("shrink", Both, &["shrinking disks is not supported"], no(Other)),
        ("nothing-to-do", Answer, &["no options specified"], no(Other)),
        (
            "root-only",
            Answer,
            &["only root can set 'args' config", "Only root may use this option."],
            no(Other),
        ),
        ("agent-not-configured", Answer, &["No QEMU guest agent configured"], no(Other)),
        ("agent-error", Answer, &["Agent error: Command guest-exec has been disabled"], no(Other)),
        (
            "peer-tls",
            Status(596),
            &["tls_process_server_certificate: certificate verify failed"],
            no(Other),
        ),
        (
            "auth-token",
            Status(401),
            &[
                "No ticket",
                "Authentication failed!",
                "invalid token value!",
                "no such token",
                "access expired",
            ],
            no(Unauthorized),
        ),
        (
            "auth-ticket",
            Status(401),
            &["permission denied - invalid PVE ticket", "Permission denied - invalid csrf token"],
            no(Unauthorized),
        ),
        (
            "permission",
            Status(403),
            &["Permission check failed (/vms/9000, VM.Clone)"],
            forbidden(Some("/vms/9000"), Some("VM.Clone")),
        ),
        ("param", Status(400), &["Parameter verification failed."], no(BadParameter)),
        (
            "not-implemented",
            Status(501),
            &["Method 'GET /nope' not implemented"],
            no(NotImplemented),
        ),
    ]
}

#[test]
fn every_rule_means_the_same_wherever_its_text_comes() {
    let rules = rules();
    let ids: BTreeSet<_> = rules.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids.len(), rules.len(), "an id is there twice");
    for (id, from, texts, class) in &rules {
        for text in *texts {
            let answered = |status, message: &str, parameters: BTreeMap<_, _>| {
                Error::answered(status, message, None, parameters).class().clone()
            };
            let answer = || answered(500, text, BTreeMap::new());
            let found = match from {
                Status(status) => vec![answered(*status, text, BTreeMap::new())],
                Answer => vec![answer()],
                Task => vec![classify(text), classify(&format!("clone failed: {text}"))],
                Both => vec![answer(), classify(text)],
                Parameter(name) => {
                    let parameters = BTreeMap::from([((*name).to_owned(), (*text).to_owned())]);
                    vec![answered(400, "Parameter verification failed.", parameters)]
                }
            };
            for found in found {
                assert_eq!(&found, class, "{id}: {text}");
            }
        }
    }
}
