//! What a resource or the provider block looks like: attributes, their types and their manners.
//!
//! `#[derive(Model)]` writes these; the plan engine, the codecs and the documentation read them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::attribute::AttributeType;
use crate::diag::{Diag, Diags};
use crate::duration;
use crate::dynamic::Dyn;
use crate::path::Path;
use crate::promises::Promises;

/// The schema of a resource, of the provider block, or of a nested object.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The version of the state's shape.
    pub version: i64,
    /// What it is, in Markdown.
    pub description: String,
    /// The attributes, in the order of the struct.
    pub attributes: Vec<Attribute>,
    /// The version of the identity's shape.
    pub identity_version: i64,
    /// Time limits of the operations; `Some` adds the attribute `timeouts`.
    pub timeouts: Option<Timeouts>,
}

impl Schema {
    /// The attribute with this name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The attributes that tell an object from all others of its kind.
    pub(crate) fn identity(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|attribute| attribute.identity)
    }

    /// Is there an attribute, at any depth, whose value is never stored?
    pub(crate) fn has_write_only(&self) -> bool {
        self.attributes.iter().any(|attribute| {
            attribute.write_only
                || matches!(&attribute.kind, Kind::Nested(_, nested) if nested.has_write_only())
        })
    }
}

/// The default time limit of each operation; without one it may take as long as it takes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timeouts {
    /// Of create.
    pub create: Option<Duration>,
    /// Of read.
    pub read: Option<Duration>,
    /// Of update.
    pub update: Option<Duration>,
    /// Of delete.
    pub delete: Option<Duration>,
    /// Of an ephemeral resource's open.
    pub open: Option<Duration>,
}

/// One attribute.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "these are Terraform's own independent flags")]
pub struct Attribute {
    /// Its name in HCL.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What it means, in Markdown.
    pub description: String,
    /// Must it be written?
    pub required: bool,
    /// May it be written?
    pub optional: bool,
    /// May the provider set it?
    pub computed: bool,
    /// Is its value hidden?
    pub sensitive: bool,
    /// Is its value for the operation alone, and never stored?
    pub write_only: bool,
    /// Is it part of what tells the object from all others of its kind?
    pub identity: bool,
    /// Why it should not be used any more.
    pub deprecated: Option<&'static str>,
    /// Does a change need a new object?
    pub replace: bool,
    /// Does a computed value stay as it is when something else changes?
    pub keep: bool,
    /// Is a computed value promised not to be null?
    pub not_null: bool,
    /// With what a computed text is promised to begin.
    pub prefix: Option<&'static str>,
    /// The value when nothing is written.
    pub default: Option<fn() -> Dyn>,
    /// Finds what is wrong with a written value. Unknown and null parts are not looked at.
    pub check: Check,
    /// The author's own check.
    pub validate: Option<Check>,
    /// How the type would write this value; equal answers mean the same value.
    pub canonical: fn(&Dyn) -> Option<Dyn>,
    /// Does the framework itself handle it (`timeouts`)? Then it is not part of the model.
    pub framework: bool,
}

/// A function that finds what is wrong with a value.
pub type Check = fn(&Dyn, &Path, &mut Diags);

impl Attribute {
    /// An attribute of this type, with no manners yet.
    pub fn of<T: AttributeType>(name: &'static str, description: &str) -> Self {
        Self {
            name,
            kind: T::kind(),
            description: description.to_owned(),
            required: false,
            optional: false,
            computed: false,
            sensitive: T::SENSITIVE,
            write_only: false,
            identity: false,
            deprecated: None,
            replace: false,
            keep: false,
            not_null: false,
            prefix: None,
            default: None,
            check: T::check,
            validate: None,
            canonical: |value| {
                value.is_wholly_known().then_some(())?;
                T::decode(value, &Path::root()).ok().map(|typed| typed.encode())
            },
            framework: false,
        }
    }

    /// The framework's own `timeouts` attribute.
    pub(crate) fn timeouts(timeouts: &Timeouts) -> Self {
        let mut attributes = Vec::new();
        let operations = [
            ("a create", timeouts.create),
            ("a read", timeouts.read),
            ("an update", timeouts.update),
            ("a delete", timeouts.delete),
            ("an open", timeouts.open),
        ];
        for (operation, default) in operations {
            let Some(default) = default else { continue };
            let description = format!(
                "How long {operation} may take, for instance `90s` or `1h30m`. Default: `{}`.",
                duration::format(default)
            );
            let name = operation.split(' ').next_back().unwrap_or_default();
            let mut attribute = Self::of::<Option<Duration>>(name, &description);
            attribute.optional = true;
            attributes.push(attribute);
        }
        let kind = Kind::Nested(Nesting::Single, Schema { attributes, ..Schema::default() });
        Self {
            kind,
            optional: true,
            framework: true,
            ..Self::of::<String>("timeouts", "How long the operations may take.")
        }
    }

    /// Runs the checks of the type and of the author, hiding what a sensitive value says.
    pub(crate) fn find_faults(&self, value: &Dyn, path: &Path, diags: &mut Diags) {
        let mut found = Diags::none();
        (self.check)(value, path, &mut found);
        let is_sound = !found.has_errors();
        diags.extend(found.into_iter().map(|diag| self.redact(diag)));
        if is_sound {
            self.validate(value, path, diags);
        }
    }

    /// Runs the author's check alone.
    pub(crate) fn validate(&self, value: &Dyn, path: &Path, diags: &mut Diags) {
        let Some(validate) = self.validate else { return };
        let mut found = Diags::none();
        validate(value, path, &mut found);
        diags.extend(found.into_iter().map(|diag| self.redact(diag)));
    }

    /// What is promised of a value that is not known yet.
    pub(crate) fn promises(&self) -> Promises {
        match (self.prefix, self.not_null) {
            (Some(prefix), _) => Promises::NOT_NULL.prefix(prefix),
            (None, true) => Promises::NOT_NULL,
            (None, false) => Promises::NONE,
        }
    }

    pub(crate) fn redact(&self, diag: Diag) -> Diag {
        if self.sensitive {
            diag.detail("The value is sensitive, so the reason is not shown.")
        } else {
            diag
        }
    }
}

/// The parameters and the result of a function.
#[derive(Debug, Clone)]
pub struct Signature {
    /// What it does, in one line.
    pub summary: String,
    /// What it does, in Markdown.
    pub description: String,
    /// The parameters that are always given, in order.
    pub parameters: Vec<Parameter>,
    /// The parameter that may be given any number of times, at the end.
    pub variadic: Option<Parameter>,
    /// The type of the result.
    pub output: Type,
    /// Why it should not be used any more.
    pub deprecated: Option<&'static str>,
}

/// A parameter of a function.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// May the argument be null? Otherwise Terraform refuses it.
    pub nullable: bool,
    /// May the argument be unknown? Otherwise Terraform does not call, and the result is unknown.
    pub unknowable: bool,
    /// What it means, in Markdown.
    pub description: String,
}

/// What an attribute holds.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A value without attributes of its own.
    Plain(Type),
    /// One object or a collection of objects, each with attributes of their own.
    Nested(Nesting, Schema),
}

/// How nested objects are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nesting {
    /// One object.
    Single,
    /// A list of objects.
    List,
    /// A set of objects.
    Set,
    /// Objects by name.
    Map,
}

impl Kind {
    /// The same as a plain type.
    pub fn as_type(&self) -> Type {
        match self {
            Self::Plain(plain) => plain.clone(),
            Self::Nested(nesting, schema) => {
                let attributes = schema.attributes.iter();
                let object = Type::Object(
                    attributes.map(|one| (one.name.to_owned(), one.kind.as_type())).collect(),
                );
                match nesting {
                    Nesting::Single => object,
                    Nesting::List => Type::List(Box::new(object)),
                    Nesting::Set => Type::Set(Box::new(object)),
                    Nesting::Map => Type::Map(Box::new(object)),
                }
            }
        }
    }

    /// A list of these.
    #[must_use]
    pub fn list(self) -> Self {
        match self {
            Self::Nested(Nesting::Single, schema) => Self::Nested(Nesting::List, schema),
            other => Self::Plain(Type::List(Box::new(other.as_type()))),
        }
    }

    /// A set of these.
    #[must_use]
    pub fn set(self) -> Self {
        match self {
            Self::Nested(Nesting::Single, schema) => Self::Nested(Nesting::Set, schema),
            other => Self::Plain(Type::Set(Box::new(other.as_type()))),
        }
    }

    /// A map of these.
    #[must_use]
    pub fn map(self) -> Self {
        match self {
            Self::Nested(Nesting::Single, schema) => Self::Nested(Nesting::Map, schema),
            other => Self::Plain(Type::Map(Box::new(other.as_type()))),
        }
    }
}

/// A Terraform type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// A string.
    String,
    /// A number of any size.
    Number,
    /// A boolean.
    Bool,
    /// A list.
    List(Box<Self>),
    /// A set.
    Set(Box<Self>),
    /// A map with string keys.
    Map(Box<Self>),
    /// An object.
    Object(BTreeMap<String, Self>),
}

impl Type {
    /// Terraform's JSON spelling of the type.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::json;
        match self {
            Self::String => json!("string"),
            Self::Number => json!("number"),
            Self::Bool => json!("bool"),
            Self::List(item) => json!(["list", item.to_json()]),
            Self::Set(item) => json!(["set", item.to_json()]),
            Self::Map(item) => json!(["map", item.to_json()]),
            Self::Object(attributes) => {
                let attributes: serde_json::Map<_, _> =
                    attributes.iter().map(|(name, kind)| (name.clone(), kind.to_json())).collect();
                json!(["object", attributes])
            }
        }
    }
}
