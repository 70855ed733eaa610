//! The one trait that matters: a resource.

use std::fmt;
use std::future::{Future, ready};

use crate::cx::Cx;
use crate::diag::{Diag, Diags, Result};
use crate::identity::Identity;
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

    /// Finds the object for an `import` block with an `identity`. `None`: there is none.
    ///
    /// Need not be written when the identity is one attribute whose value is what
    /// [`import`](Self::import) takes.
    fn import_identity(
        &self,
        cx: &Cx<Self::Client>,
        identity: &Identity,
    ) -> impl Future<Output = Result<Option<Self::Model>>> + Send {
        async move {
            match identity.only::<String>() {
                Some(id) => self.import(cx, &id).await,
                None => Err(Diag::error(format!(
                    "{} cannot be imported by its identity",
                    Self::Model::TYPE_NAME
                ))
                .detail("Give its id instead.")
                .into()),
            }
        }
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

    /// Turns a state of an older schema version into the next version. Called once for each
    /// version that lies between.
    fn upgrade(&self, version: i64, _state: serde_json::Value) -> Result<serde_json::Value> {
        Err(Diag::error(format!("State version {version} is not known"))
            .detail("This version of the provider cannot read a state that old.")
            .into())
    }

    /// Turns an identity of an older version into the next version.
    fn upgrade_identity(
        &self,
        version: i64,
        _identity: serde_json::Value,
    ) -> Result<serde_json::Value> {
        Err(Diag::error(format!("Identity version {version} is not known"))
            .detail("This version of the provider cannot read an identity that old.")
            .into())
    }

    /// Turns the state of another resource type, which a `moved` block names, into a state of
    /// this type's current version. `None`: there is no way from there.
    fn moved(&self, _source: &Moved<'_>) -> Result<Option<serde_json::Value>> {
        Ok(None)
    }
}

/// Where an object comes from that a `moved` block gives to another resource type.
#[derive(Clone, PartialEq)]
pub struct Moved<'a> {
    /// The provider it belonged to, for instance `registry.terraform.io/example/wall`.
    pub provider: &'a str,
    /// The resource type that it had.
    pub type_name: &'a str,
    /// The version of that type's schema.
    pub version: i64,
    /// Its state.
    pub state: serde_json::Value,
}

/// The state may hold secrets.
impl fmt::Debug for Moved<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Moved")
            .field("provider", &self.provider)
            .field("type_name", &self.type_name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
