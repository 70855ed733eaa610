//! What handlers share.

use std::ops::Deref;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::kube::Kube;
use crate::people::attempts::Attempts;
use crate::people::passwords::Passwords;
use crate::places::Places;
use crate::runs::{Runs, stream};
use crate::store::Store;
use crate::terraform::command::Terraform;
use crate::ui::Templates;

/// The long-lived parts; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// See [`App`].
pub struct Parts {
    /// As the operator wrote it.
    pub config: Config,
    /// People, grants, runs, audit.
    pub store: Store,
    /// Pages.
    pub templates: Templates,
    /// What clusters are asked.
    pub kube: Kube,
    /// Hashing, a few at a time.
    pub passwords: Passwords,
    /// Who failed to sign in lately.
    pub attempts: Attempts,
    /// Terraform as it was configured.
    pub terraform: Terraform,
    /// The runs that work.
    pub runs: Runs,
    /// The streams that watch them.
    pub streams: stream::Open,
    /// Room for requests.
    pub places: Places,
    /// The requests that are being served, whether or not their clients still wait.
    pub requests: TaskTracker,
    /// Cancelled first when the portal is to end: no run is started any more, and those that work are asked to stop.
    pub draining: CancellationToken,
    /// Cancelled when the portal is to end and no run works any more: streams close.
    pub stopping: CancellationToken,
}

impl App {
    /// Opens the store under the configured folder. Touches nothing that a portal which serves from it would miss.
    pub async fn open(config: Config) -> anyhow::Result<Self> {
        let store = Store::open(&config.database()).await?;
        Ok(Self(Arc::new(Parts {
            kube: Kube::new(config.ssh_folder()),
            templates: Templates::embedded()?,
            passwords: Passwords::new(),
            attempts: Attempts::default(),
            terraform: Terraform::of(&config)?,
            runs: Runs::default(),
            streams: stream::Open::default(),
            places: Places::new(config.parallel_requests),
            requests: TaskTracker::new(),
            draining: CancellationToken::new(),
            stopping: CancellationToken::new(),
            store,
            config,
        })))
    }
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}
