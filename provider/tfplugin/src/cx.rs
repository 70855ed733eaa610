//! What an operation is given beside its values: the client, cancellation, checkpoints.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::diag::{Diag, Diags, Result};
use crate::dynamic::Dyn;
use crate::model::Model;
use crate::private::Private;

/// The context of one operation.
pub struct Cx<C> {
    client: Option<Arc<C>>,
    unconfigured: String,
    token: CancellationToken,
    deadline: Option<Instant>,
    notes: Arc<Notes>,
}

/// What outlives an operation that panics or is cut off.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    checkpoint: Mutex<Option<Dyn>>,
    warnings: Mutex<Diags>,
    private: Mutex<Private>,
    renewal: Mutex<Option<SystemTime>>,
}

impl Notes {
    /// Of an operation on an object with this private data.
    pub(crate) fn with_private(private: &[u8]) -> Self {
        Self { private: Mutex::new(Private::decode(private)), ..Self::default() }
    }

    pub(crate) fn take_checkpoint(&self) -> Option<Dyn> {
        lock(&self.checkpoint).take()
    }

    pub(crate) fn take_warnings(&self) -> Diags {
        std::mem::take(&mut *lock(&self.warnings))
    }

    /// The private data, as Terraform keeps it.
    pub(crate) fn private(&self) -> Vec<u8> {
        lock(&self.private).encode()
    }

    /// When an ephemeral resource wants to be renewed.
    pub(crate) fn renewal(&self) -> Option<SystemTime> {
        *lock(&self.renewal)
    }
}

/// A panic while one of these was held left nothing half done in it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<C> Cx<C> {
    pub(crate) fn new(
        client: Option<Arc<C>>,
        unconfigured: String,
        token: CancellationToken,
        deadline: Option<Instant>,
        notes: Arc<Notes>,
    ) -> Self {
        Self { client, unconfigured, token, deadline, notes }
    }

    /// The client, or an error that says why the provider is not configured.
    ///
    /// There is always one but in plan hooks.
    pub fn client(&self) -> Result<&C> {
        self.configured_client().ok_or_else(|| {
            Diag::error("The provider is not configured").detail(self.unconfigured.as_str()).into()
        })
    }

    /// The client, if there is one: for plan hooks.
    pub fn configured_client(&self) -> Option<&C> {
        self.client.as_deref()
    }

    /// Keeps this as the state if the operation does not come to its end: after every step that
    /// made something. An error, a panic, a cancellation or a timeout then returns it.
    pub fn checkpoint(&self, state: &impl Model) {
        *lock(&self.notes.checkpoint) = Some(state.encode());
    }

    /// Shows a warning (or an error, which makes the operation fail at its end).
    pub fn warn(&self, diag: Diag) {
        lock(&self.notes.warnings).push(diag);
    }

    /// What was kept under this name beside the object: in an earlier operation or in the plan.
    pub fn private<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        lock(&self.notes.private).get(name)
    }

    /// Keeps something beside the object that users need not see: a revision, a request id.
    /// `()` and `None` forget it.
    ///
    /// It lies in the state in clear, so it is no place for secrets. What is kept before an
    /// error, a panic or a timeout stays, like a [`checkpoint`](Self::checkpoint).
    pub fn set_private(&self, name: &str, value: &impl Serialize) -> Result<()> {
        lock(&self.notes.private).set(name, value)
    }

    /// Asks for a call of `renew` so much later. Only ephemeral resources are renewed.
    pub fn renew_after(&self, time: Duration) {
        *lock(&self.notes.renewal) = SystemTime::now().checked_add(time);
    }

    /// Is cancelled when the user interrupts Terraform and when the operation's time is up.
    /// Return then, soon, with what was reached.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Waits for the cancellation.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Has the operation been cancelled?
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// When the operation's time is up.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}
