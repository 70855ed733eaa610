//! The one trait that matters: a resource.

use std::future::{Future, ready};

use crate::cx::Cx;
use crate::diag::{Diag, Diags, Result};
use crate::model::ResourceModel;
use crate::planned::Plan;

/// A kind of managed object. Write the methods as `async fn`.
///
/// The framework plans (defaults, unknowns, replacement), so most resources have only create,
/// read, update and delete.
pub trait Resource: Send + Sync + 'static {
    /// The struct with the attributes.
    type Model: ResourceModel;
    /// What the provider's configure made.
    type Client: Send + Sync + 'static;

    /// Makes the object and returns it with its computed attributes set.
    ///
    /// An error says that nothing was made, unless [`Cx::checkpoint`] was called: then that
    /// state is kept and Terraform marks the object as tainted.
    fn create(
        &self,
        cx: &Cx<Self::Client>,
        plan: Self::Model,
    ) -> impl Future<Output = Result<Self::Model>> + Send;

    /// Looks at the object, without side effects. `None`: it is gone.
    fn read(
        &self,
        cx: &Cx<Self::Client>,
        state: Self::Model,
    ) -> impl Future<Output = Result<Option<Self::Model>>> + Send;

    /// Changes the object. After an error the prior state stays, or the last checkpoint.
    ///
    /// Need not be written when every attribute is `replace`.
    fn update(
        &self,
        _cx: &Cx<Self::Client>,
        _prior: Self::Model,
        _plan: Self::Model,
    ) -> impl Future<Output = Result<Self::Model>> + Send {
        let name = Self::Model::TYPE_NAME;
        ready(Err(Diag::error(format!("{name} cannot be changed in place"))
            .detail(
                "This is a fault of the provider: the change should have planned a replacement.",
            )
            .into()))
    }

    /// Removes the object. One that is already gone is a success.
    fn delete(
        &self,
        cx: &Cx<Self::Client>,
        state: Self::Model,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Finds the object for `terraform import ADDRESS ID`. `None`: there is none.
    ///
    /// Terraform calls [`read`](Self::read) with the answer.
    fn import(
        &self,
        _cx: &Cx<Self::Client>,
        _id: &str,
    ) -> impl Future<Output = Result<Option<Self::Model>>> + Send {
        let name = Self::Model::TYPE_NAME;
        ready(Err(Diag::error(format!("{name} cannot be imported")).into()))
    }

    /// Adds to the plan what attributes alone cannot say: changes across attributes, warnings
    /// before a destroy, checks against the real world.
    ///
    /// Must be a pure function of the configuration and the prior state as far as *values* go:
    /// Terraform plans again during apply and compares. What a client says may only become
    /// diagnostics.
    fn plan(
        &self,
        _cx: &Cx<Self::Client>,
        _plan: &mut Plan<Self::Model>,
    ) -> impl Future<Output = Result<()>> + Send {
        ready(Ok(()))
    }

    /// Finds faults between attributes. Called when everything that the user wrote is known;
    /// defaults are filled in.
    fn validate(&self, _config: &Self::Model, _diags: &mut Diags) {}

    /// Turns a state of an older schema version into the next version.
    fn upgrade(&self, version: i64, _state: serde_json::Value) -> Result<serde_json::Value> {
        Err(Diag::error(format!("State version {version} is not known"))
            .detail("This version of the provider cannot read a state that old.")
            .into())
    }
}
