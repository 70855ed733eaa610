//! What a playbook tells about itself, line by line, and what of it is passed on.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use kubesmith_spec::NodeName;
use kubesmith_spec::events::{Phase, Status};
use serde::Deserialize;

use crate::events::Events;

/// One line of the callback plugin.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Line {
    event: String,
    play: String,
    task: String,
    host: String,
    msg: Option<String>,
}

/// Reads the callback's file as it grows.
pub(crate) struct Progress<'a> {
    file: BufReader<File>,
    partial: String,
    events: &'a Events,
    /// Why hosts failed, one sentence each.
    pub(crate) failures: Vec<String>,
}

impl<'a> Progress<'a> {
    /// Follows this file, which must exist.
    pub(crate) fn follow(path: &Path, events: &'a Events) -> std::io::Result<Self> {
        Ok(Self {
            file: BufReader::new(File::open(path)?),
            partial: String::new(),
            events,
            failures: Vec::new(),
        })
    }

    /// Passes on what has been added since the last call.
    pub(crate) fn catch_up(&mut self) {
        // A line without its end is kept until the rest of it is there.
        while self.file.read_line(&mut self.partial).is_ok_and(|read| read > 0)
            && self.partial.ends_with('\n')
        {
            let text = std::mem::take(&mut self.partial);
            if let Ok(line) = serde_json::from_str(&text) {
                self.pass_on(&line);
            }
        }
    }

    fn pass_on(&mut self, line: &Line) {
        let Line { event, play, task, host, msg } = line;
        let step = format!("{play}: {task}");
        let node = NodeName::parse(host).ok();
        let tell = |status, detail| {
            self.events.tell(Phase::Configure, status, None, &step, node.as_ref(), detail);
        };
        match event.as_str() {
            "task_start" => tell(Status::Info, None),
            "changed" => tell(Status::Info, Some("changed".to_owned())),
            "failed" | "unreachable" => {
                let reason = msg.clone().unwrap_or_default();
                tell(Status::Failed, Some(reason.clone()));
                let verb = if event == "failed" { "failed" } else { "was not reached" };
                self.failures.push(format!("{host} {verb} at \"{task}\": {reason}"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn failures_are_kept_and_a_line_is_only_read_when_it_is_whole() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let events = Events::open("kubesmith_cluster", "demo");
        let mut progress = Progress::follow(file.path(), &events).unwrap();
        let line = r#"{"event":"failed","time":1.5,"play":"Common","task":"Refuse","host":"demo-cp-1","msg":"REFUSED: swap","rc":1}"#;
        let (first, rest) = line.split_at(40);
        file.write_all(first.as_bytes()).unwrap();
        progress.catch_up();
        assert!(progress.failures.is_empty());
        file.write_all(format!("{rest}\nnot json\n").as_bytes()).unwrap();
        progress.catch_up();
        assert_eq!(progress.failures, ["demo-cp-1 failed at \"Refuse\": REFUSED: swap"]);
    }
}
