//! Waiting: a condition, a deadline, and what was last seen. The only place that sleeps.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// So close to its end a cancellation is the end itself.
const NEARLY_OVER: Duration = Duration::from_secs(1);

/// How long something may take, and whether it is still wanted.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// When to give up.
    pub(crate) deadline: Instant,
    /// Set when Terraform asks to stop.
    pub(crate) cancel: CancellationToken,
}

/// What one look at the world showed.
#[derive(Debug)]
pub(crate) enum Look<T> {
    /// It is so.
    Ready(T),
    /// Not yet; the text says what was seen.
    NotYet(String),
}

/// How long to pause between two looks: from `first`, growing, up to `most`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacing {
    /// The pause after the first look.
    pub(crate) first: Duration,
    /// The longest pause.
    pub(crate) most: Duration,
}

/// Why a wait ended without what was waited for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WaitError {
    /// The deadline passed.
    #[error("gave up waiting for {what} after {}; last seen: {last}", Seconds(*waited))]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        waited: Duration,
        /// What the last look showed.
        last: String,
    },
    /// Terraform asked to stop.
    #[error("cancelled while waiting for {what}; last seen: {last}")]
    Cancelled {
        /// What was waited for.
        what: String,
        /// What the last look showed.
        last: String,
    },
}

impl Limits {
    /// The same, but giving up after `most` at the latest.
    pub(crate) fn within(&self, most: Duration) -> Self {
        Self { deadline: self.deadline.min(Instant::now() + most), cancel: self.cancel.clone() }
    }

    /// The time that is left.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

impl Pacing {
    /// For conditions that cost a server something.
    pub(crate) const CALM: Self =
        Self { first: Duration::from_millis(500), most: Duration::from_secs(3) };
    /// For conditions that cost nobody but a machine of our own.
    pub(crate) const SWIFT: Self =
        Self { first: Duration::from_millis(200), most: Duration::from_secs(1) };
}

/// Looks until the condition holds, the deadline passes, or Terraform asks to stop. A look that hangs
/// is given up with the deadline too.
pub(crate) async fn until<T, F, Fut>(
    what: &str,
    limits: &Limits,
    pacing: Pacing,
    mut look: F,
) -> Result<T, WaitError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Look<T>>,
{
    let started = Instant::now();
    let mut pause = pacing.first;
    let mut last = "nothing".to_owned();
    let timed_out = |last: String| WaitError::TimedOut {
        what: what.to_owned(),
        waited: started.elapsed(),
        last,
    };
    // An operation whose time is up is cancelled, too; then the time is the reason.
    let cancelled = |last: String| {
        if limits.left() < NEARLY_OVER {
            timed_out(last)
        } else {
            WaitError::Cancelled { what: what.to_owned(), last }
        }
    };
    loop {
        tokio::select! {
            biased;
            () = limits.cancel.cancelled() => return Err(cancelled(last)),
            () = tokio::time::sleep_until(limits.deadline) => return Err(timed_out(last)),
            seen = look() => match seen {
                Look::Ready(value) => return Ok(value),
                Look::NotYet(seen) => last = seen,
            },
        }
        tokio::select! {
            biased;
            () = limits.cancel.cancelled() => return Err(cancelled(last)),
            () = tokio::time::sleep_until(limits.deadline) => return Err(timed_out(last)),
            () = tokio::time::sleep(pause) => pause = (pause * 3 / 2).min(pacing.most),
        }
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds @ 0..=119 => write!(f, "{seconds} s"),
            seconds => write!(f, "{} min", seconds / 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Pacing =
        Pacing { first: Duration::from_millis(1), most: Duration::from_millis(5) };

    fn limits(time: Duration) -> Limits {
        Limits { deadline: Instant::now() + time, cancel: CancellationToken::new() }
    }

    #[tokio::test]
    async fn a_wait_that_ends_in_vain_says_what_was_last_seen() {
        let look = || async { Look::<()>::NotYet("connection refused".into()) };
        let limits = limits(Duration::from_millis(50));
        let error = until("SSH on demo-cp-1", &limits, SHORT, look).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "gave up waiting for SSH on demo-cp-1 after 0 s; last seen: connection refused"
        );
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_given_up_and_a_cancel_is_obeyed() {
        let hangs = std::future::pending::<Look<()>>;
        let error =
            until("an answer", &limits(Duration::from_millis(20)), SHORT, hangs).await.unwrap_err();
        assert!(matches!(error, WaitError::TimedOut { .. }));

        let limits = limits(Duration::from_mins(1));
        limits.cancel.cancel();
        let error = until("an answer", &limits, SHORT, hangs).await.unwrap_err();
        assert_eq!(error.to_string(), "cancelled while waiting for an answer; last seen: nothing");
    }
}
