//! How a run ends: what Terraform's end means, what the state says, and what is proven.

use super::log::Writer;
use super::machine::{Event, Kind, State};
use super::supervise::Outcome;
use super::work::Turn;
use super::{Failure, Receipt};
use crate::cluster::exists;
use crate::cluster::workspace::Workspace;
use crate::ids::RunId;
use crate::quota::Amount;
use crate::state::States;
use crate::store::runs::{End, Run};

/// What to do after most failures.
pub const AGAIN: &str = "See the log below, then choose \"Try again\".";
const FOUND_NOTHING: &str = "There are no machines and no leases of owner";

/// How a half of a run ended.
#[derive(Debug)]
pub struct Ended {
    /// What happened.
    pub event: Event,
    /// Why it did not go well.
    pub failure: Option<Failure>,
}

impl Ended {
    /// It did not go well, and what is left is known.
    pub fn failed(failure: Failure) -> Self {
        Self { event: Event::Fail, failure: Some(failure) }
    }

    /// It did not go well, and somebody must look.
    pub fn lost(failure: Failure) -> Self {
        Self { event: Event::Lose, failure: Some(failure) }
    }

    /// It was asked to stop, and did.
    pub fn stopped() -> Self {
        Self { event: Event::Stopped, failure: None }
    }
}

/// Why Terraform's end is no success; `None` if it is one.
pub fn unless_done(outcome: &Outcome, code: &str, sentence: &str) -> Option<Ended> {
    if outcome.done {
        // Also if it was asked to stop: it was faster.
        return None;
    }
    if outcome.stopped {
        return Some(Ended::stopped());
    }
    let failure = match (outcome.errors.first(), outcome.stderr.last()) {
        (Some(error), _) => Failure::new(
            code,
            format!("{}. {}", error.summary.trim_end_matches('.'), error.detail),
            AGAIN,
        ),
        (None, Some(line)) => Failure::new(code, format!("{sentence}: {line}"), AGAIN),
        (None, None) if outcome.cut_off => {
            Failure::new("killed", format!("{sentence}: it was killed."), AGAIN)
        }
        (None, None) => Failure::new(code, format!("{sentence}."), AGAIN),
    };
    Some(Ended::failed(failure))
}

/// What became of a state that Terraform could not send.
pub enum Reconciled {
    /// There was none.
    Nothing,
    /// It was taken over.
    Taken,
    /// It cannot be taken over.
    Lost(Failure),
}

/// Takes over the state that Terraform left on disk because it could not send it.
pub fn reconcile(
    workspace: &Workspace,
    states: &States,
    run: &RunId,
    writer: &mut Writer,
) -> anyhow::Result<Reconciled> {
    const LEFT: &str = "errored.tfstate";
    let Some(text) = workspace.folder().read(LEFT)? else { return Ok(Reconciled::Nothing) };
    match states.reconcile(&text, run.as_str()) {
        Ok(()) => {
            workspace.folder().remove(LEFT)?;
            writer.say("The state that Terraform could not send was taken from its folder.")?;
            Ok(Reconciled::Taken)
        }
        Err(refused) => Ok(Reconciled::Lost(Failure::new(
            "state_lost",
            format!(
                "Terraform could not send its last state, and it cannot be taken over: {refused}."
            ),
            "An administrator compares errored.tfstate in the cluster's folder with the kept state.",
        ))),
    }
}

/// Once its state was taken over, that Terraform could not send it is no failure: what was made is compared all the same.
pub fn forgive_unsent(outcome: &mut Outcome) {
    let before = outcome.errors.len();
    outcome.errors.retain(|error| !is_unsent(&error.summary));
    let unsent = outcome.errors.len() < before;
    outcome.done |= unsent && outcome.errors.is_empty() && !outcome.stopped;
    outcome.cut_off &= !outcome.done;
}

/// Whether an error says that the state could not be sent, at the end or in between: Terraform tries every 20 seconds.
fn is_unsent(summary: &str) -> bool {
    const AT_THE_END: [&str; 3] = [
        "Failed to save state",
        "Failed to persist state to backend",
        "Error releasing the state lock",
    ];
    const IN_BETWEEN: [&str; 2] =
        ["failed checking for existing remote state: ", "Failed to upload state: "];
    AT_THE_END.contains(&summary) || IN_BETWEEN.iter().any(|known| summary.starts_with(known))
}

/// Whether a state shows what a run was to bring about. What could not be sent in between keeps Terraform from the rest.
pub fn is_as_wanted(state: Option<&exists::State>, run: &Run) -> bool {
    match run.kind {
        Kind::Destroy => state.is_none_or(exists::State::is_empty),
        Kind::Create | Kind::Change | Kind::Retry => {
            state.is_some_and(|state| missing(state, run).is_none())
        }
    }
}

/// Whether what was wanted is what is.
pub async fn verify(turn: &mut Turn<'_>) -> anyhow::Result<End> {
    let state = turn.states()?.current()?;
    match turn.run.kind {
        Kind::Destroy => verify_gone(turn, state.as_ref()).await,
        Kind::Create | Kind::Change | Kind::Retry => {
            let missing = state.as_ref().map_or_else(
                || Some("no state was kept".to_owned()),
                |state| missing(state, turn.run),
            );
            let holds = Some(state.as_ref().map(exists::State::amount).unwrap_or_default());
            let Some(missing) = missing else {
                return Ok(End {
                    event: Event::Proven,
                    failure: None,
                    receipt: None,
                    holds,
                    removed: false,
                });
            };
            let sentence = format!("Terraform reported success, but {missing}.");
            let failure = Failure::new("not_as_wanted", sentence, AGAIN);
            Ok(end(turn.run, State::Verifying, state.as_ref(), Ended::lost(failure)))
        }
    }
}

/// What of the wanted cluster the state does not show.
fn missing(state: &exists::State, run: &Run) -> Option<String> {
    let wanted = &run.spec.wanted;
    let Some(cluster) = state.cluster() else { return Some("the state has no cluster".to_owned()) };
    let (have, want) =
        (cluster.nodes.len(), usize::try_from(wanted.machines()).unwrap_or(usize::MAX));
    if cluster.tainted {
        Some("the cluster is marked as half made".to_owned())
    } else if have != want {
        Some(format!("{have} of {want} machines are as they should be"))
    } else {
        None
    }
}

/// A cluster is gone when its state is empty and the provider, asked afresh, finds nothing of it in the datacentre.
async fn verify_gone(turn: &mut Turn<'_>, state: Option<&exists::State>) -> anyhow::Result<End> {
    if state.is_some_and(|state| !state.is_empty()) {
        let failure = Failure::new(
            "not_gone",
            "Terraform reported success, but its state is not empty.",
            AGAIN,
        );
        return Ok(end(turn.run, State::Verifying, state, Ended::lost(failure)));
    }
    let mut failure = match turn.search().await? {
        Ok(found) if found.contains(FOUND_NOTHING) => {
            turn.say(
                "Gone: the provider finds no machine and no address of this cluster any more.",
            )?;
            let search = turn.writer.clean(found.trim());
            let receipt = Some(Receipt { absent: turn.receipt().await?, search });
            return Ok(End {
                event: Event::Proven,
                failure: None,
                receipt,
                holds: None,
                removed: true,
            });
        }
        Ok(found) => {
            let sentence = "Something of this cluster is still there, though its state is empty.";
            let mut failure = Failure::new("not_gone", sentence, AGAIN);
            failure.inventory = Some(turn.writer.clean(&found));
            failure
        }
        Err(error) => Failure::new(
            "not_proven",
            format!("It cannot be proven that everything is gone: {error}"),
            AGAIN,
        ),
    };
    if let Some(found) = &failure.inventory {
        let found = found.clone();
        turn.say(found)?;
    }
    "Choose \"Destroy\" once more: it first removes what no state knows."
        .clone_into(&mut failure.next);
    Ok(end(turn.run, State::Verifying, state, Ended::lost(failure)))
}

/// The end of a run that did not come to what was wanted, with what its cluster holds of the quotas from then on.
pub fn end(run: &Run, at: State, state: Option<&exists::State>, ended: Ended) -> End {
    let Ended { event, failure } = ended;
    let stands = state.map(exists::State::amount).unwrap_or_default();
    let untouched = !matches!(at, State::Applying | State::Verifying);
    let holds = match run.kind {
        Kind::Create if untouched => None,
        Kind::Change if untouched => Some(stands),
        // Machines may stand that no state knows: they are paid for until it is proven that they are gone.
        _ => Some(stands.or(Amount::wanted(&run.spec.wanted))),
    };
    End { event, failure, receipt: None, holds, removed: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terraform::stream::Diagnostic;

    /// What Terraform 1.11 says when it finds nobody to send its state to.
    #[test]
    fn only_that_the_state_was_not_sent_is_forgiven() {
        let unsent = [
            "failed checking for existing remote state: Failed to get state: GET http://127.0.0.1:8080/state giving up",
            "Failed to upload state: POST http://127.0.0.1:8080/state giving up",
            "Failed to save state",
            "Failed to persist state to backend",
            "Error releasing the state lock",
        ];
        let ended = |summaries: &[&str], stopped: bool| {
            let error = |summary: &&str| Diagnostic {
                error: true,
                summary: (*summary).to_owned(),
                detail: String::new(),
            };
            let errors = summaries.iter().map(error).collect();
            let mut outcome = Outcome { cut_off: true, stopped, errors, ..Outcome::default() };
            forgive_unsent(&mut outcome);
            (outcome.done, outcome.cut_off, outcome.errors.len())
        };
        assert_eq!(ended(&unsent, false), (true, false, 0));
        assert_eq!(
            ended(&[&unsent[..], &["demo-cp-1 has no room"]].concat(), false),
            (false, true, 1)
        );
        assert_eq!(ended(&unsent, true), (false, true, 0));
        assert_eq!(ended(&[], false), (false, true, 0));
    }
}
