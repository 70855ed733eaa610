//! The one place of the products that starts a child process.
//!
//! A child runs in a process group of its own, and the group does not outlive the call: not its end, not an error, not a future
//! that is dropped. Lines are handed over as they come; the last ones are kept for the error.
//!
//! If *this* process is killed outright nobody is left to kill the group. For that case [`Tool::stdin_lifeline`] gives the child a
//! standard input that only this process holds open: it ends when this process does, however that happens, and a child that
//! watches it can end itself. (The kernel's parent-death signal is no alternative: it follows the *thread* that started the child.)

mod lines;
mod running;
mod supervised;
mod tool;

pub use running::Exit;
pub use supervised::{Marked, Supervised, marked};
pub use tool::{Finished, Line, Output, Tool};

/// Why a child did not do its work. No variant holds arguments or environment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such program.
    #[error("`{program}` is not installed or not on the PATH")]
    NotFound {
        /// As it was asked for.
        program: String,
    },
    /// It could not be started or watched.
    #[error("`{program}` could not be started: {reason}")]
    Start {
        /// As it was asked for.
        program: String,
        /// The system's words.
        reason: String,
    },
    /// It ended with something else than 0.
    #[error("`{program}` {status}{}", last_lines(.tail))]
    Failed {
        /// As it was asked for.
        program: String,
        /// How it ended.
        status: Exit,
        /// The last lines of its output, secrets removed.
        tail: Vec<String>,
    },
    /// It was stopped because it took too long.
    #[error("`{program}` was stopped after {} s{}", .after.as_secs(), last_lines(.tail))]
    TimedOut {
        /// As it was asked for.
        program: String,
        /// How long it was allowed to take.
        after: std::time::Duration,
        /// The last lines of its output, secrets removed.
        tail: Vec<String>,
    },
    /// It was stopped because the caller asked for it.
    #[error("`{program}` was cancelled")]
    Cancelled {
        /// As it was asked for.
        program: String,
    },
}

/// The few lines that fit into a message; the error has more of them.
fn last_lines(tail: &[String]) -> String {
    let shown = &tail[tail.len().saturating_sub(5)..];
    if shown.is_empty() { String::new() } else { format!(":\n{}", shown.join("\n")) }
}

#[cfg(test)]
mod tests;
