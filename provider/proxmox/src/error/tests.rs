//! What the real server was seen to say, and what it means.

mod rules;

use std::collections::BTreeMap;

use super::texts::{classify, classify_answer};
use super::{Class, Error, Refusal};

fn locked(lock: &str) -> Class {
    Class::Refused(Refusal::Locked { lock: lock.to_owned() })
}

fn forbidden(path: &str, privilege: &str) -> Class {
    Class::Refused(Refusal::Forbidden {
        path: Some(path.to_owned()),
        privilege: Some(privilege.to_owned()),
    })
}

/// Texts of a 500 and of a failed task.
#[test]
fn texts_mean_what_they_mean() {
    use Refusal::{
        AgentNotReady, AlreadyExists, AlreadyRunning, BaseInUse, Interrupted, Modified, NotFound,
        NotRunning, Other, PartlyApplied, Protected, Running, VmNotHere,
    };
    let table: &[(Class, &[&str])] = &[
        (
            Class::Busy,
            &[
                "can't lock file '/var/lock/qemu-server/lock-110.conf' - got timeout",
                "can't lock file '/var/lock/pve-manager/pve-storage-local-lvm' - got timeout",
                "can't lock file '/var/lock/pve-manager/pve-migrate-101' - got timeout",
                "clone failed: can't lock file '/var/lock/pve-manager/pve-storage-local-lvm' - got timeout",
                "clone failed: cfs-lock 'storage-ceph' error: got lock request timeout",
                "cfs-lock 'firewall-vm-9990' error: got lock request timeout",
                "invalid lock token provided!",
            ],
        ),
        (
            Class::NoQuorum,
            &[
                "cfs-lock 'firewall-vm-9990' error: no quorum!",
                "cluster not ready - no quorum?",
                "pve cluster filesystem not online.",
            ],
        ),
        (
            Class::UnknownOutcome,
            &[
                "'storage-ceph'-locked command timed out - aborting",
                "got no worker upid - start worker failed",
                "starting worker failed: fork failed",
                "got strange worker upid ('x' != 'y')",
                "unexpected status",
                "unable to get last line from task log",
            ],
        ),
        (
            locked("backup"),
            &[
                "VM is locked (backup)",
                "clone failed: VM is locked (backup)",
                "CT is locked (backup)",
            ],
        ),
        (locked("snapshot-delete"), &["VM is locked (snapshot-delete)"]),
        (
            Class::Refused(AlreadyExists),
            &[
                "unable to create VM 101 - VM 101 already exists on node 'pve'",
                "unable to create VM 105: config file already exists",
                "close (rename) atomic file '/etc/pve/nodes/pve/qemu-server/500.conf' failed: File exists",
                "IP '10.0.0.1' already exist",
                "create pool failed: pool 'p1' already exists",
                "create user failed: user 'tfu@pve' already exists",
                "update pools failed: VM 101 is already a pool member",
            ],
        ),
        (
            Class::Refused(VmNotHere),
            &[
                "Configuration file 'nodes/pve/qemu-server/777.conf' does not exist",
                "unable to find configuration file for VM 777 on node 'pve'",
            ],
        ),
        (
            Class::Refused(Modified),
            &[
                "checksum mismatch (file change by other user?)",
                "detected modified configuration - file changed by other user? Try again.",
            ],
        ),
        (Class::Refused(Protected), &["can't remove VM 101 - protection mode enabled"]),
        (Class::Refused(Running), &["VM 102 is running - destroy failed"]),
        (Class::Refused(AlreadyRunning), &["VM 102 already running"]),
        (Class::Refused(NotRunning), &["VM 160 not running", "VM 102 is not running"]),
        (
            Class::Refused(BaseInUse),
            &["base volume 'local:9000/base-9000-disk-0.qcow2' is still in use by linked cloned"],
        ),
        (
            Class::Refused(AgentNotReady),
            &[
                "QEMU guest agent is not running",
                "VM 100 qmp command 'guest-ping' failed - got timeout",
                "VM 100 qga command 'guest-exec' failed - got timeout",
                "unable to connect to VM 100 qga socket - timeout after 31 retries",
            ],
        ),
        (
            Class::Refused(Interrupted),
            &[
                "clone failed: copy failed: command '/usr/bin/qemu-img convert ...' failed: interrupted by signal",
                "received interrupt",
            ],
        ),
        (
            Class::Refused(PartlyApplied),
            &["unable to apply pending change net0: boom", "hotplug problem - no"],
        ),
        (
            Class::Refused(NotFound),
            &[
                "no such IPSet 'nope'",
                "no such cluster node 'nonode'",
                "hostname lookup 'nonode' failed - failed to get address info for: nonode: Name or service not known",
                "storage 'nostore' does not exist",
                "pool 'nope' does not exist",
                "delete pool failed: pool 'p1' does not exist",
                "no such user ('none@pve')",
                "no such token 'nope' for user 'tfu@pve'",
                "role 'None' does not exist",
                "disk 'scsi9' does not exist",
            ],
        ),
        (
            Class::Refused(Other),
            &[
                "used in HA resources and purge parameter not set",
                "VM quit/powerdown failed - got timeout",
                "VM is paused - cannot shutdown",
                "can't clone VM to node 'x' (VM uses local storage)",
                "can't clone to non-shared storage 'y'",
                "Linked clone feature is not supported for 'local:101/vm.raw' (scsi0)",
                "parameter 'storage' not allowed for linked clones",
                "storage 'x' is not available on node 'pve'",
                "storage 'x' is disabled",
                "shrinking disks is not supported",
                "no options specified",
                "only root can set 'args' config",
                "No QEMU guest agent configured",
                "Agent error: Command guest-exec has been disabled",
                "you can't start a vm if it's a template",
                "SSH public key validation error",
                "IPSet 'set1' is not empty",
                "no physical interface on bridge 'vmbr0'",
            ],
        ),
    ];
    for (class, texts) in table {
        for text in *texts {
            assert_eq!(&classify(text), class, "{text}");
            assert_eq!(&classify_answer(500, text, &BTreeMap::new()), class, "{text}");
        }
    }
}

/// Answers whose meaning is in the status or in a parameter's text.
#[test]
fn statuses_and_parameters_mean_what_they_mean() {
    let not_found = Class::Refused(Refusal::NotFound);
    let exists = Class::Refused(Refusal::AlreadyExists);
    let bad = Class::Refused(Refusal::BadParameter);
    let unauthorized = Class::Refused(Refusal::Unauthorized);
    let nothing = Class::Refused(Refusal::Forbidden { path: None, privilege: None });
    let agent = "VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted";
    for (status, reason, parameter, class) in [
        (401, "No ticket", "", &unauthorized),
        (401, "Authentication failed!", "", &unauthorized),
        (401, "authentication failure", "", &unauthorized),
        (401, "Permission denied - invalid csrf token", "", &unauthorized),
        (403, "Permission check failed", "", &nothing),
        (
            403,
            "Permission check failed (/vms/9000, VM.Clone)",
            "",
            &forbidden("/vms/9000", "VM.Clone"),
        ),
        (403, "Permission check failed (/, Sys.Modify)", "", &forbidden("/", "Sys.Modify")),
        (
            403,
            &format!("Permission check failed (/vms/9000, {agent})"),
            "",
            &forbidden("/vms/9000", agent),
        ),
        (403, "Permission check failed (pool 'nopool' does not exist)", "", &not_found),
        (400, "Parameter verification failed.", "VM 101 already exists", &exists),
        (400, "Parameter verification failed.", "address '10.0.0.1' already exists", &exists),
        (400, "Parameter verification failed.", "IPSet 'set1' already exists", &exists),
        (400, "Parameter verification failed.", "Token already exists.", &exists),
        (400, "Parameter verification failed.", "no such IP/Network", &not_found),
        (400, "Parameter verification failed.", "no such task", &Class::UnknownOutcome),
        (400, "Parameter verification failed.", "unable to parse worker upid", &bad),
        (400, "Parameter verification failed.", "type check ('boolean') failed - got 'true'", &bad),
        (400, "Parameter verification failed.", "storage 'x' does not support vm images", &bad),
        (
            400,
            "Parameter verification failed.",
            "hotplug problem - no slot",
            &Class::Refused(Refusal::PartlyApplied),
        ),
        (501, "Method 'GET /nope' not implemented", "", &Class::Refused(Refusal::NotImplemented)),
        (
            501,
            "Unexpected content for method 'DELETE'",
            "",
            &Class::Refused(Refusal::NotImplemented),
        ),
        (
            506,
            "upload 'Content-Type 'text/plain' not implemented",
            "",
            &Class::Refused(Refusal::Other),
        ),
        (595, "Connection refused", "", &Class::NotDelivered),
        (596, "Connection timed out", "", &Class::UnknownOutcome),
        (596, "certificate verify failed", "", &Class::Refused(Refusal::Other)),
        (597, "broken pipe", "", &Class::UnknownOutcome),
        (599, "Too many redirections", "", &Class::UnknownOutcome),
        (504, "Gateway Timeout", "", &Class::UnknownOutcome),
        (301, "Moved Permanently", "", &Class::Malformed),
        (404, "Not Found", "", &Class::Malformed),
    ] {
        let parameters = if parameter.is_empty() {
            vec![]
        } else {
            vec![("x".to_owned(), parameter.to_owned())]
        };
        let error = Error::answered(status, reason, None, parameters.into_iter().collect());
        assert_eq!(error.class(), class, "{status} {reason} {parameter}");
    }
}

#[test]
fn only_passing_locks_are_waited_for() {
    let of = |text: &str| Error::answered(500, text, None, BTreeMap::new());
    assert!(of("VM is locked (backup)").is_transient());
    assert!(!of("VM is locked (destroyed)").is_transient());
    assert!(!of("VM is locked (suspended)").is_transient());
    assert!(of("cluster not ready - no quorum?").is_transient());
    assert!(!of("unexpected status").is_transient());
}

#[test]
fn errors_name_the_call_the_reason_and_the_next_step() {
    let show = |status, reason: &str, parameters: &[(&str, &str)]| {
        let parameters = parameters
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        Error::answered(status, reason, None, parameters)
            .in_request("POST", "/nodes/pve1/qemu/9000/clone")
            .to_string()
    };
    assert_eq!(
        show(403, "Permission check failed (/vms/9000, VM.Clone)", &[]),
        "POST /nodes/pve1/qemu/9000/clone: Permission check failed (/vms/9000, VM.Clone) [HTTP 403]; \
         grant VM.Clone on /vms/9000 to the user and, with privilege separation, to the token"
    );
    assert_eq!(
        show(400, "Parameter verification failed.", &[("newid", "VM 101 already exists")]),
        "POST /nodes/pve1/qemu/9000/clone: Parameter verification failed. (newid: VM 101 already exists) [HTTP 400]"
    );
    assert_eq!(
        show(596, "Connection timed out", &[]),
        "POST /nodes/pve1/qemu/9000/clone: Connection timed out [HTTP 596]; it is not known whether it was done"
    );
    let upid = "UPID:pve:00000330:0003BE25:6B02D58C:qmclone:9000:root@pam!tf:".parse().unwrap();
    assert_eq!(
        Error::task_failed(&upid, "VM is locked (backup)", Vec::new()).to_string(),
        "task qmclone 9000 on pve: VM is locked (backup); if no backup is going on, an administrator removes the lock with `qm unlock`"
    );
}
