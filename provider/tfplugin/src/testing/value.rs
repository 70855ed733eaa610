//! Values as Terraform itself holds them.
//!
//! A reading of its own, beside the framework's [`Dyn`](crate::Dyn): a fault of the framework's codec
//! or of its types must show here, not hide in what both would share.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value as Json;

use crate::Number;

/// A type in Terraform's own JSON spelling.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    Dynamic,
    String,
    Number,
    Bool,
    List(Box<Self>),
    Set(Box<Self>),
    Map(Box<Self>),
    Tuple(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

/// A value. Two are equal when Terraform would call them so: sets in any order, unknown values
/// whatever is promised of them.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Unknown(Promise),
    Bool(bool),
    Number(Number),
    String(String),
    /// A list or a tuple.
    List(Vec<Self>),
    Set(Vec<Self>),
    /// A map or an object.
    Map(BTreeMap<String, Self>),
    /// A value whose type is decided by the value.
    Dynamic(Type, Box<Self>),
}

/// What is promised of a value that is not known yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Promise {
    pub(crate) not_null: bool,
    pub(crate) prefix: String,
    /// The least and the greatest number of elements.
    pub(crate) length: (Option<u64>, Option<u64>),
}

impl Type {
    pub(crate) fn parse(json: &Json) -> Option<Self> {
        let list = || json.as_array();
        let inner = || list()?.get(1).and_then(Self::parse).map(Box::new);
        match json.as_str().or_else(|| list()?.first()?.as_str())? {
            "dynamic" => Some(Self::Dynamic),
            "string" => Some(Self::String),
            "number" => Some(Self::Number),
            "bool" => Some(Self::Bool),
            "list" => inner().map(Self::List),
            "set" => inner().map(Self::Set),
            "map" => inner().map(Self::Map),
            "tuple" => {
                let items = list()?.get(1)?.as_array()?;
                items.iter().map(Self::parse).collect::<Option<_>>().map(Self::Tuple)
            }
            "object" => {
                let attributes = list()?.get(1)?.as_object()?.iter();
                let attributes =
                    attributes.map(|(name, kind)| Some((name.clone(), Self::parse(kind)?)));
                attributes.collect::<Option<_>>().map(Self::Object)
            }
            _ => None,
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        use serde_json::json;
        match self {
            Self::Dynamic => json!("dynamic"),
            Self::String => json!("string"),
            Self::Number => json!("number"),
            Self::Bool => json!("bool"),
            Self::List(item) => json!(["list", item.to_json()]),
            Self::Set(item) => json!(["set", item.to_json()]),
            Self::Map(item) => json!(["map", item.to_json()]),
            Self::Tuple(items) => {
                json!(["tuple", items.iter().map(Self::to_json).collect::<Vec<_>>()])
            }
            Self::Object(attributes) => {
                let attributes =
                    attributes.iter().map(|(name, kind)| (name.clone(), kind.to_json()));
                json!(["object", attributes.collect::<serde_json::Map<_, _>>()])
            }
        }
    }
}

pub(crate) const UNKNOWN: Value =
    Value::Unknown(Promise { not_null: false, prefix: String::new(), length: (None, None) });

static NULL: Value = Value::Null;

impl Value {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// Where something in it is not known.
    pub(crate) fn unknown_place(&self, path: &str) -> Option<String> {
        match self {
            Self::Unknown(_) => Some(path.to_owned()),
            Self::List(items) | Self::Set(items) => items
                .iter()
                .enumerate()
                .find_map(|(index, item)| item.unknown_place(&format!("{path}[{index}]"))),
            Self::Map(items) => {
                items.iter().find_map(|(key, item)| item.unknown_place(&format!("{path}.{key}")))
            }
            Self::Dynamic(_, value) => value.unknown_place(path),
            _ => None,
        }
    }

    pub(crate) fn is_wholly_known(&self) -> bool {
        self.unknown_place("").is_none()
    }

    /// An attribute of an object; null when this is no object or has no such attribute.
    pub(crate) fn attribute(&self, name: &str) -> &Self {
        match self {
            Self::Map(items) => items.get(name).unwrap_or(&NULL),
            _ => &NULL,
        }
    }

    /// An element of a list or set; null if there is none.
    pub(crate) fn element(&self, index: usize) -> &Self {
        self.elements().get(index).unwrap_or(&NULL)
    }

    pub(crate) fn elements(&self) -> &[Self] {
        match self {
            Self::List(items) | Self::Set(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&String, &Self)> {
        match self {
            Self::Map(items) => Some(items.iter()),
            _ => None,
        }
        .into_iter()
        .flatten()
    }

    /// How many elements a collection has.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Map(items) => items.len(),
            other => other.elements().len(),
        }
    }

    /// For a test's author; numbers beyond what `serde_json` holds lose digits.
    pub(crate) fn to_json(&self) -> Json {
        serde_json::from_str(&self.to_string()).unwrap_or_else(|_| self.to_string().into())
    }

    /// Reads what a test's author writes: JSON along the type. What is missing is null.
    pub(crate) fn of_json(json: &Json, kind: &Type, path: &str) -> Result<Self, String> {
        let wrong = || format!("{path}: {json} is no {}", kind.to_json());
        let item = |item: &Json, kind: &Type, index: usize| {
            Self::of_json(item, kind, &format!("{path}[{index}]"))
        };
        let items = |kind: &Type| {
            let items = json.as_array().ok_or_else(wrong)?.iter().enumerate();
            items.map(|(index, value)| item(value, kind, index)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match kind {
            _ if json.is_null() => Self::Null,
            Type::String => Self::String(json.as_str().ok_or_else(wrong)?.to_owned()),
            Type::Bool => Self::Bool(json.as_bool().ok_or_else(wrong)?),
            Type::Number => {
                let text = json.as_number().ok_or_else(wrong)?.to_string();
                Self::Number(Number::parse(&text).ok_or_else(wrong)?)
            }
            Type::List(kind) => Self::List(items(kind)?),
            Type::Set(kind) => Self::set(items(kind)?),
            Type::Tuple(kinds) => {
                let values = json.as_array().filter(|items| items.len() == kinds.len());
                let values = values.ok_or_else(wrong)?.iter().zip(kinds).enumerate();
                let values = values.map(|(index, (value, kind))| item(value, kind, index));
                Self::List(values.collect::<Result<_, _>>()?)
            }
            Type::Map(kind) => {
                let items = json.as_object().ok_or_else(wrong)?.iter();
                let items = items.map(|(key, value)| {
                    Ok((key.clone(), Self::of_json(value, kind, &format!("{path}[{key:?}]"))?))
                });
                Self::Map(items.collect::<Result<_, String>>()?)
            }
            Type::Object(kinds) => {
                let given = json.as_object().ok_or_else(wrong)?;
                if let Some(name) = given.keys().find(|name| !kinds.contains_key(*name)) {
                    return Err(format!("{path}.{name}: there is no such attribute"));
                }
                let attributes = kinds.iter().map(|(name, kind)| {
                    let json = given.get(name).unwrap_or(&Json::Null);
                    Ok((name.clone(), Self::of_json(json, kind, &format!("{path}.{name}"))?))
                });
                Self::Map(attributes.collect::<Result<_, String>>()?)
            }
            Type::Dynamic => {
                let kind = json.get("type").and_then(Type::parse).unwrap_or_else(|| natural(json));
                let value = json.get("value").filter(|_| json.get("type").is_some());
                let value = Self::of_json(value.unwrap_or(json), &kind, path)?;
                Self::Dynamic(kind, Box::new(value))
            }
        })
    }

    /// A set: equal elements are one.
    pub(crate) fn set(items: Vec<Self>) -> Self {
        let mut distinct: Vec<Self> = Vec::new();
        for item in items {
            // Two values that are not known yet may turn out to be different.
            if !item.is_wholly_known() || !distinct.contains(&item) {
                distinct.push(item);
            }
        }
        Self::Set(distinct)
    }
}

/// The type that Terraform gives a literal.
fn natural(json: &Json) -> Type {
    match json {
        Json::Null => Type::Dynamic,
        Json::Bool(_) => Type::Bool,
        Json::Number(_) => Type::Number,
        Json::String(_) => Type::String,
        Json::Array(items) => Type::Tuple(items.iter().map(natural).collect()),
        Json::Object(items) => {
            Type::Object(items.iter().map(|(name, value)| (name.clone(), natural(value))).collect())
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) | (Self::Unknown(_), Self::Unknown(_)) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (Self::Dynamic(a, value), Self::Dynamic(b, other)) => a == b && value == other,
            (Self::Set(a), Self::Set(b)) => {
                let mut left: Vec<_> = b.iter().collect();
                a.len() == left.len()
                    && a.iter().all(|value| {
                        let found = left.iter().position(|other| *other == value);
                        found.map(|place| left.swap_remove(place)).is_some()
                    })
            }
            _ => false,
        }
    }
}

impl Promise {
    /// May this value stand where the promise was made?
    pub(crate) fn is_kept_by(&self, value: &Value) -> bool {
        let count = value.count() as u64;
        let counted = matches!(value, Value::List(_) | Value::Set(_) | Value::Map(_));
        match value {
            Value::Null => !self.not_null,
            Value::Unknown(promise) => promise.not_null || !self.not_null,
            Value::String(text) => text.starts_with(&self.prefix),
            _ if counted => {
                self.length.0.is_none_or(|least| count >= least)
                    && self.length.1.is_none_or(|most| count <= most)
            }
            _ => true,
        }
    }
}

/// As a state file has it, with every digit; what is not known is a text that says so.
impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Unknown(_) => out.write_str("\"(known after apply)\""),
            Self::Bool(value) => value.fmt(out),
            Self::Number(number) => number.fmt(out),
            Self::String(text) => Json::from(text.as_str()).fmt(out),
            Self::List(items) | Self::Set(items) => {
                for (index, item) in items.iter().enumerate() {
                    write!(out, "{}{item}", if index == 0 { "[" } else { "," })?;
                }
                out.write_str(if items.is_empty() { "[]" } else { "]" })
            }
            Self::Map(items) => {
                for (index, (key, item)) in items.iter().enumerate() {
                    let start = if index == 0 { "{" } else { "," };
                    write!(out, "{start}{}:{item}", Json::from(key.as_str()))?;
                }
                out.write_str(if items.is_empty() { "{}" } else { "}" })
            }
            Self::Dynamic(kind, value) => {
                write!(out, "{{\"type\":{},\"value\":{value}}}", kind.to_json())
            }
        }
    }
}
