//! A resource without its types: untyped values in, untyped values out.

use std::future::Future;
use std::pin::Pin;

use crate::cx::Cx;
use crate::diag::{Diags, Result};
use crate::dynamic::Dyn;
use crate::engine::{Planned, Shape, with_defaults};
use crate::model::{Model, ResourceModel};
use crate::path::Path;
use crate::planned::Plan;
use crate::resource::Resource;

pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

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
    fn upgrade(&self, version: i64, state: serde_json::Value) -> Result<serde_json::Value>;
}

pub(crate) struct Erased<R> {
    resource: R,
    shape: Shape,
}

impl<R: Resource> Erased<R> {
    pub(crate) fn new(resource: R) -> Self {
        Self { resource, shape: Shape::of_resource::<R::Model>() }
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
            self.resource.validate(&model, &mut diags);
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
            self.resource.plan(cx, &mut plan).await?;
            Ok(plan.into_parts())
        })
    }

    fn create<'a>(&'a self, cx: &'a Cx<R::Client>, planned: Dyn) -> Boxed<'a, Dyn> {
        Box::pin(async move {
            let plan = Self::planned(&planned)?;
            Ok(Model::encode(&self.resource.create(cx, plan).await?))
        })
    }

    fn read<'a>(&'a self, cx: &'a Cx<R::Client>, state: Dyn) -> Boxed<'a, Option<Dyn>> {
        Box::pin(async move {
            let state = self.state(&state)?;
            Ok(self.resource.read(cx, state).await?.as_ref().map(Model::encode))
        })
    }

    fn update<'a>(&'a self, cx: &'a Cx<R::Client>, prior: Dyn, planned: Dyn) -> Boxed<'a, Dyn> {
        Box::pin(async move {
            let (prior, plan) = (self.state(&prior)?, Self::planned(&planned)?);
            Ok(Model::encode(&self.resource.update(cx, prior, plan).await?))
        })
    }

    fn delete<'a>(&'a self, cx: &'a Cx<R::Client>, state: Dyn) -> Boxed<'a, ()> {
        Box::pin(async move { self.resource.delete(cx, self.state(&state)?).await })
    }

    fn import<'a>(&'a self, cx: &'a Cx<R::Client>, id: &'a str) -> Boxed<'a, Option<Dyn>> {
        Box::pin(async move { Ok(self.resource.import(cx, id).await?.as_ref().map(Model::encode)) })
    }

    fn upgrade(&self, version: i64, state: serde_json::Value) -> Result<serde_json::Value> {
        self.resource.upgrade(version, state)
    }
}
