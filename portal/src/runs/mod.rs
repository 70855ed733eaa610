//! Runs of Terraform: queued in the database, one at a time for a cluster, a few at a time for all.
//!
//! [`machine`] says what can happen to a run (pure), [`queue`] picks whose turn it is, [`work`] plans and applies,
//! [`recover`] makes good what was cut off when the portal itself was killed. [`log`] is what people watch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kubesmith_spec::events;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::ids::RunId;

pub mod ask;
pub mod finish;
pub mod log;
pub mod machine;
pub mod progress;
pub mod queue;
pub mod recover;
pub mod redact;
pub mod stream;
pub mod supervise;
pub mod tail;
pub mod work;

/// Why a run did not succeed, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Failure {
    /// Stable, for programs.
    pub code: String,
    /// What happened.
    pub sentence: String,
    /// What to do now.
    pub next: String,
    /// What was found to be left, if somebody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<String>,
}

impl Failure {
    /// What happened, and what to do now.
    pub fn new(code: &str, sentence: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            sentence: sentence.into(),
            next: next.into(),
            inventory: None,
        }
    }
}

/// The proof that a cluster is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// VMIDs and addresses that the provider saw absent.
    #[serde(flatten)]
    pub absent: events::Receipt,
    /// What the provider's own search for leftovers of this cluster answered.
    pub search: String,
}

/// The runs that work in this process: how they are stopped, and how they are watched. Cheap to clone.
#[derive(Clone, Default)]
pub struct Runs(Arc<Inner>);

#[derive(Default)]
struct Inner {
    live: Mutex<HashMap<RunId, Live>>,
    watched: Mutex<HashMap<RunId, watch::Sender<()>>>,
    wake: Notify,
}

/// How a run that works is stopped.
#[derive(Clone, Default)]
pub struct Live {
    /// Asks Terraform for an orderly end.
    pub interrupt: CancellationToken,
    /// Ends it at once.
    pub force: CancellationToken,
}

impl Runs {
    /// There may be something to do.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    async fn woken(&self) {
        self.0.wake.notified().await;
    }

    fn begin(&self, run: &RunId) -> Live {
        let live = Live::default();
        lock(&self.0.live).insert(run.clone(), live.clone());
        live
    }

    fn end(&self, run: &RunId) {
        lock(&self.0.live).remove(run);
        self.tell(run);
        self.wake();
    }

    /// How a run is stopped; `None` if it does not work here now.
    pub fn live(&self, run: &RunId) -> Option<Live> {
        lock(&self.0.live).get(run).cloned()
    }

    fn all(&self) -> Vec<Live> {
        lock(&self.0.live).values().cloned().collect()
    }

    /// The log of a run has grown, or its state is another.
    pub fn tell(&self, run: &RunId) {
        let mut watched = lock(&self.0.watched);
        if watched.get(run).is_some_and(|sender| sender.send(()).is_err()) {
            // Nobody looks any more.
            watched.remove(run);
        }
    }

    /// Changes whenever the log of a run grows or its state changes.
    pub fn watch(&self, run: &RunId) -> watch::Receiver<()> {
        lock(&self.0.watched).entry(run.clone()).or_insert_with(|| watch::channel(()).0).subscribe()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
