//! How a cluster stands, in a word or two, as lists and headings say it. PURE.

use serde::Serialize;

use crate::runs::machine::{Kind, State};

/// Colour and shape of a word about a state; the names are those of the style sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// As it should be.
    Good,
    /// Something works on it.
    Busy,
    /// Somebody is waited for.
    Wait,
    /// Something went wrong.
    Bad,
    /// Nothing is there.
    Off,
}

/// The words, and how they look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// How they look.
    pub tone: Tone,
    /// "being made".
    pub words: &'static str,
    /// Whether it changes by itself, so that looking again is worth it.
    pub moves: bool,
}

impl Standing {
    /// After its last run; `stands` if something of it exists or may exist.
    pub fn of(last: Option<(Kind, State)>, stands: bool) -> Self {
        let Some((kind, state)) = last else { return still(Tone::Off, "not made yet") };
        match state {
            State::Queued | State::Planning => moving("being planned"),
            State::AwaitingApproval => still(Tone::Wait, "plan waits for approval"),
            State::Approved | State::Applying | State::Verifying => moving(match kind {
                Kind::Create => "being made",
                Kind::Change => "being changed",
                Kind::Retry => "being finished",
                Kind::Destroy => "being destroyed",
            }),
            State::NeedsAttention => still(Tone::Bad, "needs attention"),
            State::Failed => still(
                Tone::Bad,
                match kind {
                    Kind::Destroy => "destroy failed",
                    Kind::Change if stands => "change failed",
                    _ => "not finished",
                },
            ),
            State::Succeeded if kind == Kind::Destroy => still(Tone::Off, "destroyed"),
            State::Succeeded => still(Tone::Good, "ready"),
            State::Cancelled if kind == Kind::Destroy => still(Tone::Wait, "destroy cancelled"),
            State::Cancelled if stands && kind == Kind::Change => still(Tone::Good, "ready"),
            State::Cancelled if stands => still(Tone::Wait, "not finished"),
            State::Cancelled => still(Tone::Off, "not made"),
        }
    }
}

impl Tone {
    /// For a run.
    pub fn of_run(state: State) -> Self {
        match state {
            State::Queued | State::Approved | State::Cancelled => Self::Off,
            State::Planning | State::Applying | State::Verifying => Self::Busy,
            State::AwaitingApproval => Self::Wait,
            State::Succeeded => Self::Good,
            State::Failed | State::NeedsAttention => Self::Bad,
        }
    }
}

fn still(tone: Tone, words: &'static str) -> Standing {
    Standing { tone, words, moves: false }
}

fn moving(words: &'static str) -> Standing {
    Standing { tone: Tone::Busy, words, moves: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_said_only_of_what_was_proven_and_not_touched_since() {
        let kinds = [Kind::Create, Kind::Change, Kind::Retry, Kind::Destroy];
        let mut ready = Vec::new();
        for kind in kinds {
            for state in State::ALL {
                for stands in [true, false] {
                    if Standing::of(Some((kind, state)), stands).tone == Tone::Good {
                        ready.push((kind, state, stands));
                    }
                }
            }
        }
        assert_eq!(
            ready,
            [
                (Kind::Create, State::Succeeded, true),
                (Kind::Create, State::Succeeded, false),
                (Kind::Change, State::Succeeded, true),
                (Kind::Change, State::Succeeded, false),
                (Kind::Change, State::Cancelled, true),
                (Kind::Retry, State::Succeeded, true),
                (Kind::Retry, State::Succeeded, false),
            ]
        );
    }

    #[test]
    fn whatever_moves_is_watched() {
        for state in State::ALL {
            let standing = Standing::of(Some((Kind::Create, state)), true);
            assert_eq!(standing.moves, crate::runs::ask::is_moving(state), "{state}");
        }
    }
}
