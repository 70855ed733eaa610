//! An ephemeral resource without its types.

use super::{Boxed, Erased};
use crate::cx::Cx;
use crate::diag::Diags;
use crate::dynamic::Dyn;
use crate::engine::Shape;
use crate::ephemeral::EphemeralResource;
use crate::model::{Model, ResourceModel};
use crate::path::Path;

/// What the service calls.
pub(crate) trait AnyEphemeral<C>: Send + Sync {
    fn type_name(&self) -> &'static str;
    fn shape(&self) -> &Shape;
    fn validate(&self, config: &Dyn) -> Diags;
    fn open<'a>(&'a self, cx: &'a Cx<C>, config: Dyn) -> Boxed<'a, Dyn>;
    fn renew<'a>(&'a self, cx: &'a Cx<C>) -> Boxed<'a, ()>;
    fn close<'a>(&'a self, cx: &'a Cx<C>) -> Boxed<'a, ()>;
}

impl<T: EphemeralResource> Erased<T> {
    pub(crate) fn ephemeral(inner: T) -> Self {
        Self { inner, shape: Shape::of_looked_up::<T::Model>() }
    }
}

impl<T: EphemeralResource> AnyEphemeral<T::Client> for Erased<T> {
    fn type_name(&self) -> &'static str {
        T::Model::TYPE_NAME
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn validate(&self, config: &Dyn) -> Diags {
        let mut diags = Diags::none();
        // Faults of single attributes have been found before; here there are none.
        if let Ok(model) = T::Model::decode(config, &Path::root()) {
            self.inner.validate(&model, &mut diags);
        }
        diags
    }

    fn open<'a>(&'a self, cx: &'a Cx<T::Client>, config: Dyn) -> Boxed<'a, Dyn> {
        Box::pin(async move {
            let config = T::Model::decode(&config, &Path::root())?;
            Ok(Model::encode(&self.inner.open(cx, config).await?))
        })
    }

    fn renew<'a>(&'a self, cx: &'a Cx<T::Client>) -> Boxed<'a, ()> {
        Box::pin(self.inner.renew(cx))
    }

    fn close<'a>(&'a self, cx: &'a Cx<T::Client>) -> Boxed<'a, ()> {
        Box::pin(self.inner.close(cx))
    }
}
