//! A data source without its types.

use super::{Boxed, Erased};
use crate::cx::Cx;
use crate::data_source::DataSource;
use crate::diag::Diags;
use crate::dynamic::Dyn;
use crate::engine::Shape;
use crate::model::{Model, ResourceModel};
use crate::path::Path;

/// What the service calls.
pub(crate) trait AnyDataSource<C>: Send + Sync {
    fn type_name(&self) -> &'static str;
    fn shape(&self) -> &Shape;
    fn validate(&self, config: &Dyn) -> Diags;
    fn read<'a>(&'a self, cx: &'a Cx<C>, config: Dyn) -> Boxed<'a, Dyn>;
}

impl<T: DataSource> Erased<T> {
    pub(crate) fn data_source(inner: T) -> Self {
        Self { inner, shape: Shape::of_looked_up::<T::Model>() }
    }
}

impl<T: DataSource> AnyDataSource<T::Client> for Erased<T> {
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

    fn read<'a>(&'a self, cx: &'a Cx<T::Client>, config: Dyn) -> Boxed<'a, Dyn> {
        Box::pin(async move {
            let config = T::Model::decode(&config, &Path::root())?;
            Ok(Model::encode(&self.inner.read(cx, config).await?))
        })
    }
}
