//! A harness that plays Terraform for the tests of a provider, in process or against its program.
//!
//! It asks the questions that Terraform asks, in the same order, and holds every answer to
//! Terraform's own rules ([`Rule`]); so a test says only what happens, and a fault in a provider is
//! found without a test that looks for it:
//!
//! ```
//! # use kubesmith_tfplugin::{Cx, Model, Provider, Resource, Resources, Result, Value};
//! # /// A note.
//! # #[derive(Model)]
//! # #[tf(type_name = "wall_note")]
//! # struct Note {
//! #     /// Identifier.
//! #     #[tf(computed, keep)]
//! #     id: Value<String>,
//! #     /// Text.
//! #     #[tf(required)]
//! #     text: String,
//! #     /// Colour.
//! #     #[tf(default = "yellow", replace)]
//! #     colour: String,
//! # }
//! # struct Notes;
//! # impl Resource for Notes {
//! #     type Model = Note;
//! #     type Client = ();
//! #     async fn create(&self, _: &Cx<()>, mut plan: Note) -> Result<Note> {
//! #         plan.id = "1".into();
//! #         Ok(plan)
//! #     }
//! #     async fn read(&self, _: &Cx<()>, state: Note) -> Result<Option<Note>> { Ok(Some(state)) }
//! #     async fn update(&self, _: &Cx<()>, _: Note, plan: Note) -> Result<Note> { Ok(plan) }
//! #     async fn delete(&self, _: &Cx<()>, _: Note) -> Result<()> { Ok(()) }
//! # }
//! # /// Wall.
//! # #[derive(Model)]
//! # struct Config {}
//! # struct Wall;
//! # impl Provider for Wall {
//! #     type Config = Config;
//! #     type Client = ();
//! #     async fn configure(&self, _: &str, _: Config) -> Result<()> { Ok(()) }
//! #     fn resources(&self) -> Resources<()> { Resources::new().with(Notes) }
//! # }
//! use kubesmith_tfplugin::testing::{Action, Failure, Harness};
//! use serde_json::json;
//!
//! # fn main() -> std::result::Result<(), Failure> {
//! let mut wall = Harness::new(Wall)?;
//! wall.configure(json!({}))?;
//! let mut note = wall.apply("wall_note", json!({ "text": "milk" }))?;
//! assert_eq!(note.state()["colour"], "yellow");
//! assert_eq!(wall.update(&mut note, json!({ "text": "eggs" }))?, Action::Update);
//! assert_eq!(wall.update(&mut note, json!({ "text": "eggs", "colour": "red" }))?, Action::Replace);
//!
//! // Whatever subset of it is not known yet when it is planned:
//! wall.unknowns("wall_note", json!({ "text": "milk", "colour": "red" })).over(&note).run()?;
//! # Ok(())
//! # }
//! ```

mod bend;
mod codec;
mod compatible;
mod connect;
mod core;
mod life;
mod plan_valid;
mod propose;
mod rules;
mod schema;
mod unknowns;
mod value;

use std::process::Command;

use serde_json::Value as Json;

pub use bend::{Answer, Call, serve_bent};
pub use life::{Action, Instance};
pub use rules::{Failure, Message, Rule, Violation};
pub use unknowns::{Figures, Unknowns};

use self::connect::Line;
use self::core::Core;
use self::value::{UNKNOWN, Value};
use crate::provider::Provider;

/// Terraform, for one provider.
///
/// It is synchronous, with a runtime of its own: for ordinary tests, not for asynchronous ones.
pub struct Harness {
    core: Core,
}

impl Harness {
    /// For a provider in this process. Its schema is checked at once.
    pub fn new(provider: impl Provider) -> Result<Self, Failure> {
        let runtime = runtime()?;
        let line = Line::within(provider);
        Ok(Self { core: Core::new(line, runtime)? })
    }

    /// For a provider's program, in whatever language it is written: it is started with `--debug`,
    /// and interrupted at the end.
    pub fn start(program: Command) -> Result<Self, Failure> {
        let runtime = runtime()?;
        let line = {
            let _context = runtime.enter();
            Line::to(program).map_err(Failure::Harness)?
        };
        Ok(Self { core: Core::new(line, runtime)? })
    }

    /// The resource types that the provider has.
    pub fn resource_types(&self) -> impl Iterator<Item = &str> {
        self.core.resource_types()
    }

    /// Validates and configures the provider. May be done again.
    #[expect(clippy::needless_pass_by_value, reason = "literals are what one passes")]
    pub fn configure(&mut self, config: Json) -> Result<(), Failure> {
        let schema = self.core.provider();
        let config =
            Value::of_json(&config, &schema.kind(), "provider").map_err(Failure::Harness)?;
        self.core.configure(&config)
    }

    /// Configures the provider with nothing known: what can be written comes from resources that
    /// do not exist yet.
    pub fn configure_unknown(&mut self) -> Result<(), Failure> {
        let attributes = self.core.provider().attributes.iter();
        let attributes = attributes.map(|attribute| (attribute.name.clone(), UNKNOWN));
        self.core.configure(&Value::Map(attributes.collect()))
    }

    /// The warnings that the provider has said since they were last taken.
    pub fn take_warnings(&mut self) -> Vec<Message> {
        self.core.take_warnings()
    }

    /// Plans this configuration with every subset of it unknown, or rather with many: see [`Unknowns`].
    pub fn unknowns(&self, type_name: &str, config: Json) -> Unknowns<'_> {
        Unknowns::new(&self.core, type_name, config)
    }

    fn config(&self, type_name: &str, config: &Json) -> Result<Value, Failure> {
        let kind = self.core.resource(type_name)?.kind();
        Value::of_json(config, &kind, type_name).map_err(Failure::Harness)
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map_err(|fault| Failure::Harness(fault.to_string()))
}
