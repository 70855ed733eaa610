//! One child of a run from its start to its end: its files are followed while it works, and it is stopped when asked.
//!
//! It writes to files, so it outlives a portal that is killed; the next portal takes it over and reads them from their
//! beginning.

use std::time::Duration;

use kubesmith_process::{Marked, Supervised, Tool, marked};
use kubesmith_spec::events::{self, Event};
use tokio::time::MissedTickBehavior;

use super::log::{Entry, Writer};
use super::tail::Tail;
use super::{Live, Runs};
use crate::cluster::folder::Folder;
use crate::ids::RunId;
use crate::terraform::command::MARK;
use crate::terraform::stream::{self, Diagnostic, Line};

/// How often the files are looked at. People notice no less.
const LOOK: Duration = Duration::from_millis(200);
/// After an interrupt Terraform may take so long to finish the step it is in; then it is killed.
const PATIENCE: Duration = Duration::from_mins(15);

/// The file that the provider appends its stage events to.
pub const EVENTS: &str = "events.jsonl";
const STOPPING: &str = "Stopping: Terraform finishes the step it is in and keeps what it has done.";

/// How a child of a run ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Whether it did all that it was to do.
    pub done: bool,
    /// Whether it was asked to stop.
    pub stopped: bool,
    /// Whether a signal ended it, or nobody knows how it ended.
    pub cut_off: bool,
    /// Its errors.
    pub errors: Vec<Diagnostic>,
    /// What it said on standard error.
    pub stderr: Vec<String>,
}

/// The names of the two files that a child writes to.
pub type Outputs = [&'static str; 2];

/// Whose child it is, and who is told.
pub struct Watch<'a> {
    /// The runs that work.
    pub runs: &'a Runs,
    /// The run.
    pub run: &'a RunId,
    /// How it is stopped.
    pub live: &'a Live,
    /// Its folder.
    pub folder: &'a Folder,
    /// Its log.
    pub writer: &'a mut Writer,
}

/// A child, whoever has started it.
enum Child {
    Ours(Box<Supervised>),
    /// The processes of an earlier portal's child, as far as they still run.
    Left(Vec<Marked>),
}

impl Watch<'_> {
    /// Starts a child and watches it to its end.
    pub async fn run(self, tool: &Tool, outputs: Outputs) -> anyhow::Result<Outcome> {
        let [stdout, stderr] = outputs;
        self.folder.remove(stdout)?;
        self.folder.remove(stderr)?;
        let mut followed = Followed::new(outputs);
        // What an earlier child of this run has told is told already.
        followed.events.lines(self.folder)?;
        let child = tool.start(self.folder.append(stdout)?, self.folder.append(stderr)?)?;
        self.follow(Child::Ours(Box::new(child)), followed).await
    }

    /// Watches what an earlier portal has started, from the beginning: it may still run, or have ended.
    pub async fn take_over(self, left: Vec<Marked>, outputs: Outputs) -> anyhow::Result<Outcome> {
        self.writer.is_told_again(self.folder)?;
        let mut outcome = self.follow(Child::Left(left), Followed::new(outputs)).await?;
        // Its exit code went to nobody. What it said last tells as much.
        outcome.cut_off = !outcome.done;
        Ok(outcome)
    }

    async fn follow(self, mut child: Child, mut followed: Followed) -> anyhow::Result<Outcome> {
        let Self { runs, run, live, folder, writer } = self;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut kill_at = None;
        loop {
            let deadline = kill_at;
            tokio::select! {
                () = child.ended(&mut followed.outcome) => break,
                _ = look.tick() => {
                    if followed.take(folder, writer)? {
                        runs.tell(run);
                    }
                }
                () = live.interrupt.cancelled(), if kill_at.is_none() => {
                    // A second interrupt would make Terraform give up what it is doing.
                    if !writer.has_told(STOPPING) {
                        writer.say(STOPPING)?;
                        child.interrupt();
                    }
                    followed.outcome.stopped = true;
                    kill_at = Some(tokio::time::Instant::now() + PATIENCE);
                }
                () = live.force.cancelled() => {
                    writer.say("Stopped by force: what was in the making may be left half made.")?;
                    followed.outcome.stopped = true;
                    child.kill(run);
                    child.ended(&mut followed.outcome).await;
                    break;
                }
                () = until(deadline) => {
                    writer.say("Terraform did not stop in time and was ended by force.")?;
                    child.kill(run);
                    child.ended(&mut followed.outcome).await;
                    break;
                }
            }
        }
        followed.take(folder, writer)?;
        followed.take_rest(writer)?;
        runs.tell(run);
        Ok(followed.outcome)
    }
}

impl Child {
    /// Waits for the end. May be dropped and called again.
    async fn ended(&mut self, outcome: &mut Outcome) {
        match self {
            Self::Ours(child) => match child.ended().await {
                Ok(exit) => {
                    outcome.done = exit.success();
                    outcome.cut_off = exit.code().is_none();
                }
                Err(error) => outcome.stderr.push(error.to_string()),
            },
            Self::Left(processes) => {
                for process in processes {
                    process.ended().await;
                }
            }
        }
    }

    fn interrupt(&self) {
        match self {
            Self::Ours(child) => child.interrupt(),
            Self::Left(processes) => processes.iter().for_each(Marked::interrupt),
        }
    }

    fn kill(&self, run: &RunId) {
        match self {
            Self::Ours(child) => child.kill(),
            // Also those that were started meanwhile.
            Self::Left(_) => left_of(run).iter().flatten().for_each(Marked::kill),
        }
    }
}

/// The processes of a run that still run.
pub fn left_of(run: &RunId) -> std::io::Result<Vec<Marked>> {
    let mut found = marked(MARK)?;
    found.retain(|process| process.value == run.as_str());
    Ok(found)
}

/// What a destroy has seen absent, as its events tell.
pub fn receipts(events: &[u8]) -> events::Receipt {
    let mut all = events::Receipt::default();
    let lines = events.split(|byte| *byte == b'\n');
    for receipt in lines.filter_map(|line| serde_json::from_slice::<Event>(line).ok()?.receipt) {
        all.vmids.extend(receipt.vmids);
        all.addresses.extend(receipt.addresses);
    }
    all
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Three files that grow, and what was read in them.
struct Followed {
    stdout: Tail,
    stderr: Tail,
    events: Tail,
    outcome: Outcome,
}

impl Followed {
    fn new([stdout, stderr]: Outputs) -> Self {
        Self {
            stdout: Tail::of(stdout),
            stderr: Tail::of(stderr),
            events: Tail::of(EVENTS),
            outcome: Outcome::default(),
        }
    }

    /// Whether there was anything new.
    fn take(&mut self, folder: &Folder, writer: &mut Writer) -> anyhow::Result<bool> {
        let events = self.events.lines(folder)?;
        let stdout = self.stdout.lines(folder)?;
        let stderr = self.stderr.lines(folder)?;
        let any = !(events.is_empty() && stdout.is_empty() && stderr.is_empty());
        events.iter().try_for_each(|line| event(line, writer))?;
        stdout.iter().try_for_each(|line| self.line(line, writer))?;
        stderr.into_iter().try_for_each(|line| self.complaint(line, writer))?;
        Ok(any)
    }

    fn take_rest(&mut self, writer: &mut Writer) -> anyhow::Result<()> {
        if let Some(rest) = self.stdout.rest() {
            self.line(&rest, writer)?;
        }
        if let Some(rest) = self.stderr.rest() {
            self.complaint(rest, writer)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, writer: &mut Writer) -> anyhow::Result<()> {
        match stream::read(line)? {
            Line::Quiet => {}
            Line::Resource { address, action, progress, seconds: _ } => {
                writer.write(Entry::Resource { address, action, progress })?;
            }
            Line::Diagnostic(diagnostic) => {
                let kept = writer.write(Entry::Diagnostic(diagnostic))?;
                if let Entry::Diagnostic(diagnostic) = kept
                    && diagnostic.error
                {
                    self.outcome.errors.push(diagnostic);
                }
            }
            Line::Applied(text) => {
                self.outcome.done = true;
                writer.say(text)?;
            }
            Line::Message(text) => writer.say(text)?,
        }
        Ok(())
    }

    fn complaint(&mut self, line: String, writer: &mut Writer) -> anyhow::Result<()> {
        if line.trim().is_empty() {
            return Ok(());
        }
        if self.outcome.stderr.len() < 40 {
            self.outcome.stderr.push(writer.clean(&line));
        }
        Ok(writer.say(line)?)
    }
}

fn event(line: &str, writer: &mut Writer) -> anyhow::Result<()> {
    // A line of a newer provider that we cannot read is no reason to stop a run.
    let Ok(event) = serde_json::from_str::<Event>(line) else { return Ok(()) };
    if event.v <= events::VERSION {
        writer.write(Entry::Stage {
            phase: event.phase,
            step: event.step,
            status: event.status,
            node: event.node.map(|node| node.to_string()),
            detail: event.detail,
        })?;
    }
    Ok(())
}
