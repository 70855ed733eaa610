//! A provider that breaks one of Terraform's rules, as the configuration asks it to.
//!
//! What this crate serves cannot break them, so the answers of an honest provider are bent on their
//! way out. The tests show that the harness and the real Terraform notice the same.

use std::process::ExitCode;

use kubesmith_tfplugin::schema::Type;
use kubesmith_tfplugin::testing::{Answer, Call, serve_bent};
use kubesmith_tfplugin::{
    Cx, Dyn, Model, Number, Path, Promises, Provider, Resource, Resources, Result, Value,
};

fn main() -> ExitCode {
    serve_bent("registry.terraform.io/example/crooked", Crooked, bend)
}

/// Commits the crime that the object asks for.
fn bend(answer: &mut Answer) {
    let crime = match answer.value.attribute("crime") {
        Dyn::String(crime) => crime.clone(),
        _ => String::new(),
    };
    let value = &mut answer.value;
    match (crime.as_str(), answer.call) {
        ("plans something else", Call::Plan) | ("applies something else", Call::Apply) => {
            set(value, "name", "other".into());
        }
        ("invents a note", Call::Plan) => set(value, "note", "made up".into()),
        ("plans fewer parts", Call::Plan) => set(value, "parts", Dyn::List(Vec::new())),
        ("plans nothing", Call::Plan) | ("loses the object", Call::Apply) => *value = Dyn::Null,
        ("replaces for nothing", Call::Plan) => answer.replace.push(Path::from("parts[7].what")),
        // Depends on whether something is known, and not only on what it is.
        ("changes its mind", Call::Plan) => {
            let known = !value.attribute("note").is_unknown();
            set(value, "mood", Dyn::Number(Number::from(if known { 6_i64 } else { 5 })));
        }
        ("leaves the id open", Call::Apply) => set(value, "id", Dyn::Unknown(Promises::NONE)),
        ("forgets the id", Call::Apply) => set(value, "id", Dyn::Null),
        ("reads another shape", Call::Read) => {
            if let Type::Object(attributes) = &mut answer.kind {
                attributes.remove("note");
            }
        }
        ("reads something unknown", Call::Read) => {
            set(value, "note", Dyn::Unknown(Promises::NONE));
        }
        _ => {}
    }
}

fn set(value: &mut Dyn, name: &str, new: Dyn) {
    if let Dyn::Map(attributes) = value {
        attributes.insert(name.to_owned(), new);
    }
}

struct Crooked;

/// Nothing to configure.
#[derive(Model)]
struct Config {}

/// An object whose life is a crime.
#[derive(Model)]
#[tf(type_name = "crooked_thing")]
struct Thing {
    /// Identifier of the thing.
    #[tf(computed, keep, not_null)]
    id: Value<String>,
    /// Its name.
    #[tf(required)]
    name: String,
    /// What its provider does.
    #[tf(required)]
    crime: String,
    /// How big it is.
    #[tf(optional, computed)]
    size: Value<i64>,
    /// How it feels.
    #[tf(computed)]
    mood: Value<i64>,
    /// A note.
    #[tf(optional)]
    note: Option<String>,
    /// What it is made of.
    #[tf(optional)]
    parts: Option<Vec<Part>>,
}

/// A part.
#[derive(Model)]
struct Part {
    /// What it is.
    #[tf(required)]
    what: String,
}

struct Things;

impl Provider for Crooked {
    type Config = Config;
    type Client = ();

    async fn configure(&self, _terraform_version: &str, _config: Config) -> Result<()> {
        Ok(())
    }

    fn resources(&self) -> Resources<()> {
        Resources::new().with(Things)
    }
}

impl Resource for Things {
    type Model = Thing;
    type Client = ();

    async fn create(&self, _cx: &Cx<()>, mut plan: Thing) -> Result<Thing> {
        plan.id = plan.name.as_str().into();
        plan.settle();
        Ok(plan)
    }

    async fn read(&self, _cx: &Cx<()>, state: Thing) -> Result<Option<Thing>> {
        Ok(Some(state))
    }

    async fn update(&self, _cx: &Cx<()>, _prior: Thing, mut plan: Thing) -> Result<Thing> {
        plan.settle();
        Ok(plan)
    }

    async fn delete(&self, _cx: &Cx<()>, _state: Thing) -> Result<()> {
        Ok(())
    }
}

impl Thing {
    fn settle(&mut self) {
        for open in [&mut self.size, &mut self.mood] {
            if open.is_unknown() {
                *open = Value::Known(1);
            }
        }
    }
}
