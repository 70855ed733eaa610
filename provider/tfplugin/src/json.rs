//! Reading state files: JSON along the type, leniently.
//!
//! A state may have been written by another version of the provider or by an old Terraform:
//! attributes may be missing or too many, and numbers and booleans may be in quotes. Numbers keep
//! their text, which is why this does not go through `serde_json::Value`.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::attribute::invalid;
use crate::diag::{Diags, Result};
use crate::dynamic::Dyn;
use crate::number::Number;
use crate::path::Path;
use crate::schema::Type;

/// Reads a value of a type.
pub(crate) fn decode(bytes: &[u8], kind: &Type) -> Result<Dyn> {
    let path = Path::root();
    let raw: &RawValue = serde_json::from_slice(bytes).map_err(|_| fault(&path, "valid JSON"))?;
    value(raw, kind, &path)
}

/// Reads a value without its type, for upgrades. A number that `serde_json` would round comes
/// as text, which [`decode`] reads as the same number again.
pub(crate) fn untyped(bytes: &[u8]) -> Result<serde_json::Value> {
    let fault = |_| fault(&Path::root(), "valid JSON");
    let raw: &RawValue = serde_json::from_slice(bytes).map_err(fault)?;
    exact(raw).map_err(fault)
}

fn exact(raw: &RawValue) -> serde_json::Result<serde_json::Value> {
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let items: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            let items = items.into_iter().map(|(key, item)| Ok((key, exact(item)?)));
            serde_json::Value::Object(items.collect::<serde_json::Result<_>>()?)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            serde_json::Value::Array(
                items.into_iter().map(exact).collect::<serde_json::Result<_>>()?,
            )
        }
        Some(b'-' | b'0'..=b'9') => {
            let rounded: serde_json::Result<serde_json::Number> = serde_json::from_str(text);
            match rounded {
                Ok(rounded) if Number::parse(&rounded.to_string()) == Number::parse(text) => {
                    rounded.into()
                }
                _ => text.into(),
            }
        }
        _ => serde_json::from_str(text)?,
    })
}

fn fault(path: &Path, wanted: &str) -> Diags {
    invalid(path, format!("The value in the state is not {wanted}."))
}

fn value(raw: &RawValue, kind: &Type, path: &Path) -> Result<Dyn> {
    let text = raw.get();
    if text == "null" {
        return Ok(Dyn::Null);
    }
    match kind {
        Type::String if text.starts_with('"') => parse(text, path, "a string").map(Dyn::String),
        // An old state may have a bare number or boolean where there is a string today.
        Type::String if !text.starts_with(['{', '[']) => Ok(Dyn::String(text.to_owned())),
        Type::String => Err(fault(path, "a string")),
        Type::Number => {
            let text = unquoted(text, path)?;
            Number::parse(&text).map(Dyn::Number).ok_or_else(|| fault(path, "a number"))
        }
        Type::Bool => match unquoted(text, path)?.as_str() {
            "true" => Ok(Dyn::Bool(true)),
            "false" => Ok(Dyn::Bool(false)),
            _ => Err(fault(path, "a boolean")),
        },
        Type::List(item) | Type::Set(item) => {
            let raw: Vec<&RawValue> = parse(text, path, "a list")?;
            let items = raw.iter().enumerate();
            let items = items.map(|(index, raw)| value(raw, item, &path.index(index)));
            items.collect::<Result<_>>().map(Dyn::List)
        }
        Type::Map(item) => {
            let raw: BTreeMap<String, &RawValue> = parse(text, path, "a map")?;
            let items = raw.into_iter().map(|(key, raw)| {
                let item = value(raw, item, &path.key(&key))?;
                Ok((key, item))
            });
            items.collect::<Result<_>>().map(Dyn::Map)
        }
        Type::Object(attributes) => {
            let raw: BTreeMap<String, &RawValue> = parse(text, path, "an object")?;
            let items = attributes.iter().map(|(name, kind)| {
                let item = match raw.get(name) {
                    Some(raw) => value(raw, kind, &path.attribute(name))?,
                    None => Dyn::Null,
                };
                Ok((name.clone(), item))
            });
            items.collect::<Result<_>>().map(Dyn::Map)
        }
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(text: &'a str, path: &Path, wanted: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| fault(path, wanted))
}

fn unquoted(text: &str, path: &Path) -> Result<String> {
    if text.starts_with('"') { parse(text, path, "a string") } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::msgpack::tests::typed;

    /// As Terraform writes a state: numbers exactly, nothing unknown.
    fn written(value: &Dyn) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        match value {
            Dyn::Null | Dyn::Unknown(_) => "null".to_owned(),
            Dyn::Bool(value) => value.to_string(),
            Dyn::Number(number) => number.to_string(),
            Dyn::String(value) => text(value),
            Dyn::List(items) => {
                let items: Vec<_> = items.iter().map(written).collect();
                format!("[{}]", items.join(", "))
            }
            Dyn::Map(items) => {
                let items = items.iter();
                let items = items.map(|(key, item)| format!("{}: {}", text(key), written(item)));
                format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
            }
        }
    }

    proptest! {
        #[test]
        fn what_terraform_writes_is_read_again((kind, value) in typed()) {
            let state = written(&value);
            let read = decode(state.as_bytes(), &kind).unwrap();
            prop_assert_eq!(written(&read), state.clone());
            prop_assert!(read == value || !value.is_wholly_known());
            // What upgrades see of it is the same value.
            let seen = untyped(state.as_bytes()).unwrap().to_string();
            prop_assert_eq!(decode(seen.as_bytes(), &kind).unwrap(), read);
        }

        #[test]
        fn cut_and_changed_states_never_panic(
            (kind, value) in typed(), cut in any::<prop::sample::Index>(), change in any::<u8>()
        ) {
            let mut state = written(&value).into_bytes();
            let place = cut.index(state.len());
            let _ = (decode(&state[..place], &kind), untyped(&state[..place]));
            state[place] = change;
            let _ = (decode(&state, &kind), untyped(&state));
        }
    }

    fn kind() -> Type {
        let attributes = [
            ("name", Type::String),
            ("size", Type::Number),
            ("on", Type::Bool),
            ("tags", Type::Map(Box::new(Type::List(Box::new(Type::Number))))),
        ];
        Type::Object(attributes.map(|(name, kind)| (name.to_owned(), kind)).into())
    }

    #[test]
    fn states_of_other_versions_are_read() {
        let state = br#"{"size": "18446744073709551617", "on": "true", "gone": {"a": [1]},
                         "tags": {"k": [0.1, 1e3]}}"#;
        let value = decode(state, &kind()).unwrap();
        assert_eq!(value.attribute("name"), &Dyn::Null);
        assert_eq!(value.attribute("on"), &Dyn::Bool(true));
        let Dyn::Number(size) = value.attribute("size") else { panic!() };
        assert_eq!(size.to_string(), "18446744073709551617");
        let Dyn::Number(first) = &value.attribute("tags").attribute("k").items()[0] else {
            panic!()
        };
        assert_eq!(first.to_string(), "0.1");
    }

    #[test]
    fn upgrades_do_not_round_numbers() {
        let state =
            br#"{"size": 18446744073709551617, "tags": {"k": [0.1, 1e400, 1e3]}, "on": true}"#;
        let value = untyped(state).unwrap();
        assert_eq!(value["on"], true);
        let again = decode(value.to_string().as_bytes(), &kind()).unwrap();
        assert_eq!(again, decode(state, &kind()).unwrap());
        assert!(untyped(b"{").is_err());
    }

    #[test]
    fn what_cannot_be_read_is_an_error_at_its_path() {
        for (state, path) in [
            (r#"{"tags": {"k": ["x"]}}"#, "tags[\"k\"][0]"),
            (r#"{"on": 1}"#, "on"),
            (r#"{"name": {}}"#, "name"),
            ("[", ""),
            ("{\"name\": \"\\ud800\"}", "name"),
        ] {
            let faults = decode(state.as_bytes(), &kind()).unwrap_err();
            let found = faults.iter().next().unwrap().path.clone().unwrap();
            assert_eq!(found.to_string(), path, "{state}");
        }
    }
}
