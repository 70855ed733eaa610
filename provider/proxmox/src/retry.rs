//! Deadlines, and repeating what is safe to repeat.
//!
//! The one place of this crate that sleeps, so that every pause ends at its deadline and on cancellation.

use std::future::Future;
use std::time::Duration;

use rand::RngExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::{Class, Error};

/// How long one refusal is worth waiting, the attempts themselves not counted. A lock that lives longer than this has an owner who must be told.
const PATIENCE: Duration = Duration::from_mins(2);
/// So close to its end a cancellation is the end itself.
const NEARLY_OVER: Duration = Duration::from_secs(1);

/// When to give up, and whom to listen to for giving up earlier.
#[derive(Debug, Clone)]
pub struct Deadline {
    at: Instant,
    cancel: CancellationToken,
}

impl Deadline {
    /// A deadline that far from now.
    pub fn after(time: Duration, cancel: &CancellationToken) -> Self {
        Self { at: Instant::now() + time, cancel: cancel.clone() }
    }

    /// This deadline, or that far from now if it is earlier.
    #[must_use]
    pub fn at_most(&self, time: Duration) -> Self {
        Self { at: self.at.min(Instant::now() + time), cancel: self.cancel.clone() }
    }

    /// The time that is left.
    pub fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Sleep, but not beyond the deadline: an error says that it has passed or that work was cancelled.
    pub async fn sleep(&self, time: Duration) -> Result<(), Error> {
        self.check()?;
        tokio::select! {
            () = self.cancel.cancelled() => {}
            () = tokio::time::sleep_until(self.at.min(Instant::now() + time)) => {}
        }
        self.check()
    }

    /// Whether work may go on.
    pub fn check(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() || Instant::now() >= self.at {
            return Err(self.stop());
        }
        Ok(())
    }

    /// Why it is to stop. Whoever sets the time cancels, too, when it is over; then the time is the reason.
    fn stop(&self) -> Error {
        if self.remaining() < NEARLY_OVER {
            Error::local(Class::TimedOut, "the time for it is over")
        } else {
            Error::local(Class::Cancelled, "cancelled")
        }
    }

    /// Do something that may be dropped halfway, within the deadline.
    pub(crate) async fn bound<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        self.check()?;
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.cancel.cancelled() => Err(self.stop()),
            () = tokio::time::sleep_until(self.at) => Err(self.stop()),
        }
    }
}

/// Repeat an attempt while its error says that the same request may be sent again ([`Error::is_transient`]).
///
/// Pauses are 1, 2, 4 and then 8 seconds with jitter. An attempt itself is never interrupted: dropping a request that was sent
/// would turn a known outcome into an unknown one. When time is up the last error is returned, not the fact that it is.
pub async fn retry<T, F>(deadline: &Deadline, mut attempt: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pause = Duration::from_secs(1);
    let mut waited = Duration::ZERO;
    deadline.check()?;
    loop {
        let error = match attempt().await {
            Err(error) if error.is_transient() => error,
            done => return done,
        };
        let wait = pause.mul_f64(rand::rng().random_range(0.75..1.25));
        tracing::debug!(%error, seconds = wait.as_secs_f64(), "will try again");
        match deadline.sleep(wait).await {
            Err(stop) if stop.is_cancelled() => return Err(stop),
            Ok(()) if waited < PATIENCE => pause = (pause * 2).min(Duration::from_secs(8)),
            _ => return Err(error),
        }
        waited += wait;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refusal;

    fn failing(class: &Class) -> Result<(), Error> {
        Err(Error::local(class.clone(), "no"))
    }

    #[tokio::test(start_paused = true)]
    async fn busy_is_repeated_and_unknown_is_not() {
        let deadline = Deadline::after(Duration::from_mins(10), &CancellationToken::new());
        let mut calls = 0;
        retry(&deadline, || {
            calls += 1;
            std::future::ready(if calls < 4 { failing(&Class::Busy) } else { Ok(()) })
        })
        .await
        .unwrap();
        assert_eq!(calls, 4);

        for class in
            [Class::UnknownOutcome, Class::Refused(Refusal::AlreadyExists), Class::TimedOut]
        {
            let mut calls = 0;
            let error = retry(&deadline, || {
                calls += 1;
                std::future::ready(failing(&class))
            })
            .await
            .unwrap_err();
            assert_eq!((calls, error.class()), (1, &class));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancellation_at_the_end_of_the_time_is_its_end() {
        for (left, timed_out) in [(10, false), (0, true)] {
            let cancel = CancellationToken::new();
            let deadline = Deadline::after(Duration::from_millis(left * 1000 + 500), &cancel);
            deadline.check().unwrap();
            cancel.cancel();
            let stopped = [
                deadline.check().unwrap_err(),
                deadline.sleep(Duration::from_secs(1)).await.unwrap_err(),
                deadline.bound(std::future::pending::<()>()).await.unwrap_err(),
            ];
            for error in stopped {
                assert_eq!((error.is_timed_out(), error.is_cancelled()), (timed_out, !timed_out));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_last_error_or_with_the_cancellation() {
        let cancel = CancellationToken::new();
        let deadline = Deadline::after(Duration::from_secs(5), &cancel);
        let error = retry(&deadline, || std::future::ready(failing(&Class::NotDelivered)))
            .await
            .unwrap_err();
        assert_eq!(error.class(), &Class::NotDelivered);

        let deadline = Deadline::after(Duration::from_mins(1), &cancel);
        let error = retry(&deadline, || {
            cancel.cancel();
            std::future::ready(failing(&Class::Busy))
        })
        .await
        .unwrap_err();
        assert!(error.is_cancelled());
    }
}
