//! What a run tells whoever watches: one JSON object a line, merged from Terraform's stream, the provider's stage events and
//! the portal's own steps. Kept with the run; read from any offset.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use kubesmith_spec::events::{Phase, Status};
use serde::{Deserialize, Serialize};

use super::machine::State;
use super::redact::Redaction;
use crate::cluster::folder::Folder;
use crate::terraform::stream::{Diagnostic, Progress};
use crate::time::Time;

/// The file's name in the folder of its run.
pub const FILE: &str = "log.jsonl";
/// What of a text is kept.
const LONGEST: usize = 2_000;
/// When the log is this long, only what matters is still written.
const FULL: u64 = 2 * 1024 * 1024;
/// A reader gets at most this at once.
const PIECE: u64 = 256 * 1024;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When.
    pub time: Time,
    /// What.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Entry {
    /// The run is in another state now.
    State {
        /// Which.
        state: State,
    },
    /// A step of the provider.
    Stage {
        /// In which phase of the work.
        phase: Phase,
        /// The step, in words.
        step: String,
        /// How far it is.
        status: Status,
        /// The machine it concerns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
        /// What else is worth knowing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// A resource of the plan.
    Resource {
        /// Its address.
        address: String,
        /// What is done to it.
        action: String,
        /// How far that is.
        progress: Progress,
    },
    /// A warning or an error.
    Diagnostic(Diagnostic),
    /// Anything else.
    Text {
        /// In words.
        text: String,
    },
}

/// Writes the log of a run. Every line is one write at the end of the file.
pub struct Writer {
    file: File,
    length: u64,
    redaction: Redaction,
    /// What stands in the log already and comes once more, with how often.
    told: HashMap<String, usize>,
}

impl Writer {
    /// Goes on where an earlier one ended. What is to be redacted is never written.
    pub fn open(folder: &Folder, redaction: Redaction) -> io::Result<Self> {
        let mut file = folder.append(FILE)?;
        let mut length = file.metadata()?.len();
        if length > 0 {
            // Who was killed in the middle of a line gets an end of line, so that the next one is whole.
            let mut last = [0];
            file.seek(SeekFrom::Start(length - 1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                length += 1;
            }
        }
        Ok(Self { file, length, redaction, told: HashMap::new() })
    }

    /// What the log holds already is not written again when it comes once more: the files of a child that an earlier portal
    /// has followed are read from their beginning. A child works in one state of its run; only stages are kept in a file that
    /// all children of the run append to.
    pub fn is_told_again(&mut self, folder: &Folder) -> io::Result<()> {
        let mut told = Vec::new();
        let mut offset = 0;
        loop {
            let lines = read(folder, offset)?;
            let Some((next, _)) = lines.last() else { break };
            offset = *next;
            for (_, line) in lines {
                match line.entry {
                    Entry::State { .. } => {
                        told.retain(|entry| matches!(entry, Entry::Stage { .. }));
                    }
                    entry => told.push(entry),
                }
            }
        }
        for entry in &told {
            *self.told.entry(serde_json::to_string(entry)?).or_default() += 1;
        }
        Ok(())
    }

    /// Whether this text stands in the log that is told again.
    pub fn has_told(&self, text: &str) -> bool {
        let entry = Entry::Text { text: text.to_owned() };
        serde_json::to_string(&entry).is_ok_and(|entry| self.told.contains_key(&entry))
    }

    /// A text as it may be kept and shown.
    pub fn clean(&self, text: &str) -> String {
        clean(&self.redaction.apply(text))
    }

    /// Adds a line, and answers what was kept of it.
    pub fn write(&mut self, entry: Entry) -> io::Result<Entry> {
        let entry = entry.clean(|text| self.clean(&text));
        self.keep(&entry)?;
        Ok(entry)
    }

    fn keep(&mut self, entry: &Entry) -> io::Result<()> {
        if !self.told.is_empty()
            && let Some(count) = self.told.get_mut(&serde_json::to_string(entry)?)
            && *count > 0
        {
            *count -= 1;
            return Ok(());
        }
        let matters = matches!(entry, Entry::State { .. } | Entry::Diagnostic(_));
        if self.length > FULL && !matters {
            return Ok(());
        }
        let line = Line { time: Time::now(), entry: entry.clone() };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        self.file.write_all(&text)?;
        self.length += text.len() as u64;
        Ok(())
    }

    /// A line in words.
    pub fn say(&mut self, text: impl Into<String>) -> io::Result<()> {
        self.write(Entry::Text { text: text.into() }).map(drop)
    }
}

impl Entry {
    /// With every text made fit to be kept.
    fn clean(self, tidy: impl Fn(String) -> String) -> Self {
        match self {
            Self::State { state } => Self::State { state },
            Self::Stage { phase, step, status, node, detail } => Self::Stage {
                phase,
                step: tidy(step),
                status,
                node: node.map(&tidy),
                detail: detail.map(&tidy),
            },
            Self::Resource { address, action, progress } => {
                Self::Resource { address: tidy(address), action: tidy(action), progress }
            }
            Self::Diagnostic(Diagnostic { error, summary, detail }) => {
                Self::Diagnostic(Diagnostic { error, summary: tidy(summary), detail: tidy(detail) })
            }
            Self::Text { text } => Self::Text { text: tidy(text) },
        }
    }
}

/// Takes away what a terminal would obey, and what is too long to be read.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(LONGEST));
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if clean.len() >= LONGEST {
            clean.push('…');
            break;
        }
        match letter {
            // ESC [ ... letter, and ESC ] ... BEL.
            '\u{1b}' => match letters.next() {
                Some('[') => while letters.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                Some(']') => while letters.next().is_some_and(|c| c != '\u{7}') {},
                _ => {}
            },
            '\n' | '\t' => clean.push(letter),
            c if c.is_control() || is_bidi(c) => {}
            c => clean.push(c),
        }
    }
    clean
}

/// What turns text around, so that it reads as something else.
fn is_bidi(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whole lines from an offset on, each with the offset behind it. An offset inside a line begins with the next one.
pub fn read(folder: &Folder, offset: u64) -> io::Result<Vec<(u64, Line)>> {
    let Some(mut file) = folder.reader(FILE)? else { return Ok(Vec::new()) };
    if offset > file.metadata()?.len() {
        return Ok(Vec::new());
    }
    // One byte earlier, to see whether a line begins here.
    let start = offset.saturating_sub(1);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(PIECE).read_to_end(&mut bytes)?;
    let mut place = start;
    let mut lines = Vec::new();
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        let begins = place >= offset;
        place += piece.len() as u64;
        if begins
            && piece.ends_with(b"\n")
            && let Ok(line) = serde_json::from_slice(piece)
        {
            lines.push((place, line));
        }
    }
    Ok(lines)
}

/// The state that a log tells of last; `None` if it tells of none.
pub fn last_state(folder: &Folder) -> io::Result<Option<State>> {
    let (mut offset, mut last) = (0, None);
    loop {
        let lines = read(folder, offset)?;
        let Some((next, _)) = lines.last() else { return Ok(last) };
        offset = *next;
        let state = lines.into_iter().rev().find_map(|(_, line)| match line.entry {
            Entry::State { state } => Some(state),
            _ => None,
        });
        last = state.or(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(folder: &Folder, offset: u64) -> Vec<String> {
        let lines = read(folder, offset).unwrap().into_iter();
        let texts = lines.map(|(_, line)| match line.entry {
            Entry::Text { text } => text,
            other => format!("{other:?}"),
        });
        texts.collect()
    }

    #[test]
    fn a_log_is_read_from_any_offset_and_survives_half_a_line() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::make(root.path()).unwrap();
        let mut writer = Writer::open(&folder, Redaction::default()).unwrap();
        writer.say("one").unwrap();
        writer.say("two").unwrap();
        let after_one = read(&folder, 0).unwrap()[0].0;
        assert_eq!(texts(&folder, after_one), ["two"]);
        assert_eq!(texts(&folder, after_one - 1), ["two"], "not a second time, not by half");
        assert_eq!(texts(&folder, 1), ["two"]);
        for beyond in [1_000_000, u64::MAX] {
            assert_eq!(texts(&folder, beyond), Vec::<String>::new());
        }

        folder.append(FILE).unwrap().write_all(b"{\"time\":").unwrap();
        assert_eq!(texts(&folder, 0), ["one", "two"]);
        Writer::open(&folder, Redaction::default()).unwrap().say("three").unwrap();
        assert_eq!(texts(&folder, 0), ["one", "two", "three"]);
    }

    #[test]
    fn what_a_terminal_would_obey_is_taken_away() {
        assert_eq!(
            clean("\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}ok\r\u{8}\u{202e}x"),
            "red okx"
        );
        assert_eq!(clean("a\tb\nc"), "a\tb\nc");
        assert!(clean(&"x".repeat(10_000)).len() < 2_010);
    }

    #[test]
    fn what_is_told_again_stands_there_once_and_no_secret_at_all() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::make(root.path()).unwrap();
        let mut redaction = Redaction::default();
        redaction.hide("a-secret-of-this-run");
        let mut writer = Writer::open(&folder, redaction).unwrap();
        for text in ["still working", "still working", "with a-secret-of-this-run"] {
            writer.say(text).unwrap();
        }
        let mut again = Writer::open(&folder, Redaction::default()).unwrap();
        again.is_told_again(&folder).unwrap();
        assert!(again.has_told("still working") && !again.has_told("new"));
        for text in ["still working", "still working", "with [secret]", "still working", "new"] {
            again.say(text).unwrap();
        }
        assert_eq!(
            texts(&folder, 0),
            ["still working", "still working", "with [secret]", "still working", "new"]
        );
    }

    #[test]
    fn what_was_told_in_an_earlier_state_of_the_run_is_not_told_yet_in_this_one() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::make(root.path()).unwrap();
        let mut writer = Writer::open(&folder, Redaction::default()).unwrap();
        let stage = || Entry::Stage {
            phase: Phase::Machines,
            step: "look".to_owned(),
            status: Status::Done,
            node: None,
            detail: None,
        };
        writer.write(stage()).unwrap();
        writer.say("Stopping").unwrap();
        writer.write(Entry::State { state: State::Applying }).unwrap();
        writer.say("applying").unwrap();

        let mut again = Writer::open(&folder, Redaction::default()).unwrap();
        again.is_told_again(&folder).unwrap();
        assert!(again.has_told("applying") && !again.has_told("Stopping"));
        let before = texts(&folder, 0).len();
        again.write(stage()).unwrap();
        again.say("applying").unwrap();
        assert_eq!(texts(&folder, 0).len(), before, "both stand there already");
        again.say("Stopping").unwrap();
        again.write(Entry::State { state: State::Applying }).unwrap();
        assert_eq!(texts(&folder, 0).len(), before + 2);
    }

    #[test]
    fn a_full_log_still_says_what_matters() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::make(root.path()).unwrap();
        let mut writer = Writer::open(&folder, Redaction::default()).unwrap();
        let long = "x".repeat(LONGEST);
        for _ in 0..1_500 {
            writer.say(long.clone()).unwrap();
        }
        writer.write(Entry::State { state: State::Failed }).unwrap();
        let length = folder.reader(FILE).unwrap().unwrap().metadata().unwrap().len();
        assert!(length < FULL + 2 * 2_100, "{length}");
        let mut offset = 0;
        let mut last = None;
        loop {
            let lines = read(&folder, offset).unwrap();
            let Some((next, line)) = lines.into_iter().next_back() else { break };
            (offset, last) = (next, Some(line.entry));
        }
        assert_eq!(last, Some(Entry::State { state: State::Failed }));
    }
}
