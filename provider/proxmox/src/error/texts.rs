//! The message texts of Proxmox VE 8 and 9, and what they mean.

use std::collections::BTreeMap;

use super::{Class, Refusal};

/// Locks of work that ends by itself.
const PASSING_LOCKS: [&str; 9] = [
    "backup",
    "clone",
    "create",
    "import",
    "migrate",
    "rollback",
    "snapshot",
    "snapshot-delete",
    "suspending",
];

/// Prefixes that only say what was going on; the reason comes after them.
const WRAPPERS: [&str; 4] =
    ["clone failed: ", "start failed: ", "create failed: ", "unable to apply changes: "];

pub(super) fn lock_passes(lock: &str) -> bool {
    PASSING_LOCKS.contains(&lock)
}

/// What an HTTP answer with a status of 300 and above means.
pub(super) fn classify_answer(
    status: u16,
    message: &str,
    parameters: &BTreeMap<String, String>,
) -> Class {
    match status {
        400 => classify_parameters(message, parameters),
        401 => Class::Refused(Refusal::Unauthorized),
        403 => forbidden(message),
        501 => Class::Refused(Refusal::NotImplemented),
        // A node that was asked on our behalf was not reached, or has another certificate than the cluster knows.
        595 => Class::NotDelivered,
        596 if message.contains("certificate verify failed") => Class::Refused(Refusal::Other),
        502..=504 | 596..=599 => Class::UnknownOutcome,
        500 => classify(message),
        506 => Class::Refused(Refusal::Other),
        _ => Class::Malformed,
    }
}

fn classify_parameters(message: &str, parameters: &BTreeMap<String, String>) -> Class {
    for text in parameters.values().map(String::as_str).chain([message]) {
        let text = text.trim();
        if text == "no such task" {
            return Class::UnknownOutcome;
        } else if text.contains("already exists") {
            return Class::Refused(Refusal::AlreadyExists);
        } else if text.starts_with("no such ") {
            return Class::Refused(Refusal::NotFound);
        } else if text.starts_with("hotplug problem - ")
            || text.starts_with("unable to apply pending change ")
        {
            return Class::Refused(Refusal::PartlyApplied);
        }
    }
    Class::Refused(Refusal::BadParameter)
}

/// `Permission check failed (/vms/9000, VM.Clone)`, or without the bracket, or with `(pool 'x' does not exist)` in it.
fn forbidden(message: &str) -> Class {
    let inside = message
        .split_once('(')
        .and_then(|(_, rest)| rest.rsplit_once(')'))
        .map(|(inside, _)| inside);
    if inside.is_some_and(|text| text.starts_with("pool '") && text.ends_with("does not exist")) {
        return Class::Refused(Refusal::NotFound);
    }
    let (path, privilege) = match inside.and_then(|text| text.split_once(", ")) {
        Some((path, privilege)) if path.starts_with('/') => {
            (Some(path.to_owned()), Some(privilege.to_owned()))
        }
        _ => (None, None),
    };
    Class::Refused(Refusal::Forbidden { path, privilege })
}

/// What the text of a 500 or of a failed task means.
pub(super) fn classify(text: &str) -> Class {
    let text = unwrap(text.trim());
    // The parts must occur in this order.
    let says = |parts: &[&str]| {
        let mut rest = text;
        parts.iter().all(|part| match rest.find(part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    };

    if let Some(lock) = config_lock(text) {
        return Class::Refused(Refusal::Locked { lock: lock.to_owned() });
    }
    if says(&["can't lock file '", "' - got timeout"])
        || says(&["cfs-lock '", "' error: got lock request timeout"])
        || says(&["invalid lock token provided!"])
    {
        return Class::Busy;
    }
    if says(&["no quorum"]) || says(&["pve cluster filesystem not online"]) {
        return Class::NoQuorum;
    }
    if says(&["'-locked command timed out - aborting"])
        || says(&["got no worker upid"])
        || says(&["starting worker failed"])
        || says(&["got strange worker upid"])
        || text == "unexpected status"
        || text == "no such task"
        || text.starts_with("unable to get last line from task log")
    {
        return Class::UnknownOutcome;
    }

    let refusal = if says(&["unable to create VM ", ": config file already exists"])
        || says(&[" already exist"])
        || says(&["close (rename) atomic file '/etc/pve/", "failed: File exists"])
        || says(&["is already a pool member"])
    {
        Refusal::AlreadyExists
    } else if says(&["Configuration file 'nodes/", "' does not exist"])
        || says(&["unable to find configuration file for VM "])
    {
        Refusal::VmNotHere
    } else if says(&["checksum mismatch (file change by other user?)"])
        || says(&["detected modified configuration"])
    {
        Refusal::Modified
    } else if says(&["protection mode enabled"]) {
        Refusal::Protected
    } else if says(&["still in use by linked clone"]) {
        Refusal::BaseInUse
    } else if says(&["VM ", " is running - destroy failed"]) {
        Refusal::Running
    } else if says(&["VM ", " already running"]) {
        Refusal::AlreadyRunning
    } else if says(&["QEMU guest agent is not running"])
        || says(&["command 'guest-", "' failed - got timeout"])
        || says(&["unable to connect to VM ", " socket"])
    {
        Refusal::AgentNotReady
    } else if (says(&["VM ", " not running"]) || says(&["VM ", " is not running"]))
        && !says(&["agent"])
    {
        Refusal::NotRunning
    } else if says(&["interrupted by signal"]) || says(&["received interrupt"]) {
        Refusal::Interrupted
    } else if text.starts_with("hotplug problem - ")
        || text.starts_with("unable to apply pending change ")
    {
        Refusal::PartlyApplied
    } else if text.contains("no such IPSet")
        || text.contains("no such cluster node")
        || text.starts_with("no such ")
        || says(&["hostname lookup '", "' failed"])
        || says(&["storage '", "' does not exist"])
        || says(&["pool '", "' does not exist"])
        || says(&["role '", "' does not exist"])
        || says(&["user '", "' does not exist"])
        || says(&["disk '", "' does not exist"])
    {
        Refusal::NotFound
    } else {
        Refusal::Other
    };
    Class::Refused(refusal)
}

fn unwrap(mut text: &str) -> &str {
    while let Some(inner) = WRAPPERS.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = inner.trim_start();
    }
    text
}

/// The kind in `VM is locked (backup)`.
fn config_lock(text: &str) -> Option<&str> {
    let rest = text.split_once("VM is locked (").or_else(|| text.split_once("CT is locked ("))?.1;
    rest.split_once(')').map(|(lock, _)| lock)
}
