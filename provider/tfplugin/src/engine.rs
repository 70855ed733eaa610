//! What the framework does with values: pure functions of schema and values, no author code.

mod check;
mod fill;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::diag::Diags;
use crate::dynamic::Dyn;
use crate::model::Model;
use crate::path::Path;
use crate::schema::{Attribute, Kind, Nesting, Schema, Type};

pub(crate) use check::{find_config_faults, find_faults, find_write_only};
pub(crate) use fill::{fill, settle};
pub(crate) use plan::{Planned, configuration, plan, with_defaults, with_write_only};

/// The schema of a model as Terraform sees it, and the types of its objects and identities.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) schema: Schema,
    pub(crate) object: Type,
    pub(crate) identity: Type,
}

impl Shape {
    /// Of a resource: with the framework's own attributes.
    pub(crate) fn of_resource<M: Model>() -> Self {
        let mut schema = M::schema();
        schema.attributes.extend(schema.timeouts.as_ref().map(Attribute::timeouts));
        Self::of(schema)
    }

    /// Of a data source or an ephemeral resource: there is nothing to write.
    pub(crate) fn of_looked_up<M: Model>() -> Self {
        let shape = Self::of_resource::<M>();
        assert!(!shape.schema.has_write_only(), "only resources can have write-only attributes");
        shape
    }

    /// Of a provider block: nothing in it is computed, not even what has a default.
    pub(crate) fn of_provider<M: Model>() -> Self {
        fn written_only(schema: &mut Schema) {
            for attribute in &mut schema.attributes {
                attribute.computed = false;
                if let Kind::Nested(_, nested) = &mut attribute.kind {
                    written_only(nested);
                }
            }
        }
        let mut schema = M::schema();
        assert!(!schema.has_write_only(), "only resources can have write-only attributes");
        written_only(&mut schema);
        Self::of(schema)
    }

    fn of(schema: Schema) -> Self {
        assert_sound(&schema, "");
        let object = Kind::Nested(Nesting::Single, schema.clone()).as_type();
        let identity = schema.identity().map(|one| (one.name.to_owned(), one.kind.as_type()));
        let identity = Type::Object(identity.collect());
        Self { schema, object, identity }
    }
}

/// Finds what the derive cannot see. An author meets this in the first run.
fn assert_sound(schema: &Schema, place: &str) {
    let mut names = BTreeSet::new();
    for attribute in &schema.attributes {
        let place = format!("{place}{}", attribute.name);
        assert!(names.insert(attribute.name), "there are two attributes {place}");
        if let Kind::Nested(Nesting::Set, nested) = &attribute.kind {
            assert_addressless(nested, &place);
        }
        assert!(
            !attribute.write_only || matches!(attribute.kind, Kind::Plain(_)),
            "{place} is write-only: that is said of the values in it"
        );
        if let Some(default) = attribute.default {
            let mut faults = Diags::none();
            attribute.find_faults(&default(), &Path::from(place.as_str()), &mut faults);
            assert!(faults.is_empty(), "the default of {place} is not valid: {faults:?}");
        }
        if let Kind::Nested(_, nested) = &attribute.kind {
            assert_sound(nested, &format!("{place}."));
        }
    }
}

/// An element of a set is found by its value alone, so it has no place of its own.
fn assert_addressless(schema: &Schema, place: &str) {
    assert!(!schema.has_write_only(), "{place} is a set: it cannot have write-only values in it");
    let replace = schema.attributes.iter().find(|attribute| attribute.replace);
    assert!(
        replace.is_none(),
        "{place} is a set: its elements come and go, so that none can ask for a replacement"
    );
}

/// Are two values of a type the same? The order of a set does not count.
pub(crate) fn same(kind: &Type, a: &Dyn, b: &Dyn) -> bool {
    match (kind, a, b) {
        // What a promise says of an unknown value does not make it another value.
        (_, Dyn::Unknown(_), Dyn::Unknown(_)) => true,
        (Type::Set(item), Dyn::List(ours), Dyn::List(theirs)) => {
            let mut left: Vec<_> = theirs.iter().collect();
            ours.len() == left.len()
                && ours.iter().all(|value| {
                    let found = left.iter().position(|other| same(item, value, other));
                    found.map(|place| left.swap_remove(place)).is_some()
                })
        }
        (Type::List(item), Dyn::List(ours), Dyn::List(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(item, a, b))
        }
        (Type::Map(item), Dyn::Map(ours), Dyn::Map(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(key, value)| {
                    theirs.get(key).is_some_and(|other| same(item, value, other))
                })
        }
        (Type::Object(attributes), Dyn::Map(_), Dyn::Map(_)) => {
            attributes.iter().all(|(name, kind)| same(kind, a.attribute(name), b.attribute(name)))
        }
        _ => a == b,
    }
}

/// Are two objects the same but for what the framework itself handles?
pub(crate) fn same_for_author(schema: &Schema, a: &Dyn, b: &Dyn) -> bool {
    a.is_null() == b.is_null()
        && schema.attributes.iter().filter(|attribute| !attribute.framework).all(|attribute| {
            same(
                &attribute.kind.as_type(),
                a.attribute(attribute.name),
                b.attribute(attribute.name),
            )
        })
}

/// Is the value of the type, as far as it is known?
pub(crate) fn conforms(kind: &Type, value: &Dyn) -> bool {
    match (kind, value) {
        (_, Dyn::Null | Dyn::Unknown(_))
        | (Type::String, Dyn::String(_))
        | (Type::Number, Dyn::Number(_))
        | (Type::Bool, Dyn::Bool(_)) => true,
        (Type::List(item) | Type::Set(item), Dyn::List(items)) => {
            items.iter().all(|value| conforms(item, value))
        }
        (Type::Map(item), Dyn::Map(items)) => items.values().all(|value| conforms(item, value)),
        (Type::Object(attributes), Dyn::Map(items)) => {
            attributes.len() == items.len()
                && attributes
                    .iter()
                    .all(|(name, kind)| items.get(name).is_some_and(|value| conforms(kind, value)))
        }
        _ => false,
    }
}
