//! Ephemeral resources: values that never enter plan or state.

use std::future::{Future, ready};

use crate::cx::Cx;
use crate::diag::{Diags, Result};
use crate::model::ResourceModel;

/// A kind of value that exists only while Terraform runs: a short-lived credential, a tunnel.
/// Write the methods as `async fn`.
///
/// Terraform opens it in plan and in apply, whenever something needs it, and closes it at the
/// end.
pub trait EphemeralResource: Send + Sync + 'static {
    /// The struct with the attributes: what to open, and the computed ones that are obtained.
    type Model: ResourceModel;
    /// What the provider's configure made.
    type Client: Send + Sync + 'static;

    /// Obtains the value and returns it with its computed attributes set.
    ///
    /// What `renew` and `close` need to know goes through [`Cx::set_private`]; here it is not
    /// stored anywhere, so it may be secret. [`Cx::renew_after`] asks for a renewal.
    fn open(
        &self,
        cx: &Cx<Self::Client>,
        config: Self::Model,
    ) -> impl Future<Output = Result<Self::Model>> + Send;

    /// Prolongs it, and says with [`Cx::renew_after`] when to do so again. The attributes stay as
    /// they are.
    fn renew(&self, _cx: &Cx<Self::Client>) -> impl Future<Output = Result<()>> + Send {
        ready(Ok(()))
    }

    /// Gives it back. Up to Terraform 1.11, this sees the private values of `open` and not those
    /// of the last `renew`.
    fn close(&self, _cx: &Cx<Self::Client>) -> impl Future<Output = Result<()>> + Send {
        ready(Ok(()))
    }

    /// Finds faults between attributes. Called when everything that the user wrote is known;
    /// defaults are filled in.
    fn validate(&self, _config: &Self::Model, _diags: &mut Diags) {}
}
