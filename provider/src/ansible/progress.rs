//! What a playbook tells about itself, line by line, and what of it is passed on.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use kubesmith_spec::NodeName;
use kubesmith_spec::events::Phase;

use super::line::Line;
use crate::events::Events;

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
            if let Some(line) = Line::parse(&text) {
                self.pass_on(&line);
            }
        }
    }

    fn pass_on(&mut self, line: &Line) {
        let Some((status, detail)) = line.status() else { return };
        let node = NodeName::parse(&line.host).ok();
        self.events.tell(Phase::Configure, status, None, &line.step(), node.as_ref(), detail);
        self.failures.extend(line.failure());
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
