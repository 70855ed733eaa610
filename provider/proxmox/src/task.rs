//! Tasks: what Proxmox starts and answers with an id, and waiting for their end.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, delete, get};
use crate::error::{Class, Error};
use crate::retry::Deadline;
use crate::wire;

/// Lines of the log that a failed task's error carries.
const LOG_TAIL: usize = 20;

/// Most tasks (a linked clone, a start) take a moment: three quick looks find them done, the others are looked at calmly.
const FIRST_LOOK: Duration = Duration::from_millis(150);

/// How long a task that was told to stop may take for it: Proxmox sends KILL after 5 seconds, then cleans up.
const STOPPING: Duration = Duration::from_secs(20);

/// A task's id, `UPID:node:pid:pstart:starttime:type:id:user:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upid {
    /// The node on which it runs.
    pub node: String,
    /// For instance `qmclone`.
    pub kind: String,
    /// Mostly a VMID; the *source's* for a clone; may be empty.
    pub id: String,
    /// Who started it, `user@realm` or `user@realm!token`.
    pub user: String,
    /// Seconds since 1970, by the node's clock.
    pub start_time: i64,
    text: String,
}

/// The text is no task id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no task id (UPID)")]
pub struct InvalidUpid(String);

/// How a task ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskOutcome {
    /// How many warnings its log has.
    pub warnings: u32,
}

#[derive(Deserialize)]
struct TaskStatus {
    status: String,
    #[serde(default, rename = "exitstatus")]
    exit_status: Option<String>,
}

#[derive(Deserialize)]
struct LogLine {
    #[serde(default, deserialize_with = "wire::text")]
    t: Option<String>,
}

impl Client {
    /// Wait until the task has ended. Cancellation ends the waiting, not the task.
    ///
    /// A node that does not answer for a while does not end the waiting either, and an error of this function never invites to
    /// start the task again unless the task itself failed of something that passes.
    pub async fn wait(&self, upid: &Upid, deadline: &Deadline) -> Result<TaskOutcome, Error> {
        let started = Instant::now();
        let mut last_seen = "no answer yet".to_owned();
        let mut pause = FIRST_LOOK;
        loop {
            if let Err(stop) = deadline.sleep(pause).await {
                let message = format!(
                    "{} after {} s; last seen: {last_seen}",
                    stop.message(),
                    started.elapsed().as_secs()
                );
                return Err(Error::local(stop.class().clone(), message).in_task(upid, Vec::new()));
            }
            match self.task_status(upid).await {
                Ok(TaskStatus { exit_status: Some(exit_status), .. }) => {
                    return self.outcome(upid, &exit_status).await;
                }
                Ok(TaskStatus { status, .. }) if status == "stopped" => {
                    return self.outcome(upid, "unexpected status").await;
                }
                Ok(TaskStatus { status, .. }) => last_seen = status,
                Err(error) if error.is_transient() => last_seen = error.to_string(),
                Err(error) => return Err(error),
            }
            pause = match started.elapsed() {
                young if young < Duration::from_secs(1) => pause * 2,
                young if young < Duration::from_secs(10) => Duration::from_secs(1),
                _ => Duration::from_secs(3),
            };
        }
    }

    /// Wait; on cancellation, or when time is up, stop the task first, so that Proxmox cleans up what it began.
    pub async fn wait_or_stop(
        &self,
        upid: &Upid,
        deadline: &Deadline,
    ) -> Result<TaskOutcome, Error> {
        match self.wait(upid, deadline).await {
            Err(ended) if ended.is_cancelled() || ended.is_timed_out() => {
                self.stop_task(upid).await?;
                let grace = Deadline::after(STOPPING, &CancellationToken::new());
                match self.wait(upid, &grace).await {
                    // It was faster than the request to stop it.
                    Ok(outcome) => Ok(outcome),
                    Err(error) if error.is_timed_out() => Err(error),
                    Err(_) => Err(ended),
                }
            }
            done => done,
        }
    }

    /// Ask a task to end. That it was asked does not mean that it has ended.
    pub async fn stop_task(&self, upid: &Upid) -> Result<(), Error> {
        self.send::<IgnoredAny>(delete(&["nodes", &upid.node, "tasks", &upid.text])).await.map(drop)
    }

    /// The last lines of a task's log.
    pub async fn task_log(&self, upid: &Upid, lines: usize) -> Result<Vec<String>, Error> {
        let path = ["nodes", &upid.node, "tasks", &upid.text, "log"];
        let all: Vec<LogLine> = self.send(get(&path).with("limit", "0")).await?;
        let skip = all.len().saturating_sub(lines);
        Ok(all.into_iter().skip(skip).filter_map(|line| line.t).collect())
    }

    async fn task_status(&self, upid: &Upid) -> Result<TaskStatus, Error> {
        self.send(get(&["nodes", &upid.node, "tasks", &upid.text, "status"])).await
    }

    async fn outcome(&self, upid: &Upid, exit_status: &str) -> Result<TaskOutcome, Error> {
        if exit_status == "OK" {
            return Ok(TaskOutcome { warnings: 0 });
        }
        if let Some(count) = exit_status.strip_prefix("WARNINGS: ") {
            return Ok(TaskOutcome { warnings: count.trim().parse().unwrap_or(1) });
        }
        // The log explains; that it cannot be read must not hide what failed.
        let log_tail = self.task_log(upid, LOG_TAIL).await.unwrap_or_default();
        Err(Error::task_failed(upid, exit_status, log_tail))
    }
}

impl Upid {
    pub(crate) fn describe(&self) -> String {
        let Self { node, kind, id, .. } = self;
        if id.is_empty() {
            format!("task {kind} on {node}")
        } else {
            format!("task {kind} {id} on {node}")
        }
    }

    /// The UPID that an answer consists of.
    pub(crate) fn from_answer(text: &str) -> Result<Self, Error> {
        text.parse().map_err(|error: InvalidUpid| Error::local(Class::Malformed, error.to_string()))
    }
}

impl FromStr for Upid {
    type Err = InvalidUpid;

    fn from_str(text: &str) -> Result<Self, InvalidUpid> {
        let invalid = || InvalidUpid(text.chars().take(200).collect());
        let parts: Vec<&str> = text.split(':').collect();
        let ["UPID", node, pid, pstart, start, kind, id, user, ""] = parts[..] else {
            return Err(invalid());
        };
        let hex = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
            lengths.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit())
        };
        let plain = |part: &str| part.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        if node.is_empty()
            || kind.is_empty()
            || user.is_empty()
            || ![node, kind, id, user].into_iter().all(plain)
        {
            return Err(invalid());
        }
        if !hex(pid, 8..=8) || !hex(pstart, 8..=9) || !hex(start, 8..=8) {
            return Err(invalid());
        }
        Ok(Self {
            node: node.to_owned(),
            kind: kind.to_owned(),
            id: id.to_owned(),
            user: user.to_owned(),
            start_time: i64::from_str_radix(start, 16).map_err(|_| invalid())?,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_real_clone_upid_names_its_source_and_its_token() {
        let upid: Upid =
            "UPID:pve:00000330:0003BE25:6B02D58C:qmclone:9000:root@pam!tf:".parse().unwrap();
        assert_eq!(
            (upid.node.as_str(), upid.kind.as_str(), upid.id.as_str()),
            ("pve", "qmclone", "9000")
        );
        assert_eq!((upid.user.as_str(), upid.start_time), ("root@pam!tf", 0x6B02_D58C));
        assert_eq!(upid.describe(), "task qmclone 9000 on pve");

        let upload: Upid =
            "UPID:pve:00000330:0003BE25:6B02D58C:imgcopy::root@pam!tf:".parse().unwrap();
        assert_eq!(upload.describe(), "task imgcopy on pve");
    }

    proptest! {
        #[test]
        fn every_upid_is_printed_as_it_was_read(
            node in "[a-z][a-z0-9-]{0,20}", pid in "[0-9A-F]{8}", pstart in "[0-9A-F]{8,9}", start in "[0-9A-F]{8}",
            kind in "[a-z]{2,12}", id in "[0-9]{0,9}", user in "[a-z]{1,8}@(pam|pve)(![a-z]{2,8})?",
        ) {
            let text = format!("UPID:{node}:{pid}:{pstart}:{start}:{kind}:{id}:{user}:");
            let upid: Upid = text.parse().unwrap();
            prop_assert_eq!(upid.to_string(), text);
            prop_assert_eq!((upid.node, upid.kind, upid.id, upid.user), (node, kind, id, user));
        }

        #[test]
        fn other_text_is_refused_without_a_panic(text in "(UPID:)?\\PC{0,60}") {
            let error = text.parse::<Upid>().unwrap_err().to_string();
            prop_assert!(error.ends_with("` is no task id (UPID)"), "{error}");
        }
    }
}
