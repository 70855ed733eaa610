//! The schema as it comes over the wire, and Terraform's rules for it.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::{Rule, Violation};
use super::value::{Type, Value};
use crate::wire::tfplugin6 as tf;
use tf::schema::object::NestingMode;

/// The attributes of a block or of nested objects.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) version: i64,
    pub(crate) attributes: Vec<Attribute>,
}

#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "these are Terraform's own independent flags")]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    pub(crate) optional: bool,
    pub(crate) computed: bool,
    pub(crate) sensitive: bool,
    pub(crate) write_only: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Plain(Type),
    Nested(Nesting, Object),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nesting {
    Single,
    List,
    Set,
    Map,
}

/// Names that Terraform itself uses in a resource.
const RESERVED: [&str; 7] =
    ["count", "for_each", "depends_on", "lifecycle", "provider", "provisioner", "connection"];

impl Object {
    /// Reads a schema; the name is for the violations.
    pub(crate) fn read(name: &str, schema: &tf::Schema) -> Result<Self, Vec<Violation>> {
        let mut faults = Vec::new();
        let block = schema.block.clone().unwrap_or_default();
        if let Some(nested) = block.block_types.first() {
            let place = format!("{name}.{}", nested.type_name);
            let said = "this harness plays Terraform for attributes only, and this is a block";
            faults.push(Violation::new(Rule::Schema, &place, said));
        }
        let object = Self {
            version: schema.version,
            attributes: attributes(&block.attributes, name, &mut faults),
        };
        for attribute in &object.attributes {
            if RESERVED.contains(&attribute.name.as_str()) {
                let place = format!("{name}.{}", attribute.name);
                faults.push(Violation::new(Rule::Schema, &place, "the name is Terraform's own"));
            }
        }
        if faults.is_empty() { Ok(object) } else { Err(faults) }
    }

    pub(crate) fn kind(&self) -> Type {
        let attributes = self.attributes.iter();
        Type::Object(attributes.map(|one| (one.name.clone(), one.kind.as_type())).collect())
    }

    /// Where a write-only attribute has a value.
    pub(crate) fn written_only(&self, value: &Value) -> Option<String> {
        self.places(value, "")
            .find(|(attribute, value, _)| attribute.write_only && !value.is_null())
            .map(|(_, _, path)| path)
    }

    /// What must never be shown.
    pub(crate) fn secrets(&self, value: &Value) -> Vec<String> {
        let hidden = |attribute: &Attribute| attribute.sensitive || attribute.write_only;
        let places = self.places(value, "").filter(|(attribute, ..)| hidden(attribute));
        places.flat_map(|(_, value, _)| texts(&value)).collect()
    }

    /// Every attribute of a value, at every depth, with its path.
    fn places<'a>(
        &'a self,
        value: &Value,
        path: &str,
    ) -> Box<dyn Iterator<Item = (&'a Attribute, Value, String)> + 'a> {
        let Value::Map(items) = value else { return Box::new(std::iter::empty()) };
        let (items, path) = (items.clone(), path.to_owned());
        Box::new(self.attributes.iter().flat_map(move |attribute| {
            let value = items.get(&attribute.name).cloned().unwrap_or(Value::Null);
            let path = format!("{path}.{}", attribute.name);
            let mut found = vec![(attribute, value.clone(), path.clone())];
            if let Kind::Nested(nesting, nested) = &attribute.kind {
                for (item, place) in objects(*nesting, &value, &path) {
                    found.extend(nested.places(&item, &place));
                }
            }
            found
        }))
    }
}

impl Kind {
    pub(crate) fn as_type(&self) -> Type {
        match self {
            Self::Plain(kind) => kind.clone(),
            Self::Nested(nesting, object) => {
                let object = Box::new(object.kind());
                match nesting {
                    Nesting::Single => *object,
                    Nesting::List => Type::List(object),
                    Nesting::Set => Type::Set(object),
                    Nesting::Map => Type::Map(object),
                }
            }
        }
    }
}

/// The objects that a nested attribute holds, with their paths.
fn objects(nesting: Nesting, value: &Value, path: &str) -> Vec<(Value, String)> {
    match (nesting, value) {
        (Nesting::Single, _) => vec![(value.clone(), path.to_owned())],
        (Nesting::Map, _) => {
            value.entries().map(|(key, item)| (item.clone(), format!("{path}[{key:?}]"))).collect()
        }
        (Nesting::List | Nesting::Set, _) => {
            let items = value.elements().iter().enumerate();
            items.map(|(index, item)| (item.clone(), format!("{path}[{index}]"))).collect()
        }
    }
}

/// The texts in a value.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::List(items) | Value::Set(items) => items.iter().flat_map(texts).collect(),
        Value::Map(items) => items.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

fn attributes(
    attributes: &[tf::schema::Attribute],
    path: &str,
    faults: &mut Vec<Violation>,
) -> Vec<Attribute> {
    let mut names = BTreeSet::new();
    let mut read = Vec::new();
    for wire in attributes {
        let path = format!("{path}.{}", wire.name);
        let mut fault = |said: &str| faults.push(Violation::new(Rule::Schema, &path, said));
        let clean = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !names.insert(&wire.name) {
            fault("there are two of this name");
        }
        if wire.name.is_empty() || !wire.name.bytes().all(clean) {
            fault("the name is none: small letters, digits and underscores");
        }
        if wire.required && (wire.optional || wire.computed) {
            fault("required, and yet optional or computed");
        }
        if !(wire.required || wire.optional || wire.computed) {
            fault("neither required, optional nor computed");
        }
        if wire.write_only && wire.computed {
            fault("write-only, and yet computed");
        }
        let kind = match (&wire.nested_type, serde_json::from_slice(&wire.r#type).ok()) {
            (None, Some(json)) => Type::parse(&json).map(Kind::Plain),
            (Some(nested), None) => {
                let nesting = match nested.nesting() {
                    NestingMode::Single => Some(Nesting::Single),
                    NestingMode::List => Some(Nesting::List),
                    NestingMode::Set => Some(Nesting::Set),
                    NestingMode::Map => Some(Nesting::Map),
                    NestingMode::Invalid => None,
                };
                let attributes = self::attributes(&nested.attributes, &path, faults);
                nesting.map(|nesting| Kind::Nested(nesting, Object { version: 0, attributes }))
            }
            _ => None,
        };
        let Some(kind) = kind else {
            let said = "it has no type that can be read, or two of them";
            faults.push(Violation::new(Rule::Schema, &path, said));
            continue;
        };
        if let Kind::Nested(Nesting::Set, nested) = &kind
            && nested.attributes.iter().any(|one| one.write_only)
        {
            let said = "a set cannot hold what is write-only";
            faults.push(Violation::new(Rule::Schema, &path, said));
        }
        read.push(Attribute {
            name: wire.name.clone(),
            kind,
            required: wire.required,
            optional: wire.optional,
            computed: wire.computed,
            sensitive: wire.sensitive,
            write_only: wire.write_only,
        });
    }
    read
}

/// Reads the schemas of a map of resources.
pub(crate) fn all(
    schemas: &BTreeMap<String, tf::Schema>,
) -> Result<BTreeMap<String, Object>, Vec<Violation>> {
    let schemas = schemas.iter();
    schemas.map(|(name, schema)| Ok((name.clone(), Object::read(name, schema)?))).collect()
}
