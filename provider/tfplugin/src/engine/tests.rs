mod sets;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::diag::Diags;
use crate::model::Model;
use crate::number::Number;
use crate::path::Path;
use crate::promises::Promises;
use crate::value::{Secret, Value};

/// Everything that an attribute can be.
#[derive(crate::Model)]
#[tf(type_name = "test_thing", timeouts(create = "1m"))]
struct Thing {
    /// Id.
    #[tf(computed, keep, not_null)]
    id: Value<String>,
    /// Name.
    #[tf(required, replace)]
    name: String,
    /// Address.
    #[tf(optional)]
    address: Option<IpAddr>,
    /// Size.
    #[tf(default = 3)]
    size: u16,
    /// Floor.
    #[tf(optional, computed, replace)]
    floor: Value<i64>,
    /// State.
    #[tf(computed)]
    state: Value<String>,
    /// Words.
    #[tf(optional)]
    words: Option<BTreeSet<String>>,
    /// Parts.
    #[tf(optional)]
    parts: Option<Vec<Part>>,
    /// Parts by name.
    #[tf(optional)]
    named: Option<BTreeMap<String, Part>>,
    /// Stickers.
    #[tf(optional)]
    stickers: Option<BTreeSet<Sticker>>,
    /// Lock.
    #[tf(optional)]
    lock: Option<Lock>,
}

/// Sticker.
#[derive(PartialEq, Eq, PartialOrd, Ord, crate::Model)]
struct Sticker {
    /// Text.
    #[tf(required)]
    text: String,
    /// Colour.
    #[tf(default = "white")]
    colour: String,
    /// Number.
    #[tf(computed, keep, not_null)]
    number: Value<i64>,
}

/// Part.
#[derive(crate::Model)]
struct Part {
    /// What.
    #[tf(required)]
    what: String,
    /// How many.
    #[tf(default = 1)]
    count: u16,
    /// Serial.
    #[tf(computed, keep)]
    serial: Value<String>,
}

/// Lock.
#[derive(crate::Model)]
struct Lock {
    /// Code.
    #[tf(required)]
    code: Secret<String>,
    /// Kind.
    #[tf(default = "key", replace)]
    kind: String,
}

fn shape() -> Shape {
    Shape::of_resource::<Thing>()
}

/// An object of the type, from JSON; "?" stands for unknown.
#[expect(clippy::needless_pass_by_value, reason = "literals are what one passes")]
fn object(json: serde_json::Value) -> Dyn {
    fn unknowns(value: Dyn) -> Dyn {
        match value {
            Dyn::String(text) if text == "?" => Dyn::Unknown(Promises::NONE),
            Dyn::List(items) => Dyn::List(items.into_iter().map(unknowns).collect()),
            Dyn::Map(items) => {
                Dyn::Map(items.into_iter().map(|(key, value)| (key, unknowns(value))).collect())
            }
            other => other,
        }
    }
    unknowns(crate::json::decode(json.to_string().as_bytes(), &shape().object).unwrap())
}

fn paths(paths: &[Path]) -> Vec<String> {
    paths.iter().map(ToString::to_string).collect()
}

fn prior() -> Dyn {
    object(serde_json::json!({
        "id": "i", "name": "a", "address": "::1", "size": 3, "floor": 2, "state": "s",
        "words": ["x", "y"], "lock": {"code": "1", "kind": "key"},
        "parts": [{"what": "p", "count": 1, "serial": "p1"}],
        "named": {"n": {"what": "q", "count": 2, "serial": "q1"}},
    }))
}

fn config(change: impl Fn(&mut serde_json::Value)) -> Dyn {
    let mut json = serde_json::json!({
        "name": "a", "address": "::1", "words": ["x", "y"], "lock": {"code": "1"},
        "parts": [{"what": "p"}], "named": {"n": {"what": "q", "count": 2}},
    });
    change(&mut json);
    object(json)
}

#[test]
fn nothing_changes_when_nothing_changed() {
    let same_spelled_otherwise = config(|json| {
        json["address"] = "0:0::0001".into();
        json["words"] = serde_json::json!(["y", "x"]);
    });
    for config in [config(|_| {}), same_spelled_otherwise] {
        let planned = plan(&shape().schema, &config, &prior());
        assert_eq!(planned.value, prior());
        assert!(planned.replace.is_empty());
    }
}

#[test]
fn a_change_makes_unknown_what_may_change_with_it() {
    let config = config(|json| {
        json["size"] = 4.into();
        json["parts"] = serde_json::json!([{"what": "p"}, {"what": "new"}]);
    });
    let planned = plan(&shape().schema, &config, &prior());
    let value = &planned.value;
    assert_eq!(value.attribute("id"), &Dyn::from("i"));
    assert!(value.attribute("state").is_unknown() && value.attribute("floor").is_unknown());
    assert_eq!(value.attribute("parts").items()[0].attribute("serial"), &Dyn::from("p1"));
    assert!(value.attribute("parts").items()[1].attribute("serial").is_unknown());
    assert_eq!(value.attribute("lock").attribute("kind"), &Dyn::from("key"));
    // Nobody wrote a floor: that it may change replaces nothing.
    assert!(planned.replace.is_empty());
}

#[test]
fn a_new_object_promises_what_will_not_be_null() {
    let planned = plan(&shape().schema, &config(|_| {}), &Dyn::Null).value;
    assert_eq!(planned.attribute("id"), &Dyn::Unknown(Promises::NOT_NULL));
    assert_eq!(planned.attribute("state"), &Dyn::Unknown(Promises::NONE));
    assert_eq!(planned.attribute("size"), &Dyn::Number(Number::from(3_i64)));
}

#[test]
fn replacements_name_what_changed() {
    for (change, expected) in [
        (serde_json::json!({"name": "b"}), vec!["name"]),
        (serde_json::json!({"name": "?"}), vec!["name"]),
        (serde_json::json!({"floor": 7}), vec!["floor"]),
        (serde_json::json!({"lock": {"code": "1", "kind": "dial"}}), vec!["lock.kind"]),
        (serde_json::json!({"lock": {"code": "2"}}), vec![]),
        (serde_json::json!({"lock": null}), vec!["lock"]),
        (serde_json::json!({"parts": [], "named": {}}), vec![]),
    ] {
        let config = config(|json| {
            for (name, value) in change.as_object().unwrap() {
                json[name] = value.clone();
            }
        });
        let planned = plan(&shape().schema, &config, &prior());
        assert_eq!(paths(&planned.replace), expected, "{change}");
    }
}

#[test]
fn the_state_is_the_plan_with_its_unknowns_filled() {
    let planned = object(serde_json::json!({
        "id": "?", "name": "a", "address": "0::1", "size": 3, "floor": 2, "state": "?",
        "words": ["x", "?"], "parts": [{"what": "?", "count": 1, "serial": "?"}],
        "lock": {"code": "1", "kind": "key"}, "timeouts": {"create": "1h"},
    }));
    let mut model = prior();
    let Dyn::Map(attributes) = &mut model else { panic!() };
    attributes.insert("named".to_owned(), Dyn::Null);
    let (state, faults) = fill(&shape().schema, &planned, &model);
    assert_eq!(faults, Diags::none());
    assert_eq!(state.attribute("address"), &Dyn::from("0::1"));
    assert_eq!(state.attribute("parts").items()[0].attribute("serial"), &Dyn::from("p1"));
    assert_eq!(state.attribute("timeouts").attribute("create"), &Dyn::from("1h"));
}

#[test]
fn what_came_back_changed_is_named_but_secrets_are_not_shown() {
    let planned = object(serde_json::json!({
        "id": "i", "name": "a", "size": 3, "floor": null, "state": "?",
        "lock": {"code": "hush", "kind": "key"}, "parts": [{"what": "p", "count": 1}],
    }));
    let model = object(serde_json::json!({
        "id": "i", "name": "b", "size": 3, "floor": 1, "state": "?",
        "lock": {"code": "loud", "kind": "key"}, "parts": [],
    }));
    let (state, faults) = fill(&shape().schema, &planned, &model);
    let places: Vec<_> = faults.iter().map(|diag| diag.path.clone().unwrap()).collect();
    assert_eq!(paths(&places), ["name", "floor", "state", "parts", "lock.code"]);
    let text = format!("{faults:?}");
    assert!(!text.contains("hush") && !text.contains("loud"), "{text}");
    // It can be stored all the same, and says what is there.
    assert!(state.is_wholly_known() && conforms(&shape().object, &state));
    assert_eq!(state.attribute("name"), &Dyn::from("b"));
}

#[test]
fn a_promise_that_is_not_kept_is_a_fault() {
    let planned = plan(&shape().schema, &config(|_| {}), &Dyn::Null).value;
    let (_, faults) = fill(&shape().schema, &planned, &planned.clone().without_unknowns());
    let places: Vec<_> = faults.iter().map(|diag| diag.path.clone().unwrap()).collect();
    assert_eq!(paths(&places), ["id"]);
}

#[test]
fn every_fault_of_a_configuration_is_found_at_once() {
    let config = config(|json| {
        json["address"] = "nowhere".into();
        json["size"] = 70000.into();
        json["name"] = serde_json::Value::Null;
        json["parts"] =
            serde_json::json!([{"what": "?"}, {"what": null}, {"what": "x", "count": -1}]);
        json["lock"] = serde_json::json!({"code": "?", "kind": "?"});
    });
    let mut faults = Diags::none();
    find_faults(&shape().schema, &config, &Path::root(), &mut faults);
    let places: Vec<_> = faults.iter().map(|diag| diag.path.clone().unwrap()).collect();
    assert_eq!(paths(&places), ["name", "address", "size", "parts[1].what", "parts[2].count"]);
}

/// A written value: absent, unknown or one of these.
fn maybe(known: Vec<serde_json::Value>) -> impl Strategy<Value = serde_json::Value> {
    let mut options = known;
    options.push(serde_json::Value::Null);
    prop::sample::select(options)
}

fn configs() -> impl Strategy<Value = Dyn> {
    use serde_json::json;
    let part = || {
        (prop::sample::select(vec!["p", "r", "?"]), maybe(vec![json!(1), json!(5)]))
            .prop_map(|(what, count)| json!({ "what": what, "count": count }))
    };
    let name = prop::sample::select(vec!["a", "b", "?"]);
    let address = maybe(vec![json!("::1"), json!("0::1"), json!("?")]);
    let size = maybe(vec![json!(3), json!(4)]);
    let floor = maybe(vec![json!(2), json!(9)]);
    let words = maybe(vec![json!(["y", "x"]), json!(["x", "?"]), json!("?"), json!([])]);
    let parts = prop::option::of(prop::collection::vec(part(), 0..3));
    let named = prop::option::of(prop::collection::btree_map("[nm]", part(), 0..3));
    let lock = maybe(vec![json!({"code": "1"}), json!({"code": "?", "kind": "dial"})]);
    let colour = maybe(vec![json!("white"), json!("red"), json!("?")]);
    let stickers =
        prop::collection::btree_map(prop::sample::select(vec!["s", "t", "u"]), colour, 0..4)
            .prop_map(|stickers| {
                let sticker = |(text, colour)| json!({ "text": text, "colour": colour });
                stickers.into_iter().map(sticker).rev().collect::<Vec<_>>()
            });
    let stickers = prop::option::of(stickers);
    (name, address, size, floor, words, parts, named, stickers, lock).prop_map(
        |(name, address, size, floor, words, parts, named, stickers, lock)| {
            let mut value = object(json!({
                "name": name, "address": address, "size": size, "floor": floor,
                "parts": parts, "named": named, "stickers": stickers, "lock": lock,
                "words": if words == "?" { json!(null) } else { words.clone() },
            }));
            if let (Dyn::Map(attributes), true) = (&mut value, words == "?") {
                attributes.insert("words".to_owned(), Dyn::Unknown(Promises::NONE));
            }
            value
        },
    )
}

/// Terraform's own rule for one planned attribute and what is in it.
fn assert_valid(schema: &Schema, config: &Dyn, prior: &Dyn, planned: &Dyn) {
    for attribute in &schema.attributes {
        let (config, prior, planned) = (
            config.attribute(attribute.name),
            prior.attribute(attribute.name),
            planned.attribute(attribute.name),
        );
        let kind = attribute.kind.as_type();
        let as_before = !prior.is_null() && !config.is_null() && same(&kind, planned, prior);
        if as_before || same(&kind, config, planned) || (attribute.computed && config.is_null()) {
            continue;
        }
        let Kind::Nested(nesting, nested) = &attribute.kind else {
            panic!("{} is {planned:?}, written {config:?}", attribute.name);
        };
        let count = |value: &Dyn| match value {
            Dyn::Map(items) if *nesting == Nesting::Map => items.len(),
            other => other.items().len(),
        };
        assert_eq!(count(config), count(planned));
        plan::each(*nesting, config, planned, |config, planned| {
            let prior = &Dyn::Null;
            assert_valid(nested, config, prior, planned);
            Dyn::Null
        });
    }
}

/// Is everything that was known in the first plan the same in the last one?
fn refines(kind: &Type, first: &Dyn, last: &Dyn) -> bool {
    match (kind, first, last) {
        (_, Dyn::Unknown(_), _) => true,
        (Type::Object(kinds), Dyn::Map(_), Dyn::Map(_)) => kinds
            .iter()
            .all(|(name, kind)| refines(kind, first.attribute(name), last.attribute(name))),
        (Type::List(kind), Dyn::List(ours), Dyn::List(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| refines(kind, ours, theirs))
        }
        (Type::Map(kind), Dyn::Map(ours), Dyn::Map(theirs)) => {
            ours.keys().eq(theirs.keys())
                && ours.keys().all(|key| refines(kind, first.attribute(key), last.attribute(key)))
        }
        (Type::Set(_), Dyn::List(_), Dyn::List(_)) if !first.is_wholly_known() => true,
        _ => same(kind, first, last),
    }
}

proptest! {
    /// Whatever is written over whatever was: Terraform accepts the plan, an apply that fills
    /// it in, and has nothing to do afterwards.
    #[test]
    fn plans_are_valid_and_converge(first in configs(), second in configs()) {
        let schema = &shape().schema;
        let mut before = Dyn::Null;
        for config in [first, second] {
            let planned = plan(schema, &config, &before).value;
            prop_assert!(conforms(&shape().object, &planned));
            assert_valid(schema, &config, &before, &planned);

            // Later everything is known; the known parts of the plan must not change.
            let known = resolve(&config, "later");
            let last = plan(schema, &known, &before).value;
            prop_assert!(refines(&shape().object, &planned, &last), "{:?} {:?}", planned, last);
            let after = resolve(&last, "made");
            let (state, faults) = fill(schema, &last, &after);
            prop_assert_eq!(faults, Diags::none());
            let again = plan(schema, &known, &state).value;
            prop_assert!(same(&shape().object, &again, &state), "{:?} {:?}", again, state);
            before = state;
        }
    }

    #[test]
    fn decoding_a_state_never_panics(config in configs()) {
        let planned = plan(&shape().schema, &config, &Dyn::Null).value;
        let _ = <Thing as Model>::decode(&planned, &Path::root());
        let _ = <Thing as Model>::decode(&config, &Path::root());
    }
}

/// Gives every unknown part a value of its type.
fn resolve(value: &Dyn, text: &str) -> Dyn {
    fn typed(kind: &Type, value: &Dyn, text: &str) -> Dyn {
        match (kind, value) {
            (Type::Object(kinds), Dyn::Map(_)) => Dyn::Map(
                kinds
                    .iter()
                    .map(|(name, kind)| {
                        let text = if name == "address" { "::2" } else { text };
                        (name.clone(), typed(kind, value.attribute(name), text))
                    })
                    .collect(),
            ),
            (Type::List(kind) | Type::Set(kind), Dyn::List(items)) => {
                Dyn::List(items.iter().map(|item| typed(kind, item, text)).collect())
            }
            (Type::Map(kind), Dyn::Map(items)) => Dyn::Map(
                items.iter().map(|(key, item)| (key.clone(), typed(kind, item, text))).collect(),
            ),
            (Type::String, Dyn::Unknown(_)) => Dyn::from(text),
            (Type::Number, Dyn::Unknown(_)) => Dyn::Number(Number::from(7_i64)),
            (Type::Set(_) | Type::List(_), Dyn::Unknown(_)) => Dyn::List(Vec::new()),
            _ => value.clone(),
        }
    }
    typed(&shape().object, value, text)
}
