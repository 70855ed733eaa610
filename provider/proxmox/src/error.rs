//! What went wrong, in terms of what the caller may do next.
//!
//! This is the only place that reads Proxmox's message texts. The same text means the same whether a request was refused at
//! once or the task that it started failed later, so there is one error type for both.

use std::collections::BTreeMap;
use std::fmt;

use crate::task::Upid;

mod texts;

/// Anything that failed. `Display` is complete: what was asked, the reason, the next step. It never contains the token's secret.
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    class: Class,
    message: String,
    parameters: BTreeMap<String, String>,
    status: Option<u16>,
    /// The connection broke before there was an answer, as opposed to time that passed.
    cut: bool,
    /// `POST /nodes/pve1/qemu/9000/clone` or `task qmclone 9000 on pve1`.
    what: Option<String>,
    task: Option<Upid>,
    log_tail: Vec<String>,
}

/// What the caller may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// The request did not reach its target. It may be sent again.
    NotDelivered,
    /// A lock was not to be had in time; nothing was done. It may be sent again.
    Busy,
    /// The cluster has no quorum or its file system is down. Wait.
    NoQuorum,
    /// The request was sent and nobody knows what became of it. Look before acting.
    UnknownOutcome,
    /// Proxmox said no, and nothing was done (but see [`Refusal::PartlyApplied`]).
    Refused(Refusal),
    /// The server's certificate is not trusted. Nothing was sent.
    Tls {
        /// SHA-256 of the certificate that the server showed, as Proxmox writes it.
        seen_fingerprint: Option<String>,
    },
    /// The answer is not what Proxmox would say.
    Malformed,
    /// Waiting ended before the thing was done.
    TimedOut,
    /// The caller asked to stop.
    Cancelled,
}

/// Why Proxmox said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The token is unknown, wrong, expired or its user is disabled.
    Unauthorized,
    /// A privilege is missing.
    Forbidden {
        /// Where it is missing, if Proxmox says so.
        path: Option<String>,
        /// Which one; alternatives are joined by `|`.
        privilege: Option<String>,
    },
    /// A parameter is wrong; see [`Error::parameters`].
    BadParameter,
    /// The VMID, address, set or name is taken.
    AlreadyExists,
    /// A set, storage, pool, node or row that is not there.
    NotFound,
    /// This node has no such VM: it may have moved or be gone. Look for it in the whole cluster.
    VmNotHere,
    /// The digest is stale: somebody else changed it. Read again.
    Modified,
    /// The VM's configuration carries a lock.
    Locked {
        /// Its kind, for instance `backup`.
        lock: String,
    },
    /// `protection` is set.
    Protected,
    /// The VM runs and should not.
    Running,
    /// The VM does not run and should.
    NotRunning,
    /// A start found the VM running. Usually fine.
    AlreadyRunning,
    /// A template has linked clones.
    BaseInUse,
    /// A part of a configuration change was written, another could not be applied. Read again.
    PartlyApplied,
    /// The guest agent does not answer (yet).
    AgentNotReady,
    /// Somebody stopped the task.
    Interrupted,
    /// This version of Proxmox has no such call.
    NotImplemented,
    /// Anything else; the message says it.
    Other,
}

impl Error {
    /// What the caller may do.
    pub fn class(&self) -> &Class {
        &self.0.class
    }

    /// The HTTP status, when there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Proxmox's own words, or those of the network.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Wrong parameters and what is wrong with them.
    pub fn parameters(&self) -> &BTreeMap<String, String> {
        &self.0.parameters
    }

    /// The task that failed, when it was one.
    pub fn task(&self) -> Option<&Upid> {
        self.0.task.as_ref()
    }

    /// The last lines of that task's log.
    pub fn log_tail(&self) -> &[String] {
        &self.0.log_tail
    }

    /// Whether the same request may be sent again, later.
    pub fn is_transient(&self) -> bool {
        match self.class() {
            Class::NotDelivered | Class::Busy | Class::NoQuorum => true,
            // These locks belong to work that ends by itself; the others stay until an administrator removes them.
            Class::Refused(Refusal::Locked { lock }) => texts::lock_passes(lock),
            _ => false,
        }
    }

    /// Nobody knows what became of the request.
    pub fn is_unknown_outcome(&self) -> bool {
        self.0.class == Class::UnknownOutcome
    }

    /// Proxmox was not reached at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.class(), Class::NotDelivered | Class::Tls { .. })
    }

    /// The thing is not there. For a VM: not on this node.
    pub fn is_not_found(&self) -> bool {
        matches!(self.class(), Class::Refused(Refusal::NotFound | Refusal::VmNotHere))
    }

    /// The VMID, address or name is taken.
    pub fn is_already_exists(&self) -> bool {
        self.0.class == Class::Refused(Refusal::AlreadyExists)
    }

    /// A privilege is missing.
    pub fn is_forbidden(&self) -> bool {
        matches!(self.class(), Class::Refused(Refusal::Forbidden { .. }))
    }

    /// The digest was stale.
    pub fn is_modified(&self) -> bool {
        self.0.class == Class::Refused(Refusal::Modified)
    }

    /// A start found the VM running.
    pub fn is_already_running(&self) -> bool {
        self.0.class == Class::Refused(Refusal::AlreadyRunning)
    }

    /// The caller asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.class == Class::Cancelled
    }

    /// Waiting ended before the thing was done.
    pub fn is_timed_out(&self) -> bool {
        self.0.class == Class::TimedOut
    }

    /// Whether the connection broke before there was an answer.
    pub(crate) fn is_cut(&self) -> bool {
        self.0.cut
    }

    /// The connection broke before there was an answer.
    pub(crate) fn cut(mut self) -> Self {
        self.0.cut = true;
        self
    }

    /// An error of this side: no answer was involved.
    pub(crate) fn local(class: Class, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            class,
            message: message.into(),
            parameters: BTreeMap::new(),
            status: None,
            cut: false,
            what: None,
            task: None,
            log_tail: Vec::new(),
        }))
    }

    /// An answer with a status of 300 and above. `reason` is the HTTP reason phrase, `message` the one of the body: old servers
    /// have only the first, and the second is the longer one.
    pub(crate) fn answered(
        status: u16,
        reason: &str,
        message: Option<&str>,
        parameters: BTreeMap<String, String>,
    ) -> Self {
        let message =
            message.map(str::trim).filter(|text| !text.is_empty()).unwrap_or(reason.trim());
        let class = texts::classify_answer(status, message, &parameters);
        let mut error = Self::local(class, message);
        error.0.status = Some(status);
        error.0.parameters = parameters;
        error
    }

    /// A task that ended with something else than `OK` or warnings.
    pub(crate) fn task_failed(upid: &Upid, exit_status: &str, log_tail: Vec<String>) -> Self {
        Self::local(texts::classify(exit_status), exit_status).in_task(upid, log_tail)
    }

    pub(crate) fn in_task(mut self, upid: &Upid, log_tail: Vec<String>) -> Self {
        self.0.what = Some(upid.describe());
        self.0.task = Some(upid.clone());
        self.0.log_tail = log_tail;
        self
    }

    pub(crate) fn in_request(mut self, method: &str, path: &str) -> Self {
        self.0.what = Some(format!("{method} {path}"));
        self
    }

    /// A lost answer to a question is as good as a question that was never asked. (An answer that says that *it* does not know,
    /// as about a task that has vanished, is not lost.)
    pub(crate) fn of_a_read(mut self) -> Self {
        if self.0.class == Class::UnknownOutcome && !matches!(self.0.status, Some(400 | 500)) {
            self.0.class = Class::NotDelivered;
        }
        self
    }

    fn next_step(&self) -> Option<String> {
        Some(match self.class() {
            Class::Tls { seen_fingerprint: Some(seen) } => {
                format!("set ca_file to the cluster's CA (/etc/pve/pve-root-ca.pem), or fingerprint to {seen} if that is your server")
            }
            Class::NoQuorum => "check `pvecm status`".to_owned(),
            Class::UnknownOutcome => "it is not known whether it was done".to_owned(),
            Class::Refused(Refusal::Unauthorized) => "check the API token".to_owned(),
            Class::Refused(Refusal::Forbidden { path: Some(path), privilege: Some(privilege) }) => {
                let privilege = privilege.replace('|', " or ");
                format!("grant {privilege} on {path} to the user and, with privilege separation, to the token")
            }
            Class::Refused(Refusal::Forbidden { .. }) => {
                "the user and, with privilege separation, the token need VM.Allocate on the VMID or the pool".to_owned()
            }
            Class::Refused(Refusal::Locked { lock }) => {
                format!("if no {lock} is going on, an administrator removes the lock with `qm unlock`")
            }
            Class::Refused(Refusal::Protected) => "remove the VM's protection first".to_owned(),
            Class::Refused(Refusal::PartlyApplied) => "the rest of the change was written".to_owned(),
            _ => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        if let Some(what) = &inner.what {
            write!(f, "{what}: ")?;
        }
        f.write_str(if inner.message.is_empty() {
            "failed without a message"
        } else {
            &inner.message
        })?;
        if !inner.parameters.is_empty() {
            let list: Vec<_> =
                inner.parameters.iter().map(|(name, text)| format!("{name}: {text}")).collect();
            write!(f, " ({})", list.join("; "))?;
        }
        if let Some(status) = inner.status {
            write!(f, " [HTTP {status}]")?;
        }
        if let Some(next) = self.next_step() {
            write!(f, "; {next}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
