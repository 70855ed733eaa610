#![doc = include_str!("../README.md")]
#![expect(clippy::doc_markdown, reason = "the README is for people, who know the name OpenTofu")]

// The derive's output names this crate, also in its own tests.
#[cfg(test)]
extern crate self as kubesmith_tfplugin;

mod attribute;
mod cx;
mod data_source;
mod diag;
pub mod docs;
mod duration;
mod dynamic;
mod engine;
mod ephemeral;
mod erased;
mod function;
#[cfg(any(test, fuzzing))]
pub mod hostile;
mod identity;
mod json;
mod model;
mod msgpack;
mod number;
mod path;
mod planned;
mod private;
mod promises;
mod provider;
mod resource;
pub mod schema;
mod serve;
mod service;
#[cfg(feature = "testing")]
pub mod testing;
#[doc(hidden)]
pub mod text;
mod value;
mod wire;

pub use attribute::AttributeType;
pub use cx::Cx;
pub use data_source::DataSource;
pub use diag::{Diag, Diags, Result, Severity};
pub use dynamic::Dyn;
pub use ephemeral::EphemeralResource;
pub use function::{Arguments, Function};
pub use identity::Identity;
pub use kubesmith_tfplugin_derive::{Arguments, Model};
pub use model::{Model, ResourceModel};
pub use number::Number;
pub use path::{Path, Step};
pub use planned::Plan;
pub use promises::Promises;
pub use provider::{DataSources, EphemeralResources, Functions, Provider, Resources};
pub use resource::{Moved, Resource};
pub use serve::serve;
pub use text::Text;
pub use tokio_util::sync::CancellationToken;
pub use value::{Secret, Value};

#[cfg(test)]
mod messages;

/// What the derive's output calls.
#[doc(hidden)]
pub mod derive {
    pub use crate::function::Call;
    pub use crate::model::{Fields, validate_with};
}
