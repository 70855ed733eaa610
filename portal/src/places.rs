//! How many requests are served at once. Whoever finds no place is told to come again: what waits takes memory, and in the end
//! its turn at the database when nobody wants the answer any more.
//!
//! A place belongs to the work and not to the connection. A client that hangs up leaves its work behind, which is done to its
//! end ([`crate::gate::pass`]); a limit around the router would give its place to the next one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// The log tells of the refused at most so often.
const TELL: Duration = Duration::from_mins(1);

/// When they are told to come again, in seconds.
const AGAIN: u64 = 2;

/// All of them.
pub struct Places {
    free: Arc<Semaphore>,
    refused: Mutex<Refused>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "gives itself back")] OwnedSemaphorePermit);

/// Those that the log does not tell of yet.
#[derive(Default)]
struct Refused {
    count: u64,
    told: Option<Instant>,
}

impl Places {
    /// So many.
    pub fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), refused: Mutex::default() }
    }

    /// A place for one request.
    pub fn enter(&self) -> Result<Place> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(Place(permit));
        }
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = refused.one_more(Instant::now()) {
            tracing::warn!(
                count,
                "requests were refused: as many as parallel_requests are being served"
            );
        }
        let detail = "The portal has as much to do as it can. Try again in a moment.";
        Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "full", detail).again_in(AGAIN))
    }
}

impl Refused {
    /// Counts one; says how many there were, if it is time to tell.
    fn one_more(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        if self.told.is_some_and(|told| now.duration_since(told) < TELL) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_of_the_first_and_then_of_all_since_once_a_minute() {
        let (mut refused, begun) = (Refused::default(), Instant::now());
        let told = [0, 1, 59, 60, 61, 200]
            .map(|second| refused.one_more(begun + Duration::from_secs(second)));
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
