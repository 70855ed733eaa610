//! One child of a run from its start to its end: its files are followed while it works, and it is stopped when asked.

use std::time::Duration;

use kubesmith_process::{Exit, Tool};
use kubesmith_spec::events::{self, Event};
use tokio::time::MissedTickBehavior;

use super::log::{Entry, Writer};
use super::tail::Tail;
use super::{Live, Runs};
use crate::cluster::folder::Folder;
use crate::ids::RunId;
use crate::terraform::stream::{self, Diagnostic, Line};

/// How often the files are looked at. People notice no less.
const LOOK: Duration = Duration::from_millis(200);
/// After an interrupt Terraform may take so long to finish the step it is in; then it is killed.
const PATIENCE: Duration = Duration::from_mins(15);

/// The file that the provider appends its stage events to.
pub const EVENTS: &str = "events.jsonl";

/// How a child of a run ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Whether it was asked to stop.
    pub stopped: bool,
    /// Its errors.
    pub errors: Vec<Diagnostic>,
    /// What a destroy has seen absent.
    pub receipt: Option<events::Receipt>,
    /// What it said on standard error.
    pub stderr: Vec<String>,
}

/// The names of the two files that a child writes to.
pub type Outputs = [&'static str; 2];

/// Runs it to its end.
pub async fn supervise(
    runs: &Runs,
    run: &RunId,
    live: &Live,
    folder: &Folder,
    tool: &Tool,
    outputs: Outputs,
    writer: &mut Writer,
) -> anyhow::Result<Outcome> {
    let [stdout, stderr] = outputs;
    folder.remove(stdout)?;
    folder.remove(stderr)?;
    let mut followed = Followed::new(outputs, folder)?;
    let mut child = tool.start(folder.append(stdout)?, folder.append(stderr)?)?;
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut kill_at = None;
    let exit: Exit = loop {
        let deadline = kill_at;
        tokio::select! {
            exit = child.ended() => break exit?,
            _ = look.tick() => {
                if followed.take(folder, writer)? {
                    runs.tell(run);
                }
            }
            () = live.interrupt.cancelled(), if kill_at.is_none() => {
                writer.say("Stopping: Terraform finishes the step it is in and keeps what it has done.")?;
                child.interrupt();
                followed.outcome.stopped = true;
                kill_at = Some(tokio::time::Instant::now() + PATIENCE);
            }
            () = live.force.cancelled() => {
                writer.say("Stopped by force: what was in the making may be left half made.")?;
                followed.outcome.stopped = true;
                child.kill();
                break child.ended().await?;
            }
            () = until(deadline) => {
                writer.say("Terraform did not stop in time and was ended by force.")?;
                child.kill();
                break child.ended().await?;
            }
        }
    };
    followed.take(folder, writer)?;
    followed.take_rest(writer)?;
    runs.tell(run);
    let mut outcome = followed.outcome;
    outcome.code = exit.code();
    Ok(outcome)
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
    fn new([stdout, stderr]: Outputs, folder: &Folder) -> anyhow::Result<Self> {
        let mut events = Tail::of(EVENTS);
        // What an earlier child of this run has told is told already.
        events.lines(folder)?;
        let (stdout, stderr) = (Tail::of(stdout), Tail::of(stderr));
        Ok(Self { stdout, stderr, events, outcome: Outcome::default() })
    }

    /// Whether there was anything new.
    fn take(&mut self, folder: &Folder, writer: &mut Writer) -> anyhow::Result<bool> {
        let events = self.events.lines(folder)?;
        let stdout = self.stdout.lines(folder)?;
        let stderr = self.stderr.lines(folder)?;
        let any = !(events.is_empty() && stdout.is_empty() && stderr.is_empty());
        events.iter().try_for_each(|line| self.event(line, writer))?;
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

    fn event(&mut self, line: &str, writer: &mut Writer) -> anyhow::Result<()> {
        // A line of a newer provider that we cannot read is no reason to stop a run.
        let Ok(event) = serde_json::from_str::<Event>(line) else { return Ok(()) };
        if event.v > events::VERSION {
            return Ok(());
        }
        if let Some(receipt) = event.receipt {
            let all = self.outcome.receipt.get_or_insert_default();
            all.vmids.extend(receipt.vmids);
            all.addresses.extend(receipt.addresses);
        }
        writer.write(Entry::Stage {
            phase: event.phase,
            step: event.step,
            status: event.status,
            node: event.node.map(|node| node.to_string()),
            detail: event.detail,
        })?;
        Ok(())
    }

    fn line(&mut self, line: &str, writer: &mut Writer) -> anyhow::Result<()> {
        match stream::read(line)? {
            Line::Quiet => {}
            Line::Resource { address, action, progress, seconds: _ } => {
                writer.write(Entry::Resource { address, action, progress })?;
            }
            Line::Diagnostic(diagnostic) => {
                if diagnostic.error {
                    self.outcome.errors.push(diagnostic.clone());
                }
                writer.write(Entry::Diagnostic(diagnostic))?;
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
            self.outcome.stderr.push(line.clone());
        }
        writer.say(line)?;
        Ok(())
    }
}
