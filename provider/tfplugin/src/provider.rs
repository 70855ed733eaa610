//! The provider block and the lists of what the provider has.

use std::future::Future;
use std::sync::Arc;

use crate::data_source::DataSource;
use crate::diag::Result;
use crate::ephemeral::EphemeralResource;
use crate::erased::{AnyDataSource, AnyEphemeral, AnyResource, Erased};
use crate::function::{AnyFunction, Function};
use crate::model::Model;
use crate::resource::Resource;

/// A provider: its block, how a client is made from it, and what it has.
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

    /// The data sources.
    fn data_sources(&self) -> DataSources<Self::Client> {
        DataSources::new()
    }

    /// The ephemeral resources.
    fn ephemeral_resources(&self) -> EphemeralResources<Self::Client> {
        EphemeralResources::new()
    }

    /// The functions.
    fn functions(&self) -> Functions {
        Functions::new()
    }
}

/// The resources of a provider: `Resources::new().with(IpPools).with(IpLeases)`.
pub struct Resources<C>(pub(crate) Vec<Arc<dyn AnyResource<C>>>);

/// The data sources of a provider: `DataSources::new().with(IpPools)`.
pub struct DataSources<C>(pub(crate) Vec<Arc<dyn AnyDataSource<C>>>);

/// The ephemeral resources of a provider: `EphemeralResources::new().with(Tokens)`.
pub struct EphemeralResources<C>(pub(crate) Vec<Arc<dyn AnyEphemeral<C>>>);

/// The functions of a provider: `Functions::new().with::<Label>()`.
pub struct Functions(pub(crate) Vec<AnyFunction>);

/// Each list is empty at first and takes things of its own kind.
macro_rules! lists {
    ($($list:ident: $trait:ident, $make:ident, $what:literal;)*) => {$(
        impl<C: Send + Sync + 'static> $list<C> {
            /// None yet.
            #[expect(clippy::new_without_default, reason = "having nothing is no sensible default")]
            pub fn new() -> Self {
                Self(Vec::new())
            }

            #[doc = concat!("These and one more ", $what, ".")]
            #[must_use]
            pub fn with<T: $trait<Client = C>>(mut self, one: T) -> Self {
                self.0.push(Arc::new(Erased::$make(one)));
                self
            }
        }
    )*};
}

lists! {
    Resources: Resource, resource, "resource";
    DataSources: DataSource, data_source, "data source";
    EphemeralResources: EphemeralResource, ephemeral, "ephemeral resource";
}

impl Functions {
    /// None yet.
    #[expect(clippy::new_without_default, reason = "having nothing is no sensible default")]
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// These and one more.
    #[must_use]
    pub fn with<F: Function>(mut self) -> Self {
        self.0.push(AnyFunction::of::<F>());
        self
    }
}
