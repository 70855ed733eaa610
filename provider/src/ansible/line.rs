//! PURE: one line of what a playbook tells about itself.

use kubesmith_spec::events::Status;
use serde::Deserialize;

/// One line of the callback plugin.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Line {
    event: String,
    play: String,
    task: String,
    /// The machine it is about, if it is about one.
    pub(crate) host: String,
    msg: Option<String>,
}

impl Line {
    /// Reads a line; `None` if it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The task, in words for people.
    pub(crate) fn step(&self) -> String {
        format!("{}: {}", self.play, self.task)
    }

    /// What of it is passed on, with what else is worth knowing; `None` if nothing is.
    pub(crate) fn status(&self) -> Option<(Status, Option<String>)> {
        match self.event.as_str() {
            "task_start" => Some((Status::Info, None)),
            "changed" => Some((Status::Info, Some("changed".to_owned()))),
            "failed" | "unreachable" => {
                Some((Status::Failed, Some(self.msg.clone().unwrap_or_default())))
            }
            _ => None,
        }
    }

    /// Why a host failed, in one sentence.
    pub(crate) fn failure(&self) -> Option<String> {
        let Self { event, task, host, msg, .. } = self;
        let verb = match event.as_str() {
            "failed" => "failed",
            "unreachable" => "was not reached",
            _ => return None,
        };
        let reason = msg.as_deref().unwrap_or_default();
        Some(format!("{host} {verb} at \"{task}\": {reason}"))
    }
}
