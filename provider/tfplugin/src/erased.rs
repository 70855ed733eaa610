//! Resources, data sources and ephemeral resources without their types: untyped values in,
//! untyped values out.

mod data_source;
mod ephemeral;
mod resource;

use std::future::Future;
use std::pin::Pin;

use crate::diag::Result;
use crate::engine::Shape;

pub(crate) use data_source::AnyDataSource;
pub(crate) use ephemeral::AnyEphemeral;
pub(crate) use resource::AnyResource;

pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// What an author wrote, and the shape of its objects.
pub(crate) struct Erased<T> {
    inner: T,
    shape: Shape,
}
