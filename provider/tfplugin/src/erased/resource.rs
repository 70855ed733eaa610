//! A resource without its types.

use serde_json::Value;

use super::{Boxed, Erased};
use crate::cx::Cx;
use crate::diag::{Diags, Result};
use crate::dynamic::Dyn;
use crate::engine::{Planned, Shape, with_defaults};
use crate::identity::Identity;
use crate::model::{Model, ResourceModel};
use crate::path::Path;
use crate::planned::Plan;
use crate::resource::{Moved, Resource};

/// What the service calls.
pub(crate) trait AnyResource<C>: Send + Sync {
    fn type_name(&self) -> &'static str;
    fn shape(&self) -> &Shape;
    fn validate(&self, config: &Dyn) -> Diags;
    fn plan<'a>(
        &'a self,
        cx: &'a Cx<C>,
        config: Dyn,
        prior: &Dyn,
        planned: Planned,
    ) -> Boxed<'a, (Planned, Diags)>;
    fn create<'a>(&'a self, cx: &'a Cx<C>, planned: Dyn) -> Boxed<'a, Dyn>;
    fn read<'a>(&'a self, cx: &'a Cx<C>, state: Dyn) -> Boxed<'a, Option<Dyn>>;
    fn update<'a>(&'a self, cx: &'a Cx<C>, prior: Dyn, planned: Dyn) -> Boxed<'a, Dyn>;
    fn delete<'a>(&'a self, cx: &'a Cx<C>, state: Dyn) -> Boxed<'a, ()>;
    fn import<'a>(&'a self, cx: &'a Cx<C>, id: &'a str) -> Boxed<'a, Option<Dyn>>;
    fn import_identity<'a>(
        &'a self,
        cx: &'a Cx<C>,
        identity: &'a Identity,
    ) -> Boxed<'a, Option<Dyn>>;
    fn upgrade(&self, version: i64, state: Value) -> Result<Value>;
    fn upgrade_identity(&self, version: i64, identity: Value) -> Result<Value>;
    fn moved(&self, source: &Moved<'_>) -> Result<Option<Value>>;
}

impl<R: Resource> Erased<R> {
    pub(crate) fn resource(inner: R) -> Self {
        Self { inner, shape: Shape::of_resource::<R::Model>() }
    }

    fn planned(planned: &Dyn) -> Result<R::Model> {
        <R::Model as Model>::decode(planned, &Path::root())
    }

    fn state(&self, state: &Dyn) -> Result<R::Model> {
        Self::planned(&with_defaults(&self.shape.schema, state))
    }
}

impl<R: Resource> AnyResource<R::Client> for Erased<R> {
    fn type_name(&self) -> &'static str {
        R::Model::TYPE_NAME
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn validate(&self, config: &Dyn) -> Diags {
        let mut diags = Diags::none();
        // Faults of single attributes have been found before; here there are none.
        if let Ok(model) = Self::planned(config) {
            self.inner.validate(&model, &mut diags);
        }
        diags
    }

    fn plan<'a>(
        &'a self,
        cx: &'a Cx<R::Client>,
        config: Dyn,
        prior: &Dyn,
        planned: Planned,
    ) -> Boxed<'a, (Planned, Diags)> {
        let prior = with_defaults(&self.shape.schema, prior);
        Box::pin(async move {
            let mut plan = Plan::new(config, prior, planned);
            self.inner.plan(cx, &mut plan).await?;
            Ok(plan.into_parts())
        })
    }

    fn create<'a>(&'a self, cx: &'a Cx<R::Client>, planned: Dyn) -> Boxed<'a, Dyn> {
        Box::pin(async move {
            let plan = Self::planned(&planned)?;
            Ok(Model::encode(&self.inner.create(cx, plan).await?))
        })
    }

    fn read<'a>(&'a self, cx: &'a Cx<R::Client>, state: Dyn) -> Boxed<'a, Option<Dyn>> {
        Box::pin(async move {
            let state = self.state(&state)?;
            Ok(self.inner.read(cx, state).await?.as_ref().map(Model::encode))
        })
    }

    fn update<'a>(&'a self, cx: &'a Cx<R::Client>, prior: Dyn, planned: Dyn) -> Boxed<'a, Dyn> {
        Box::pin(async move {
            let (prior, plan) = (self.state(&prior)?, Self::planned(&planned)?);
            Ok(Model::encode(&self.inner.update(cx, prior, plan).await?))
        })
    }

    fn delete<'a>(&'a self, cx: &'a Cx<R::Client>, state: Dyn) -> Boxed<'a, ()> {
        Box::pin(async move { self.inner.delete(cx, self.state(&state)?).await })
    }

    fn import<'a>(&'a self, cx: &'a Cx<R::Client>, id: &'a str) -> Boxed<'a, Option<Dyn>> {
        Box::pin(async move { Ok(self.inner.import(cx, id).await?.as_ref().map(Model::encode)) })
    }

    fn import_identity<'a>(
        &'a self,
        cx: &'a Cx<R::Client>,
        identity: &'a Identity,
    ) -> Boxed<'a, Option<Dyn>> {
        Box::pin(async move {
            let found = self.inner.import_identity(cx, identity).await?;
            Ok(found.as_ref().map(Model::encode))
        })
    }

    fn upgrade(&self, version: i64, state: Value) -> Result<Value> {
        self.inner.upgrade(version, state)
    }

    fn upgrade_identity(&self, version: i64, identity: Value) -> Result<Value> {
        self.inner.upgrade_identity(version, identity)
    }

    fn moved(&self, source: &Moved<'_>) -> Result<Option<Value>> {
        self.inner.moved(source)
    }
}
