//! The calls as a host makes them; above all those that only newer Terraforms make.

use serde_json::json;
use tf::provider_server::Provider as Calls;
use tokio_stream::StreamExt as _;

use super::*;
use crate::attribute::AttributeType as _;
use crate::diag::Diags;
use crate::model::Model;
use crate::path::Path;
use crate::value::Value;
use crate::{Identity, Moved, Resource, Resources};

/// A house.
#[derive(crate::Model)]
#[tf(type_name = "town_house", version = 3, identity_version = 1)]
struct House {
    /// Where it stands.
    #[tf(required, replace, identity)]
    street: String,
    /// Its number.
    #[tf(optional, computed, keep, identity)]
    number: Value<i64>,
    /// How many people live there.
    #[tf(default = 2)]
    people: u8,
    /// Its doors.
    #[tf(optional)]
    doors: Option<Vec<Door>>,
    /// When it was built.
    #[tf(computed, keep)]
    built: Value<i64>,
}

/// A door.
#[derive(crate::Model)]
struct Door {
    /// What it is made of.
    #[tf(required)]
    material: String,
    /// What opens it.
    #[tf(required, write_only)]
    code: Option<String>,
}

struct Houses;

impl Resource for Houses {
    type Model = House;
    type Client = ();

    async fn create(&self, cx: &Cx<()>, mut plan: House) -> Result<House> {
        cx.set_private("step", &"made")?;
        // The code is there while the door is made.
        let codes = plan.doors.iter().flatten().map(|door| door.code.as_deref());
        assert!(codes.eq(plan.doors.iter().flatten().map(|_| Some("1234"))));
        if plan.street == "Nowhere" {
            cx.checkpoint(&plan);
            panic!("the ground gave way");
        }
        plan.number = plan.number.into_known().unwrap_or(7).into();
        plan.built = 1900.into();
        Ok(plan)
    }

    async fn read(&self, _cx: &Cx<()>, state: House) -> Result<Option<House>> {
        Ok((state.people > 0).then_some(state))
    }

    async fn delete(&self, _cx: &Cx<()>, _state: House) -> Result<()> {
        Ok(())
    }

    async fn import_identity(&self, _cx: &Cx<()>, identity: &Identity) -> Result<Option<House>> {
        Ok(Some(House {
            street: identity.get("street")?,
            number: identity.get::<i64>("number")?.into(),
            people: 2,
            doors: None,
            built: 1900.into(),
        }))
    }

    async fn plan(&self, cx: &Cx<()>, _plan: &mut crate::Plan<House>) -> Result<()> {
        let seen = cx.private::<String>("step")?.unwrap_or_default();
        cx.set_private("step", &format!("{seen}+planned"))
    }

    fn upgrade(&self, version: i64, mut state: serde_json::Value) -> Result<serde_json::Value> {
        let path = state["path"].as_str().unwrap_or_default().to_owned();
        state["path"] = format!("{path}{version}").into();
        state["street"] = state["path"].clone();
        Ok(state)
    }

    fn upgrade_identity(&self, _: i64, identity: serde_json::Value) -> Result<serde_json::Value> {
        Ok(json!({ "street": identity["road"], "number": identity["number"] }))
    }

    fn moved(&self, source: &Moved<'_>) -> Result<Option<serde_json::Value>> {
        Ok((source.provider == "old/town").then(|| json!({ "street": source.state["road"] })))
    }
}

/// A town.
#[derive(crate::Model)]
struct Config {
    /// Its name.
    #[tf(required)]
    name: String,
}

struct Town;

impl Provider for Town {
    type Config = Config;
    type Client = ();

    async fn configure(&self, _terraform: &str, _config: Config) -> Result<()> {
        Ok(())
    }

    fn resources(&self) -> Resources<()> {
        Resources::new().with(Houses)
    }
}

fn shape() -> Shape {
    Shape::of_resource::<House>()
}

#[expect(clippy::needless_pass_by_value, reason = "literals are what one passes")]
#[expect(clippy::unnecessary_wraps, reason = "every field of a call is optional on the wire")]
fn sent(value: serde_json::Value) -> Option<tf::DynamicValue> {
    Some(tf::DynamicValue { json: value.to_string().into_bytes(), msgpack: Vec::new() })
}

fn house(answer: Option<&tf::DynamicValue>) -> House {
    Model::decode(&decode(answer, &shape().object).unwrap(), &Path::root()).unwrap()
}

fn identity(answer: Option<&tf::ResourceIdentityData>) -> Dyn {
    decode(answer.unwrap().identity_data.as_ref(), &shape().identity).unwrap()
}

async fn configured() -> Service<Town> {
    let service = Service::new(Town);
    let request = tf::configure_provider::Request {
        config: sent(json!({ "name": "Elm" })),
        ..Default::default()
    };
    let answer = service.configure_provider(Request::new(request)).await.unwrap().into_inner();
    assert_eq!(answer.diagnostics, []);
    service
}

fn state() -> serde_json::Value {
    json!({ "street": "Elm", "number": 7, "people": 2, "built": 1900,
            "doors": [{ "material": "oak", "code": null }] })
}

fn config() -> serde_json::Value {
    json!({ "street": "Elm", "doors": [{ "material": "oak", "code": "1234" }] })
}

async fn applied(
    service: &Service<Town>,
    config: serde_json::Value,
) -> (tf::plan_resource_change::Response, tf::apply_resource_change::Response) {
    let request = tf::plan_resource_change::Request {
        type_name: "town_house".to_owned(),
        config: sent(config.clone()),
        ..Default::default()
    };
    let plan = service.plan_resource_change(Request::new(request)).await.unwrap().into_inner();
    assert_eq!(plan.diagnostics, []);
    let request = tf::apply_resource_change::Request {
        type_name: "town_house".to_owned(),
        config: sent(config),
        planned_state: plan.planned_state.clone(),
        planned_private: plan.planned_private.clone(),
        ..Default::default()
    };
    let done = service.apply_resource_change(Request::new(request)).await.unwrap().into_inner();
    (plan, done)
}

#[tokio::test]
async fn an_identity_goes_with_plan_apply_and_read() {
    let service = configured().await;
    let (plan, done) = applied(&service, config()).await;
    let planned = identity(plan.planned_identity.as_ref());
    assert_eq!(planned.attribute("street"), &Dyn::from("Elm"));
    assert!(planned.attribute("number").is_unknown());
    assert_eq!(done.diagnostics, []);
    let made = identity(done.new_identity.as_ref());
    assert_eq!(made, Dyn::object([("street", "Elm".into()), ("number", 7_i64.encode())]));

    let mut request = tf::read_resource::Request {
        type_name: "town_house".to_owned(),
        current_state: done.new_state,
        ..Default::default()
    };
    let read = service.read_resource(Request::new(request.clone())).await.unwrap().into_inner();
    assert_eq!(identity(read.new_identity.as_ref()), made);
    // A house that is gone has none.
    let mut gone = state();
    gone["people"] = 0.into();
    request.current_state = sent(gone);
    let read = service.read_resource(Request::new(request)).await.unwrap().into_inner();
    assert_eq!((read.diagnostics.len(), read.new_identity), (0, None));
}

#[tokio::test]
async fn identities_are_described_upgraded_and_imported() {
    let service = configured().await;
    let request = tf::get_resource_identity_schemas::Request {};
    let schemas = service.get_resource_identity_schemas(Request::new(request)).await.unwrap();
    let schema = &schemas.into_inner().identity_schemas["town_house"];
    let parts = schema.identity_attributes.iter();
    let parts: Vec<_> = parts.map(|part| (part.name.as_str(), part.required_for_import)).collect();
    assert_eq!((schema.version, parts), (1, vec![("street", true), ("number", false)]));

    let raw = json!({ "road": "Elm", "number": 9 }).to_string().into_bytes();
    let request = tf::upgrade_resource_identity::Request {
        type_name: "town_house".to_owned(),
        version: 0,
        raw_identity: Some(tf::RawState { json: raw, ..Default::default() }),
    };
    let upgraded = service.upgrade_resource_identity(Request::new(request)).await.unwrap();
    let upgraded = upgraded.into_inner().upgraded_identity;
    let expected = Dyn::object([("street", "Elm".into()), ("number", 9_i64.encode())]);
    assert_eq!(identity(upgraded.as_ref()), expected);

    let request = tf::import_resource_state::Request {
        type_name: "town_house".to_owned(),
        identity: upgraded,
        ..Default::default()
    };
    let imported = service.import_resource_state(Request::new(request)).await.unwrap().into_inner();
    assert_eq!(imported.diagnostics, []);
    let imported = &imported.imported_resources[0];
    assert_eq!(house(imported.state.as_ref()).number.into_known(), Some(9));
    assert_eq!(identity(imported.identity.as_ref()), expected);
}

#[tokio::test]
async fn write_only_values_are_there_for_the_work_and_nowhere_else() {
    let service = configured().await;
    let (plan, done) = applied(&service, config()).await;
    for answer in [&plan.planned_state, &done.new_state] {
        let value = decode(answer.as_ref(), &shape().object).unwrap();
        assert_eq!(value.attribute("doors").items()[0].attribute("code"), &Dyn::Null);
    }
    let request = |allowed| tf::validate_resource_config::Request {
        type_name: "town_house".to_owned(),
        config: sent(config()),
        client_capabilities: Some(tf::ClientCapabilities {
            write_only_attributes_allowed: allowed,
            ..Default::default()
        }),
    };
    for (allowed, faults) in [(true, 0), (false, 1)] {
        let answer = service.validate_resource_config(Request::new(request(allowed))).await;
        assert_eq!(answer.unwrap().into_inner().diagnostics.len(), faults);
    }
    // An older version of the provider may have stored what is write-only today.
    let raw = json!({ "doors": [{ "material": "oak", "code": "1234" }] }).to_string();
    let request = tf::upgrade_resource_state::Request {
        type_name: "town_house".to_owned(),
        version: 3,
        raw_state: Some(tf::RawState { json: raw.into_bytes(), ..Default::default() }),
    };
    let answer = service.upgrade_resource_state(Request::new(request)).await.unwrap().into_inner();
    let value = decode(answer.upgraded_state.as_ref(), &shape().object).unwrap();
    assert_eq!(value.attribute("doors").items()[0].attribute("code"), &Dyn::Null);
}

#[tokio::test]
async fn a_panic_in_create_keeps_the_object_and_its_private_data() {
    let service = configured().await;
    let (_, done) = applied(&service, json!({ "street": "Nowhere" })).await;
    assert_eq!(done.diagnostics[0].summary, "The provider has a bug and stopped");
    assert_eq!(house(done.new_state.as_ref()).street, "Nowhere");
    assert_eq!(done.private, br#"{"step":"made"}"#);
}

#[tokio::test]
async fn the_last_plan_goes_on_from_the_private_data_of_the_first() {
    let service = configured().await;
    let mut request = tf::plan_resource_change::Request {
        type_name: "town_house".to_owned(),
        config: sent(config()),
        prior_private: br#"{"step":"made"}"#.to_vec(),
        ..Default::default()
    };
    let plan = service.plan_resource_change(Request::new(request.clone())).await.unwrap();
    request.planned_private = plan.into_inner().planned_private;
    assert_eq!(request.planned_private, br#"{"step":"made+planned"}"#);
    let plan = service.plan_resource_change(Request::new(request)).await.unwrap().into_inner();
    assert_eq!(plan.planned_private, br#"{"step":"made+planned+planned"}"#);
}

#[tokio::test]
async fn states_are_upgraded_version_by_version_and_moved_between_types() {
    let service = configured().await;
    // More digits than any machine number has.
    let raw = r#"{ "path": "v", "built": 123456789012345678, "number": 1 }"#;
    let request = tf::upgrade_resource_state::Request {
        type_name: "town_house".to_owned(),
        version: 0,
        raw_state: Some(tf::RawState { json: raw.into(), ..Default::default() }),
    };
    let answer = service.upgrade_resource_state(Request::new(request)).await.unwrap().into_inner();
    let value = decode(answer.upgraded_state.as_ref(), &shape().object).unwrap();
    assert_eq!(value.attribute("street"), &Dyn::from("v012"));
    assert_eq!(value.attribute("built"), &123_456_789_012_345_678_i64.encode());

    for (provider, is_known) in [("old/town", true), ("old/village", false)] {
        let raw = json!({ "road": "Elm" }).to_string().into_bytes();
        let request = tf::move_resource_state::Request {
            source_provider_address: provider.to_owned(),
            source_type_name: "road_house".to_owned(),
            source_state: Some(tf::RawState { json: raw, ..Default::default() }),
            target_type_name: "town_house".to_owned(),
            source_private: b"\x00gob".to_vec(),
            ..Default::default()
        };
        let answer = service.move_resource_state(Request::new(request)).await.unwrap().into_inner();
        assert_eq!((answer.diagnostics.len(), answer.target_state.is_some()), {
            if is_known { (0, true) } else { (1, false) }
        });
        assert_eq!(answer.target_private, b"");
    }
}

#[tokio::test]
async fn a_configuration_is_written_from_a_state() {
    let service = configured().await;
    let request = tf::generate_resource_config::Request {
        type_name: "town_house".to_owned(),
        state: sent(state()),
    };
    let answer = service.generate_resource_config(Request::new(request)).await.unwrap();
    let answer = answer.into_inner();
    let config = decode(answer.config.as_ref(), &shape().object).unwrap();
    let door = Dyn::object([("material", "oak".into()), ("code", Dyn::Null)]);
    assert_eq!(
        config,
        Dyn::object([
            ("street", "Elm".into()),
            ("number", 7_i64.encode()),
            ("people", Dyn::Null),
            ("doors", Dyn::List(vec![door])),
            ("built", Dyn::Null),
        ])
    );
}

#[tokio::test]
async fn what_the_provider_does_not_have_is_said_and_breaks_nothing() {
    let service = configured().await;
    let name = || "town_bridge".to_owned();
    let list = tf::list_resource::Request { type_name: name(), ..Default::default() };
    let mut events = service.list_resource(Request::new(list)).await.unwrap().into_inner();
    let event = events.next().await.unwrap().unwrap();
    assert_eq!(event.diagnostic[0].summary, "There is no list resource town_bridge");
    assert!(events.next().await.is_none());

    let action = tf::invoke_action::Request { action_type: name(), ..Default::default() };
    let mut events = service.invoke_action(Request::new(action)).await.unwrap().into_inner();
    assert!(events.next().await.unwrap().unwrap().r#type.is_some());
    assert!(events.next().await.is_none());

    let action = tf::plan_action::Request { action_type: name(), ..Default::default() };
    let answer = service.plan_action(Request::new(action)).await.unwrap().into_inner();
    assert_eq!(answer.diagnostics[0].summary, "There is no action town_bridge");

    let call = tf::call_function::Request { name: name(), arguments: Vec::new() };
    let answer = service.call_function(Request::new(call)).await.unwrap().into_inner();
    assert!(answer.error.unwrap().text.starts_with("There is no function town_bridge"));

    let request = tf::open_ephemeral_resource::Request { type_name: name(), ..Default::default() };
    let answer = service.open_ephemeral_resource(Request::new(request)).await.unwrap().into_inner();
    assert_eq!(answer.diagnostics[0].summary, "There is no ephemeral resource town_bridge");
}

/// Without a client there is nothing to look at: later, if the host can wait, else an error.
#[tokio::test]
async fn an_unknown_provider_block_defers_what_needs_it() {
    let service = Service::new(Town);
    let unknown = Dyn::object([("name", crate::dynamic::UNKNOWN)]);
    let request = tf::configure_provider::Request {
        config: encode(&unknown, &Shape::of_provider::<Config>().object),
        ..Default::default()
    };
    let answer = service.configure_provider(Request::new(request)).await.unwrap().into_inner();
    assert_eq!(answer.diagnostics, []);
    for allowed in [true, false] {
        let request = tf::read_resource::Request {
            type_name: "town_house".to_owned(),
            current_state: sent(state()),
            client_capabilities: Some(tf::ClientCapabilities {
                deferral_allowed: allowed,
                ..Default::default()
            }),
            ..Default::default()
        };
        let answer = service.read_resource(Request::new(request)).await.unwrap().into_inner();
        assert_eq!((answer.deferred.is_some(), answer.diagnostics.len()), {
            if allowed { (true, 0) } else { (false, 1) }
        });
    }
    // A plan needs no client; an apply does.
    let (_, done) = applied(&service, config()).await;
    assert_eq!(done.diagnostics[0].summary, "The provider is not configured");
}

#[test]
fn faults_of_a_call_become_one_text() {
    let mut faults = Diags::from(Diag::error("One").detail("Why."));
    faults.push(Diag::warning("Not shown"));
    faults.push(Diag::error("Two"));
    let answer = function::failed(None, &faults);
    assert_eq!(answer.error.unwrap().text, "One: Why.\nTwo.");
}
