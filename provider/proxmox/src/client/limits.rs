//! How much a client does at a time, and how often it has changed something.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests in flight per node. A node has three workers, and each runs one call at a time.
pub(super) const REQUESTS_PER_NODE: usize = 4;

/// Clones at a time per storage. More of them run into the storage's lock, whose waiters give up after ten seconds.
pub(super) const CLONES_PER_STORAGE: usize = 3;

/// Leave to begin another clone on a storage. Keep it until the clone's task has ended.
#[derive(Debug)]
pub struct Permit {
    pub(super) _slot: OwnedSemaphorePermit,
}

/// Named semaphores.
pub(super) struct Slots {
    each: usize,
    by_name: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Slots {
    pub(super) fn new(each: usize) -> Self {
        Self { each, by_name: Mutex::default() }
    }

    pub(super) async fn take(&self, name: &str) -> OwnedSemaphorePermit {
        let semaphore = {
            let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(
                by_name
                    .entry(name.to_owned())
                    .or_insert_with(|| Arc::new(Semaphore::new(self.each))),
            )
        };
        semaphore.acquire_owned().await.expect("the semaphore is never closed")
    }
}

/// A request that changes something, from its beginning to its end, even if nobody waits for the end.
pub(super) struct Change<'a>(&'a AtomicU64);

impl<'a> Change<'a> {
    pub(super) fn begin(changes: &'a AtomicU64) -> Self {
        changes.fetch_add(1, Ordering::AcqRel);
        Self(changes)
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
