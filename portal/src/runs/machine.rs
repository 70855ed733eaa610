//! The life of a run: which states there are, and what leads from one to the next. PURE.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a run is to do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
#[schema(as = RunKind)]
pub enum Kind {
    /// Make a cluster.
    Create,
    /// Make it as it is now wanted; repairs what is broken.
    Change,
    /// Go on with what failed, without making again what stands.
    Retry,
    /// Remove everything.
    Destroy,
}

/// Where a run is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
#[schema(as = RunState)]
pub enum State {
    /// Waits for its turn.
    Queued,
    /// Terraform plans.
    Planning,
    /// The plan lies there, and somebody must approve it.
    AwaitingApproval,
    /// Approved; waits for its turn.
    Approved,
    /// Terraform applies the plan that was approved.
    Applying,
    /// The outcome is compared with what was wanted.
    Verifying,
    /// Done, and proven.
    Succeeded,
    /// Ended without what was wanted; can be tried again.
    Failed,
    /// Ended because somebody wanted it.
    Cancelled,
    /// Ended, and nobody can say what is left without looking.
    NeedsAttention,
}

/// What happens to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its turn has come.
    Begin,
    /// The plan is made.
    Planned,
    /// The plan changes nothing.
    NothingToDo,
    /// A person approves the plan.
    Approve,
    /// A person wants it to end. While Terraform runs it is only told; it ends by itself.
    Cancel,
    /// Terraform ended as it was told to.
    Stopped,
    /// Terraform has applied the plan.
    Applied,
    /// The outcome is what was wanted.
    Proven,
    /// Something went wrong, and what is left is known.
    Fail,
    /// Something went wrong, and what is left is not known.
    Lose,
    /// The portal was killed meanwhile.
    Interrupted,
}

/// An event that cannot happen in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {state} cannot take {event:?}")]
pub struct Impossible {
    state: State,
    event: Event,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::Planning,
        Self::AwaitingApproval,
        Self::Approved,
        Self::Applying,
        Self::Verifying,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::NeedsAttention,
    ];

    /// The state after an event.
    #[expect(
        clippy::match_same_arms,
        reason = "one line a transition, in the order of a run's life"
    )]
    pub fn after(self, event: Event) -> Result<Self, Impossible> {
        use Event as E;
        let next = match (self, event) {
            (Self::Queued, E::Begin) => Self::Planning,
            (Self::Planning, E::Planned) => Self::AwaitingApproval,
            (Self::Planning, E::NothingToDo) => Self::Verifying,
            (Self::AwaitingApproval, E::Approve) => Self::Approved,
            (Self::Approved, E::Begin) => Self::Applying,
            (Self::Applying, E::Applied) => Self::Verifying,
            (Self::Verifying, E::Proven) => Self::Succeeded,

            // Nothing has been touched yet, so nothing is lost.
            (Self::Queued | Self::AwaitingApproval | Self::Approved, E::Cancel) => Self::Cancelled,
            (Self::Planning | Self::Applying, E::Stopped) => Self::Cancelled,
            // Planning again is harmless; applying again needs a plan that somebody has seen.
            (Self::Queued | Self::Planning, E::Interrupted) => Self::Queued,
            (Self::AwaitingApproval, E::Interrupted) => Self::AwaitingApproval,
            (Self::Approved, E::Interrupted) => Self::Approved,
            // Terraform works on without the portal, and is taken over by the next one.
            (Self::Applying, E::Interrupted) => Self::Applying,
            (Self::Verifying, E::Interrupted) => Self::Verifying,

            (state, E::Fail) if !state.has_ended() => Self::Failed,
            (state, E::Lose) if !state.has_ended() => Self::NeedsAttention,
            (state, event) => return Err(Impossible { state, event }),
        };
        Ok(next)
    }

    /// Whether nothing happens to it any more.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::NeedsAttention)
    }

    /// Whether Terraform runs.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Planning | Self::Applying | Self::Verifying)
    }

    /// As it stands in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Planning => "planning",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Approved => "approved",
            Self::Applying => "applying",
            Self::Verifying => "verifying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::NeedsAttention => "needs_attention",
        }
    }

    /// As people read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Queued => "waiting for its turn",
            Self::Planning => "planning",
            Self::AwaitingApproval => "waiting for approval",
            Self::Approved => "approved, waiting for its turn",
            Self::Applying => "applying",
            Self::Verifying => "checking the outcome",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::NeedsAttention => "needs attention",
        }
    }
}

impl Kind {
    /// As it stands in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Retry => "retry",
            Self::Destroy => "destroy",
        }
    }

    /// As people read it, as a heading.
    pub fn words(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Change => "Change",
            Self::Retry => "Finish",
            Self::Destroy => "Destroy",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const EVENTS: [Event; 11] = [
        Event::Begin,
        Event::Planned,
        Event::NothingToDo,
        Event::Approve,
        Event::Cancel,
        Event::Stopped,
        Event::Applied,
        Event::Proven,
        Event::Fail,
        Event::Lose,
        Event::Interrupted,
    ];

    #[test]
    fn every_transition_stands_here() {
        let mut table = String::new();
        for state in State::ALL {
            for event in EVENTS {
                if let Ok(next) = state.after(event) {
                    let event = format!("{event:?}");
                    writeln!(table, "{state:<18} {event:<12} {next}").unwrap();
                }
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn nothing_leaves_an_end_and_every_other_state_has_a_way_out() {
        for state in State::ALL {
            let ways: Vec<_> =
                EVENTS.into_iter().filter_map(|event| state.after(event).ok()).collect();
            assert_eq!(ways.is_empty(), state.has_ended(), "{state}");
            assert!(
                state.has_ended() || state.after(Event::Interrupted).is_ok(),
                "{state} after a restart"
            );
        }
    }

    #[test]
    fn only_an_approved_plan_is_applied() {
        for state in State::ALL {
            for event in EVENTS {
                if state.after(event) == Ok(State::Applying) && state != State::Applying {
                    assert_eq!((state, event), (State::Approved, Event::Begin));
                }
                if state.after(event) == Ok(State::Approved) && state != State::Approved {
                    assert_eq!((state, event), (State::AwaitingApproval, Event::Approve));
                }
            }
        }
    }
}
