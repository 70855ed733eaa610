//! The provider block and the list of resources.

use std::future::Future;
use std::sync::Arc;

use crate::diag::Result;
use crate::erased::{AnyResource, Erased};
use crate::model::Model;
use crate::resource::Resource;

/// A provider: its block, how a client is made from it, and its resources.
pub trait Provider: Send + Sync + 'static {
    /// The attributes of the provider block.
    type Config: Model;
    /// What resources work with.
    type Client: Send + Sync + 'static;

    /// Makes the client. Called in plan and apply when everything in the block is known; where
    /// something is not, plans go on without a client.
    ///
    /// Reads fallbacks from the environment here: attributes with one must be optional.
    fn configure(
        &self,
        terraform_version: &str,
        config: Self::Config,
    ) -> impl Future<Output = Result<Self::Client>> + Send;

    /// The resources.
    fn resources(&self) -> Resources<Self::Client>;
}

/// The resources of a provider: `Resources::new().with(IpPools).with(IpLeases)`.
pub struct Resources<C>(pub(crate) Vec<Arc<dyn AnyResource<C>>>);

impl<C: Send + Sync + 'static> Resources<C> {
    /// None yet.
    #[expect(clippy::new_without_default, reason = "an empty provider is no sensible default")]
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// These and one more.
    #[must_use]
    pub fn with<R: Resource<Client = C>>(mut self, resource: R) -> Self {
        self.0.push(Arc::new(Erased::new(resource)));
        self
    }
}
