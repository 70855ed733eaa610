//! What Terraform proposes as the new state: the configuration, and what was computed before.

use super::schema::{Attribute, Kind, Nesting, Object};
use super::value::Value;

/// The proposal for an object; null for one that is to be destroyed.
pub(crate) fn proposed(schema: &Object, prior: &Value, config: &Value) -> Value {
    match config {
        Value::Null => Value::Null,
        _ => object(&schema.attributes, prior, config),
    }
}

fn object(attributes: &[Attribute], prior: &Value, config: &Value) -> Value {
    let attributes = attributes.iter().map(|attribute| {
        let name = &attribute.name;
        (name.clone(), one(attribute, prior.attribute(name), config.attribute(name)))
    });
    Value::Map(attributes.collect())
}

fn one(attribute: &Attribute, prior: &Value, config: &Value) -> Value {
    match &attribute.kind {
        _ if attribute.computed && config.is_null() => prior.clone(),
        Kind::Nested(nesting, nested) if !config.is_unknown() && !config.is_null() => {
            elements(*nesting, nested, prior, config)
        }
        Kind::Plain(_) | Kind::Nested(..) => config.clone(),
    }
}

/// Each configured element with the prior one that it continues; one that continues none is taken as
/// it was written.
fn elements(nesting: Nesting, nested: &Object, prior: &Value, config: &Value) -> Value {
    let merge = |prior: Option<&Value>, config: &Value| match prior {
        Some(prior) if matches!(config, Value::Map(_)) => object(&nested.attributes, prior, config),
        _ => config.clone(),
    };
    match nesting {
        Nesting::Single => object(&nested.attributes, prior, config),
        Nesting::List => {
            let items = config.elements().iter().enumerate();
            let items = items.map(|(index, item)| merge(prior.elements().get(index), item));
            Value::List(items.collect())
        }
        Nesting::Map => {
            let before = |key: &String| match prior {
                Value::Map(items) => items.get(key),
                _ => None,
            };
            let items = config.entries();
            Value::Map(items.map(|(key, item)| (key.clone(), merge(before(key), item))).collect())
        }
        Nesting::Set => {
            // Elements have no names: the one that looks as if it came from this configuration.
            let mut left: Vec<_> = prior.elements().iter().collect();
            let items = config.elements().iter().map(|item| {
                let found = left.iter().position(|prior| could_come_from(nested, prior, item));
                merge(found.map(|place| left.swap_remove(place)), item)
            });
            Value::set(items.collect())
        }
    }
}

/// Is the prior element what this configuration would have become?
fn could_come_from(nested: &Object, prior: &Value, config: &Value) -> bool {
    nested.attributes.iter().all(|attribute| {
        let (prior, config) = (prior.attribute(&attribute.name), config.attribute(&attribute.name));
        prior == config || (attribute.computed && config.is_null())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::testing::value::Type;

    fn attribute(name: &str, kind: Kind, optional: bool, computed: bool) -> Attribute {
        Attribute {
            name: name.to_owned(),
            kind,
            required: !optional && !computed,
            optional,
            computed,
            sensitive: false,
            write_only: false,
        }
    }

    fn text(name: &str, optional: bool, computed: bool) -> Attribute {
        attribute(name, Kind::Plain(Type::String), optional, computed)
    }

    fn thing() -> Object {
        let nested = || Object {
            version: 0,
            attributes: vec![text("what", false, false), text("serial", false, true)],
        };
        Object {
            version: 0,
            attributes: vec![
                text("id", false, true),
                text("label", true, true),
                text("note", true, false),
                attribute("list", Kind::Nested(Nesting::List, nested()), true, false),
                attribute("map", Kind::Nested(Nesting::Map, nested()), true, false),
                attribute("one", Kind::Nested(Nesting::Single, nested()), true, false),
                attribute("set", Kind::Nested(Nesting::Set, nested()), true, false),
            ],
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "literals are what one passes")]
    fn value(json: Json) -> Value {
        Value::of_json(&json, &thing().kind(), "").unwrap()
    }

    #[test]
    fn what_was_computed_is_proposed_again_where_its_element_goes_on() {
        let prior = value(json!({
            "id": "i", "label": "old", "note": "gone",
            "list": [{"what": "a", "serial": "1"}],
            "map": {"k": {"what": "a", "serial": "2"}},
            "one": {"what": "a", "serial": "3"},
            "set": [{"what": "a", "serial": "4"}, {"what": "b", "serial": "5"}],
        }));
        let config = value(json!({
            "list": [{"what": "z"}, {"what": "new"}],
            "map": {"k": {"what": "z"}, "new": {"what": "z"}},
            "one": {"what": "z"},
            "set": [{"what": "b"}, {"what": "new"}],
        }));
        let expected = value(json!({
            "id": "i", "label": "old",
            "list": [{"what": "z", "serial": "1"}, {"what": "new"}],
            "map": {"k": {"what": "z", "serial": "2"}, "new": {"what": "z"}},
            "one": {"what": "z", "serial": "3"},
            "set": [{"what": "b", "serial": "5"}, {"what": "new"}],
        }));
        assert_eq!(proposed(&thing(), &prior, &config), expected);
        assert_eq!(proposed(&thing(), &Value::Null, &config), config);
        assert!(proposed(&thing(), &prior, &Value::Null).is_null());
    }
}
