//! Parameter verification: a small schema language and the exact 400 texts.
//!
//! Form bodies and query strings give strings, JSON bodies give values; both end as strings, because that is what the
//! endpoints and the configuration files work with.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::Value;

use super::api::Refusal;
use super::formats::{self, PropertyString};

/// Parameters as they came in, not yet looked at.
pub(crate) type Raw = BTreeMap<String, Value>;

/// What a value must be.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Boolean,
    Integer(i64, i64),
    Number,
    Enum(&'static [&'static str]),
    /// A named format, with its own complaint.
    Format(formats::Check),
    /// A regular expression, of whose failure the server says only that it failed.
    Pattern(fn(&str) -> bool),
    /// `model=virtio,bridge=vmbr0` and the like.
    Properties(&'static PropertyString),
    Vmid,
}

/// One declared parameter. A name that ends with `[n]` stands for `net0`, `net1` and so on.
#[derive(Clone, Copy)]
pub(crate) struct Param {
    name: &'static str,
    pub(crate) kind: Kind,
    required: bool,
    shortest: usize,
    longest: usize,
}

/// A parameter that must be given.
pub(crate) const fn required(name: &'static str, kind: Kind) -> Param {
    Param { required: true, ..optional(name, kind) }
}

/// A parameter that may be given.
pub(crate) const fn optional(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, required: false, shortest: 0, longest: usize::MAX }
}

impl Param {
    /// Bounds the length of the text.
    pub(crate) const fn length(self, shortest: usize, longest: usize) -> Self {
        Self { shortest, longest, ..self }
    }

    /// Whether this declares the parameter `name`.
    pub(crate) fn matches(&self, name: &str) -> bool {
        match self.name.strip_suffix("[n]") {
            None => self.name == name,
            Some(stem) => name.strip_prefix(stem).is_some_and(|index| {
                !index.is_empty()
                    && index.len() <= 3
                    && index.bytes().all(|byte| byte.is_ascii_digit())
            }),
        }
    }

    fn check(&self, name: &str, value: &str) -> Result<(), String> {
        check_kind(self.kind, name, value)?;
        let length = value.chars().count();
        if length < self.shortest {
            return Err(format!("value must be at least {} characters long", self.shortest));
        }
        if length > self.longest {
            return Err(format!("value may only be {} characters long", self.longest));
        }
        Ok(())
    }
}

fn wrong_type(kind: &str, value: &str) -> String {
    format!("type check ('{kind}') failed - got '{value}'")
}

/// Checks one value; the text is what stands in the `errors` map.
pub(crate) fn check_kind(kind: Kind, name: &str, value: &str) -> Result<(), String> {
    match kind {
        Kind::Text => Ok(()),
        Kind::Boolean if value == "0" || value == "1" => Ok(()),
        Kind::Boolean => Err(wrong_type("boolean", value)),
        Kind::Number => value.parse::<f64>().map(drop).map_err(|_| wrong_type("number", value)),
        Kind::Integer(low, high) => {
            let number: i64 = value.parse().map_err(|_| wrong_type("integer", value))?;
            if number < low {
                Err(format!("value must have a minimum value of {low}"))
            } else if number > high {
                Err(format!("value must have a maximum value of {high}"))
            } else {
                Ok(())
            }
        }
        Kind::Vmid => {
            value.parse::<i64>().map_err(|_| wrong_type("integer", value))?;
            formats::vmid(value).map_err(|complaint| format!("invalid format - {complaint}\n"))
        }
        Kind::Enum(values) if values.contains(&value) => Ok(()),
        Kind::Enum(values) => Err(format!(
            "value '{value}' does not have a value in the enumeration '{}'",
            values.join(", ")
        )),
        Kind::Format(check) => {
            check(value).map_err(|complaint| format!("invalid format - {complaint}\n"))
        }
        Kind::Pattern(matches) if matches(value) => Ok(()),
        Kind::Pattern(_) => Err("value does not match the regex pattern".to_owned()),
        Kind::Properties(format) => format
            .parse(name, value)
            .map(drop)
            .map_err(|complaint| format!("invalid format - {complaint}\n")),
    }
}

/// Turns a raw value into text, as the server's own normalisation does.
fn flatten(value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::Bool(flag) => Ok(u8::from(*flag).to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(items) => {
            Ok(items.iter().map(flatten).collect::<Result<Vec<_>, _>>()?.join(","))
        }
        Value::Object(_) => Err("type check ('string') failed - got HASH".to_owned()),
    }
}

/// Verified parameters.
#[derive(Debug, Default, Clone)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Verifies everything at once, so that the client sees every complaint in one answer.
    pub(crate) fn verify(raw: &Raw, declared: &[&[Param]]) -> Result<Self, Refusal> {
        let mut errors = BTreeMap::new();
        let mut verified = BTreeMap::new();
        for (name, value) in raw {
            let Some(param) = declared.iter().copied().flatten().find(|param| param.matches(name))
            else {
                let text = "property is not defined in schema and the schema does not allow additional properties";
                errors.insert(name.clone(), text.to_owned());
                continue;
            };
            match flatten(value).and_then(|value| param.check(name, &value).map(|()| value)) {
                Ok(value) => drop(verified.insert(name.clone(), value)),
                Err(complaint) => drop(errors.insert(name.clone(), complaint)),
            }
        }
        for param in declared.iter().copied().flatten().filter(|param| param.required) {
            if !raw.contains_key(param.name) {
                errors.insert(
                    param.name.to_owned(),
                    "property is missing and it is not optional".to_owned(),
                );
            }
        }
        if errors.is_empty() { Ok(Self(verified)) } else { Err(Refusal::parameters(errors)) }
    }

    /// A parameter that may be absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that the schema requires.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A parameter that the schema requires to be a number.
    pub(crate) fn number<T: FromStr + Default>(&self, name: &str) -> T {
        self.text(name).parse().unwrap_or_default()
    }

    /// Whether a boolean is given and true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("1")
    }

    /// A `-list` parameter: split at commas, semicolons, white space and NUL.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        formats::split_list(self.text(name)).collect()
    }

    /// All of them, for endpoints that write what they get.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
