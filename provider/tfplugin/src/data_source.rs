//! Data sources: objects that are only looked at.

use std::future::Future;

use crate::cx::Cx;
use crate::diag::{Diags, Result};
use crate::model::ResourceModel;

/// A kind of object that Terraform looks at and does not manage. Write the methods as
/// `async fn`.
pub trait DataSource: Send + Sync + 'static {
    /// The struct with the attributes: what to look for, and the computed ones that are found.
    type Model: ResourceModel;
    /// What the provider's configure made.
    type Client: Send + Sync + 'static;

    /// Looks at the object and returns it with its computed attributes set.
    ///
    /// Everything that the user wrote is known, and defaults are filled in. One that is not there
    /// is an error: whoever looks something up relies on it.
    fn read(
        &self,
        cx: &Cx<Self::Client>,
        config: Self::Model,
    ) -> impl Future<Output = Result<Self::Model>> + Send;

    /// Finds faults between attributes. Called when everything that the user wrote is known;
    /// defaults are filled in.
    fn validate(&self, _config: &Self::Model, _diags: &mut Diags) {}
}
