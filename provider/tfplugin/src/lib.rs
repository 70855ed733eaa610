//! Terraform plugin protocol 6 for providers written in Rust.
//!
//! One struct is schema, documentation and codec; the framework plans. See [`Resource`].
//!
//! ```
//! use kubesmith_tfplugin::{Cx, Model, Provider, Resource, Resources, Result, Value};
//!
//! /// A note on the wall.
//! #[derive(Model)]
//! #[tf(type_name = "wall_note", timeouts(create = "2m"))]
//! struct Note {
//!     /// Identifier of the note.
//!     #[tf(computed, keep)]
//!     id: Value<String>,
//!     /// What it says.
//!     #[tf(required)]
//!     text: String,
//!     /// Its colour.
//!     #[tf(default = "yellow", replace)]
//!     colour: String,
//! }
//!
//! struct Notes;
//!
//! impl Resource for Notes {
//!     type Model = Note;
//!     type Client = Wall;
//!
//!     async fn create(&self, cx: &Cx<Wall>, mut plan: Note) -> Result<Note> {
//!         plan.id = cx.client()?.pin(&plan.text).into();
//!         Ok(plan)
//!     }
//!     async fn read(&self, _cx: &Cx<Wall>, state: Note) -> Result<Option<Note>> {
//!         Ok(Some(state))
//!     }
//!     async fn update(&self, _cx: &Cx<Wall>, _prior: Note, plan: Note) -> Result<Note> {
//!         Ok(plan)
//!     }
//!     async fn delete(&self, _cx: &Cx<Wall>, _state: Note) -> Result<()> {
//!         Ok(())
//!     }
//! }
//!
//! /// Notes on a wall.
//! #[derive(Model)]
//! struct WallConfig {
//!     /// Which wall.
//!     #[tf(optional)]
//!     wall: Option<String>,
//! }
//!
//! struct Wall;
//! # impl Wall { fn pin(&self, text: &str) -> String { text.to_owned() } }
//!
//! struct WallProvider;
//!
//! impl Provider for WallProvider {
//!     type Config = WallConfig;
//!     type Client = Wall;
//!
//!     async fn configure(&self, _terraform: &str, _config: WallConfig) -> Result<Wall> {
//!         Ok(Wall)
//!     }
//!     fn resources(&self) -> Resources<Wall> {
//!         Resources::new().with(Notes)
//!     }
//! }
//!
//! fn main() {
//!     # let _ = || {
//!     kubesmith_tfplugin::serve("registry.terraform.io/example/wall", WallProvider);
//!     # };
//! }
//! ```

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

/// What the derive's output calls.
#[doc(hidden)]
pub mod derive {
    pub use crate::function::Call;
    pub use crate::model::{Fields, validate_with};
}
