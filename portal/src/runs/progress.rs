//! What a run's log says so far, as people look at it: stages with their steps. PURE.

use kubesmith_spec::events::{Phase, Status};
use serde::Serialize;

use super::log::{Entry, Line};
use super::machine::{Kind, State};
use crate::cluster::standing::Tone;
use crate::time::Time;

/// The log, folded line by line.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    stages: Vec<Stage>,
    said: Option<String>,
}

/// A stage of the work.
#[derive(Debug, Clone, Serialize)]
pub struct Stage {
    /// Which; none for those that are the portal's own.
    phase: Option<Phase>,
    /// "Machines".
    pub title: &'static str,
    /// How it looks.
    pub tone: Tone,
    /// How far it is, in words.
    pub words: String,
    /// What was done in it, in the order in which it began.
    pub steps: Vec<Step>,
    /// What was heard last that is no step.
    pub note: Option<String>,
    #[serde(skip)]
    begun: Option<Time>,
    #[serde(skip)]
    latest: Option<Time>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// In words.
    pub text: String,
    /// The machine it concerns.
    pub node: Option<String>,
    /// How far it is.
    pub tone: Tone,
    /// What else is worth knowing.
    pub detail: Option<String>,
    /// How long it took, once it has ended.
    pub took: Option<String>,
    #[serde(skip)]
    begun: Time,
}

impl Progress {
    /// One line more.
    pub fn add(&mut self, line: &Line) {
        match &line.entry {
            Entry::Stage { phase, step, status, node, detail } => {
                let stage = self.stage(*phase);
                stage.begun.get_or_insert(line.time);
                stage.latest = Some(line.time);
                stage.step(line.time, *status, step, node.as_deref(), detail.as_deref());
            }
            Entry::Text { text } => self.said = Some(text.clone()),
            Entry::State { .. } => self.said = None,
            Entry::Resource { .. } | Entry::Diagnostic(_) => {}
        }
    }

    fn stage(&mut self, phase: Phase) -> &mut Stage {
        let found = self.stages.iter().position(|stage| stage.phase == Some(phase));
        let index = found.unwrap_or_else(|| {
            self.stages.push(Stage { phase: Some(phase), ..Stage::new(title(phase)) });
            self.stages.len() - 1
        });
        &mut self.stages[index]
    }

    /// All stages of a run, those to come as well.
    pub fn stages(&self, kind: Kind, state: State, planned: bool) -> Vec<Stage> {
        let mut stages = vec![plan_stage(state, planned, self.said.as_deref())];
        let expected: &[Phase] = match kind {
            Kind::Destroy => &[Phase::Destroy],
            _ => &[Phase::Machines, Phase::Boot, Phase::Configure, Phase::Ready],
        };
        let mut phases = expected.to_vec();
        phases.extend(
            self.stages
                .iter()
                .filter_map(|stage| stage.phase)
                .filter(|phase| !expected.contains(phase)),
        );
        phases.sort_unstable();
        let last =
            self.stages.iter().max_by_key(|stage| stage.latest).and_then(|stage| stage.phase);
        for phase in phases {
            match self.stages.iter().find(|stage| stage.phase == Some(phase)) {
                Some(stage) => stages.push(stage.in_run(state, last == Some(phase))),
                // Not needed in the end: nothing of it is told.
                None if state.has_ended() => {}
                None => stages.push(Stage::new(title(phase))),
            }
        }
        let check = check_stage(kind, state);
        if !(state.has_ended() && check.tone == Tone::Off) {
            stages.push(check);
        }
        stages
    }

    /// The one sentence for somebody who cannot see the page.
    pub fn sentence(&self, state: State) -> String {
        match self.stages.iter().max_by_key(|stage| stage.latest) {
            Some(stage) if state == State::Applying => {
                format!("{}: {}", state.words(), stage.title.to_lowercase())
            }
            _ => state.words().to_owned(),
        }
    }
}

impl Stage {
    fn new(title: &'static str) -> Self {
        Self {
            phase: None,
            title,
            tone: Tone::Off,
            words: String::new(),
            steps: Vec::new(),
            note: None,
            begun: None,
            latest: None,
        }
    }

    fn step(
        &mut self,
        at: Time,
        status: Status,
        text: &str,
        node: Option<&str>,
        detail: Option<&str>,
    ) {
        let tone = match status {
            Status::Started => Tone::Busy,
            Status::Done => Tone::Good,
            Status::Failed => Tone::Bad,
            Status::Info => {
                self.note = Some(
                    detail.map_or_else(|| text.to_owned(), |detail| format!("{text}: {detail}")),
                );
                return;
            }
        };
        let open = self.steps.iter().rposition(|step| {
            step.tone == Tone::Busy && step.text == text && step.node.as_deref() == node
        });
        let index = open.unwrap_or_else(|| {
            self.steps.push(Step {
                text: text.to_owned(),
                node: node.map(str::to_owned),
                tone,
                detail: None,
                took: None,
                begun: at,
            });
            self.steps.len() - 1
        });
        let step = &mut self.steps[index];
        step.tone = tone;
        step.detail = detail.map(str::to_owned);
        step.took =
            (tone != Tone::Busy).then(|| duration(at.since(step.begun).as_secs())).flatten();
    }

    /// How the stage looks in a run that is in this state; `last` if nothing was told of another stage since.
    fn in_run(&self, state: State, last: bool) -> Self {
        let mut stage = self.clone();
        let failed = stage.steps.iter().any(|step| step.tone == Tone::Bad);
        let open = stage.steps.iter().any(|step| step.tone == Tone::Busy);
        let done = stage.steps.iter().filter(|step| step.tone == Tone::Good).count();
        let cut_off = state.has_ended() && state != State::Succeeded;
        if cut_off {
            // What began and never ended was cut off.
            for step in stage.steps.iter_mut().filter(|step| step.tone == Tone::Busy) {
                step.tone = Tone::Bad;
            }
        }
        stage.tone = if state == State::Succeeded {
            Tone::Good
        } else if cut_off && (failed || open || last) {
            Tone::Bad
        } else if state == State::Applying && (open || last) {
            Tone::Busy
        } else {
            Tone::Good
        };
        let took = self
            .begun
            .zip(self.latest)
            .and_then(|(begun, latest)| duration(latest.since(begun).as_secs()));
        stage.words = match (stage.tone, took) {
            (Tone::Good, Some(took)) => took,
            (Tone::Good, None) => "done".to_owned(),
            (Tone::Bad, _) if state == State::Cancelled => "stopped".to_owned(),
            (Tone::Bad, _) => "did not end well".to_owned(),
            _ => format!("{done} of {} steps so far", stage.steps.len()),
        };
        if stage.tone == Tone::Good {
            stage.note = None;
        }
        stage
    }
}

fn title(phase: Phase) -> &'static str {
    match phase {
        Phase::Machines => "Machines",
        Phase::Boot => "Start",
        Phase::Configure => "Kubernetes",
        Phase::Ready => "Proof",
        Phase::Destroy => "Removal",
    }
}

/// The portal's own first stage: Terraform plans and somebody approves.
fn plan_stage(state: State, planned: bool, said: Option<&str>) -> Stage {
    let (tone, words) = match state {
        State::Queued => (Tone::Off, "waits for its turn"),
        State::Planning => (Tone::Busy, "Terraform compares what is with what is wanted"),
        State::AwaitingApproval => (Tone::Wait, "waits for approval"),
        State::Approved => (Tone::Good, "approved, waits for its turn"),
        _ if planned => (Tone::Good, ""),
        State::Cancelled => (Tone::Bad, "stopped"),
        _ => (Tone::Bad, "no plan was made"),
    };
    let note = said.filter(|_| state == State::Planning).map(str::to_owned);
    Stage { tone, words: words.to_owned(), note, ..Stage::new("Plan") }
}

/// The portal's own last stage: what was promised is compared with what is.
fn check_stage(kind: Kind, state: State) -> Stage {
    let (tone, words) = match state {
        State::Verifying if kind == Kind::Destroy => {
            (Tone::Busy, "looking for anything that is left")
        }
        State::Verifying => (Tone::Busy, "comparing what is with what was wanted"),
        State::Succeeded if kind == Kind::Destroy => (Tone::Good, "nothing is left"),
        State::Succeeded => (Tone::Good, "everything is as it was wanted"),
        State::NeedsAttention => (Tone::Bad, "somebody must look"),
        _ => (Tone::Off, ""),
    };
    Stage { tone, words: words.to_owned(), ..Stage::new("Check") }
}

/// "1 min 20 s"; nothing for what took no time.
pub fn duration(seconds: i64) -> Option<String> {
    match seconds {
        ..1 => None,
        1..60 => Some(format!("{seconds} s")),
        60..3600 => Some(format!("{} min {} s", seconds / 60, seconds % 60)),
        _ => Some(format!("{} h {} min", seconds / 3600, seconds / 60 % 60)),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn line(second: u32, entry: Entry) -> Line {
        let time = format!("2026-11-25T10:{:02}:{:02}.000Z", second / 60, second % 60);
        Line { time: time.parse().unwrap(), entry }
    }

    fn stage(second: u32, phase: Phase, status: Status, step: &str, node: Option<&str>) -> Line {
        let node = node.map(str::to_owned);
        line(second, Entry::Stage { phase, step: step.to_owned(), status, node, detail: None })
    }

    fn shown(progress: &Progress, kind: Kind, state: State) -> String {
        let mut text = String::new();
        for stage in progress.stages(kind, state, true) {
            writeln!(text, "{:?} {}: {}", stage.tone, stage.title, stage.words).unwrap();
            for Step { text: step, node, tone, took, .. } in stage.steps {
                writeln!(
                    text,
                    "    {tone:?} {step} {} {}",
                    node.unwrap_or_default(),
                    took.unwrap_or_default()
                )
                .unwrap();
            }
        }
        text
    }

    fn half_way() -> Progress {
        let mut progress = Progress::default();
        for line in [
            line(0, Entry::Text { text: "Preparing Terraform.".into() }),
            stage(10, Phase::Machines, Status::Started, "clone", Some("demo-cp-1")),
            stage(10, Phase::Machines, Status::Started, "clone", Some("demo-w-1")),
            stage(31, Phase::Machines, Status::Done, "clone", Some("demo-w-1")),
            stage(95, Phase::Machines, Status::Done, "clone", Some("demo-cp-1")),
            stage(96, Phase::Boot, Status::Started, "start", Some("demo-cp-1")),
            stage(97, Phase::Boot, Status::Info, "waiting for SSH", None),
        ] {
            progress.add(&line);
        }
        progress
    }

    #[test]
    fn a_run_that_applies_shows_what_is_done_what_works_and_what_comes() {
        insta::assert_snapshot!(shown(&half_way(), Kind::Create, State::Applying), @r"
        Good Plan: 
        Good Machines: 1 min 25 s
            Good clone demo-cp-1 1 min 25 s
            Good clone demo-w-1 21 s
        Busy Start: 0 of 1 steps so far
            Busy start demo-cp-1 
        Off Kubernetes: 
        Off Proof: 
        Off Check:
        ");
    }

    #[test]
    fn where_it_failed_is_marked_and_what_did_not_begin_is_left_out() {
        insta::assert_snapshot!(shown(&half_way(), Kind::Create, State::Failed), @r"
        Good Plan: 
        Good Machines: 1 min 25 s
            Good clone demo-cp-1 1 min 25 s
            Good clone demo-w-1 21 s
        Bad Start: did not end well
            Bad start demo-cp-1
        ");
        let stages = half_way().stages(Kind::Create, State::Failed, true);
        assert_eq!(stages[2].note.as_deref(), Some("waiting for SSH"));
    }

    #[test]
    fn a_destroy_has_one_stage_of_work() {
        insta::assert_snapshot!(shown(&Progress::default(), Kind::Destroy, State::AwaitingApproval), @r"
        Wait Plan: waits for approval
        Off Removal: 
        Off Check:
        ");
    }

    #[test]
    fn durations_are_said_as_people_say_them() {
        let said = [0, 1, 59, 60, 3599, 7260].map(|seconds| duration(seconds).unwrap_or_default());
        assert_eq!(said, ["", "1 s", "59 s", "1 min 0 s", "59 min 59 s", "2 h 1 min"]);
    }
}
