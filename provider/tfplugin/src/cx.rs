//! What an operation is given beside its values: the client, cancellation, checkpoints.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::diag::{Diag, Diags, Result};
use crate::dynamic::Dyn;
use crate::model::Model;

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
}

impl Notes {
    pub(crate) fn take_checkpoint(&self) -> Option<Dyn> {
        self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn take_warnings(&self) -> Diags {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
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
    /// There is always one in create, read, update, delete and import.
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
        let state = state.encode();
        *self.notes.checkpoint.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    /// Shows a warning (or an error, which makes the operation fail at its end).
    pub fn warn(&self, diag: Diag) {
        self.notes.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(diag);
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
