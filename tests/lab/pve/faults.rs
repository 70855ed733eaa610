//! Disturbances on request: what a real datacentre does to its clients now and then.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::api::Refusal;

/// One disturbance, as the control API takes it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// Every connection is closed without an answer; for a while, or until faults are cleared.
    ApiDown {
        /// How long.
        seconds: Option<u64>,
    },
    /// A node does not answer: 595 for every request that goes to it.
    NodeDown {
        /// Its name.
        node: String,
    },
    /// A node answers too late: 596 for every request that goes to it, while it does the work.
    NodeSlow {
        /// Its name.
        node: String,
        /// After how long whoever forwards gives up: 30 on the real thing.
        #[serde(default = "half_a_minute")]
        seconds: u64,
    },
    /// The cluster has lost its quorum: reads work, writes do not.
    NoQuorum,
    /// A node was reset: running tasks end with `unexpected status`.
    TasksLost {
        /// `qmclone`, `qmstart` and so on; all if none is named.
        #[serde(default)]
        r#type: Option<String>,
    },
    /// Somebody else holds a machine's own lock.
    VmBusy {
        /// The machine.
        vmid: u32,
        /// How long.
        seconds: u64,
    },
    /// Somebody else holds a storage's lock.
    StorageBusy {
        /// Its name.
        storage: String,
        /// How long.
        seconds: u64,
    },
    /// Disks of a storage cannot be removed: destroying ends with warnings.
    DisksStuck {
        /// The storage's name.
        storage: String,
    },
    /// The high-availability manager looks after a machine: start and stop only record a request.
    HaManaged {
        /// The machine.
        vmid: u32,
    },
    /// A guest ignores the request to power off.
    IgnoresShutdown {
        /// The machine.
        vmid: u32,
    },
    /// The guest agent of a machine does not answer.
    AgentSilent {
        /// The machine.
        vmid: u32,
        /// Its process is there, but too slow.
        #[serde(default)]
        slow: bool,
    },
    /// Error texts stand in the reason phrase alone, as on servers before 8.4.
    NoMessages,
    /// The next clones fail after they have begun.
    CloneFails {
        /// How many.
        #[serde(default = "once")]
        times: u32,
    },
    /// Nothing can be allocated on a storage.
    StorageFull {
        /// Its name.
        storage: String,
    },
    /// Tasks of a type begin late.
    SlowTask {
        /// `qmclone`, `qmstart` and so on.
        r#type: String,
        /// By how much.
        seconds: u64,
    },
    /// Requests are refused before anything is done.
    #[serde(rename = "http_500")]
    Http500 {
        /// Their method; empty means any.
        #[serde(default)]
        method: String,
        /// What their path (below `/api2/json`) must match.
        path_regex: String,
        /// How many.
        #[serde(default = "once")]
        times: u32,
        /// The error text.
        message: String,
        /// Another status than 500: 596 says that nobody knows what became of the request.
        #[serde(default = "failed")]
        status: u16,
    },
    /// The work is done, but the connection is cut before the answer.
    DropReply {
        /// Their method; empty means any.
        #[serde(default)]
        method: String,
        /// What their path (below `/api2/json`) must match.
        path_regex: String,
        /// How many.
        #[serde(default = "once")]
        times: u32,
    },
    /// Requests are held back until faults are cleared, for whoever wants to see the client while it waits.
    Hold {
        /// Their method; empty means any.
        #[serde(default)]
        method: String,
        /// What their path (below `/api2/json`) must match.
        path_regex: String,
        /// Not before the work, but after it: only the answer is held back.
        #[serde(default)]
        answer: bool,
    },
    /// A guest counts as running but never gets anywhere.
    NeverBoots {
        /// The machine.
        vmid: u32,
    },
    /// A guest boots without an SSH server.
    SshRefused {
        /// The machine.
        vmid: u32,
    },
}

fn once() -> u32 {
    1
}

fn failed() -> u16 {
    500
}

fn half_a_minute() -> u64 {
    30
}

/// The disturbances that are set.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    set: Mutex<Vec<(Fault, Instant)>>,
    cleared: Notify,
    held: Mutex<Vec<String>>,
}

/// A request that is held back, as long as its client waits for it.
struct Held<'a>(&'a Faults, String);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = held.iter().position(|request| *request == self.1) {
            held.remove(place);
        }
    }
}

impl Faults {
    /// Sets one. The text of an error is for the caller.
    pub(crate) fn add(&self, fault: Fault) -> Result<(), String> {
        if let Fault::Http500 { path_regex, .. }
        | Fault::DropReply { path_regex, .. }
        | Fault::Hold { path_regex, .. } = &fault
        {
            Regex::new(path_regex).map_err(|error| error.to_string())?;
        }
        self.set.lock().unwrap_or_else(PoisonError::into_inner).push((fault, Instant::now()));
        Ok(())
    }

    /// Takes all back.
    pub(crate) fn clear(&self) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.cleared.notify_waiters();
    }

    /// The requests that are held back now: method and path.
    pub(crate) fn held(&self) -> Vec<String> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Holds a request (or its answer) back as long as a fault says so.
    pub(crate) async fn hold(&self, request: &str, path: &str, is_answer: bool) {
        loop {
            let mut cleared = std::pin::pin!(self.cleared.notified());
            // From here on a clearing is not missed.
            cleared.as_mut().enable();
            let is_held = self.any(|fault, _| {
                matches!(fault, Fault::Hold { method, path_regex, answer }
                    if *answer == is_answer && fits(method, path_regex, request, path))
            });
            if !is_held {
                return;
            }
            let name = format!("{request} {path}");
            self.held.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
            let _held = Held(self, name);
            cleared.await;
        }
    }

    fn any(&self, matches: impl Fn(&Fault, Instant) -> bool) -> bool {
        self.set
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .any(|(fault, since)| matches(fault, *since))
    }

    /// Uses up one of `times` of the first fault for which `times` answers.
    fn take<T>(&self, mut find: impl FnMut(&mut Fault) -> Option<(&mut u32, T)>) -> Option<T> {
        let mut faults = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        for (fault, _) in faults.iter_mut() {
            if let Some((times, found)) = find(fault)
                && *times > 0
            {
                *times -= 1;
                return Some(found);
            }
        }
        None
    }

    pub(crate) fn api_is_down(&self) -> bool {
        self.any(|fault, since| {
            matches!(fault, Fault::ApiDown { seconds }
                if seconds.is_none_or(|seconds| since.elapsed() < Duration::from_secs(seconds)))
        })
    }

    pub(crate) fn clone_fails(&self) -> bool {
        self.take(
            |fault| if let Fault::CloneFails { times } = fault { Some((times, ())) } else { None },
        )
        .is_some()
    }

    pub(crate) fn slow_task(&self, kind: &str) -> Duration {
        let faults = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = faults.iter().map(|(fault, _)| match fault {
            Fault::SlowTask { r#type, seconds } if r#type == kind => *seconds,
            _ => 0,
        });
        Duration::from_secs(seconds.max().unwrap_or(0))
    }

    pub(crate) fn slow_node(&self, name: &str) -> Option<Duration> {
        let faults = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().find_map(|(fault, _)| match fault {
            Fault::NodeSlow { node, seconds } if node == name => {
                Some(Duration::from_secs(*seconds))
            }
            _ => None,
        })
    }

    pub(crate) fn has_no_quorum(&self) -> bool {
        self.any(|fault, _| matches!(fault, Fault::NoQuorum))
    }

    pub(crate) fn has_no_messages(&self) -> bool {
        self.any(|fault, _| matches!(fault, Fault::NoMessages))
    }

    pub(crate) fn ignores_shutdown(&self, machine: u32) -> bool {
        self.any(|fault, _| matches!(fault, Fault::IgnoresShutdown { vmid } if *vmid == machine))
    }

    /// Whether a machine's agent is silent, and if so whether it is only too slow.
    pub(crate) fn agent(&self, machine: u32) -> Option<bool> {
        let faults = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().find_map(|(fault, _)| match fault {
            Fault::AgentSilent { vmid, slow } if *vmid == machine => Some(*slow),
            _ => None,
        })
    }

    pub(crate) fn refuses(&self, request: &str, path: &str) -> Option<Refusal> {
        self.take(|fault| match fault {
            Fault::Http500 { method, path_regex, times, message, status }
                if fits(method, path_regex, request, path) =>
            {
                let refusal = match *status {
                    500 => Refusal::failed(message.clone()),
                    status => Refusal::forwarding(status, message),
                };
                Some((times, refusal))
            }
            _ => None,
        })
    }

    pub(crate) fn drops_reply(&self, request: &str, path: &str) -> bool {
        self.take(|fault| match fault {
            Fault::DropReply { method, path_regex, times }
                if fits(method, path_regex, request, path) =>
            {
                Some((times, ()))
            }
            _ => None,
        })
        .is_some()
    }
}

fn fits(method: &str, pattern: &str, request: &str, path: &str) -> bool {
    (method.is_empty() || method == request)
        && Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(path))
}
