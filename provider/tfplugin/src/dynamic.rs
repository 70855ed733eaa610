//! Any Terraform value, untyped: what the plan engine and the codecs work on.

use std::collections::BTreeMap;

use crate::number::Number;
use crate::promises::Promises;

/// Any Terraform value. Lists and sets are both [`Dyn::List`], maps and objects both
/// [`Dyn::Map`]; the schema tells them apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Dyn {
    /// No value.
    #[default]
    Null,
    /// A value that is only known after apply, and what is promised of it.
    Unknown(Promises),
    /// A boolean.
    Bool(bool),
    /// A number of any size.
    Number(Number),
    /// Text.
    String(String),
    /// A list or a set.
    List(Vec<Self>),
    /// A map or an object.
    Map(BTreeMap<String, Self>),
}

pub(crate) const UNKNOWN: Dyn = Dyn::Unknown(Promises::NONE);

static NULL: Dyn = Dyn::Null;

impl Dyn {
    /// An object with these attributes.
    pub fn object<const N: usize>(attributes: [(&str, Self); N]) -> Self {
        Self::Map(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Is it null?
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Is the value as a whole unknown?
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// Is nothing in it unknown?
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Self::Unknown(_) => false,
            Self::List(items) => items.iter().all(Self::is_wholly_known),
            Self::Map(items) => items.values().all(Self::is_wholly_known),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => true,
        }
    }

    /// How many parts of it are unknown?
    pub(crate) fn unknown_parts(&self) -> usize {
        match self {
            Self::Unknown(_) => 1,
            Self::List(items) => items.iter().map(Self::unknown_parts).sum(),
            Self::Map(items) => items.values().map(Self::unknown_parts).sum(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => 0,
        }
    }

    /// An attribute of an object; null when this is no object or has no such attribute.
    pub fn attribute(&self, name: &str) -> &Self {
        match self {
            Self::Map(items) => items.get(name).unwrap_or(&NULL),
            _ => &NULL,
        }
    }

    /// The elements of a list or set; none for anything else.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// What kind of value this is, for messages.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Unknown(_) => "a value known only after apply",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }

    /// This value with every unknown part replaced by null.
    pub(crate) fn without_unknowns(self) -> Self {
        match self {
            Self::Unknown(_) => Self::Null,
            Self::List(items) => {
                Self::List(items.into_iter().map(Self::without_unknowns).collect())
            }
            Self::Map(items) => Self::Map(
                items.into_iter().map(|(key, value)| (key, value.without_unknowns())).collect(),
            ),
            other => other,
        }
    }
}

impl From<&str> for Dyn {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}
