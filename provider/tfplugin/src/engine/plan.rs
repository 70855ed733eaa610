//! From configuration and prior state to planned state.
//!
//! A planned value is what the user wrote, or the prior value where that means the same, or for
//! computed attributes a default, the prior value, or "known after apply". Nothing else can
//! come out, so Terraform's rules for plans cannot be broken here. The plan is a function of
//! configuration and prior state alone: Terraform makes it again during apply and compares.

use std::collections::BTreeMap;

use crate::dynamic::Dyn;
use crate::engine::{same, same_for_author};
use crate::path::Path;
use crate::schema::{Attribute, Kind, Nesting, Schema};

/// A planned object, and the changes that need a new one.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) value: Dyn,
    pub(crate) replace: Vec<Path>,
}

/// Plans one object.
pub(crate) fn plan(schema: &Schema, config: &Dyn, prior: &Dyn) -> Planned {
    if config.is_null() {
        return Planned { value: Dyn::Null, replace: Vec::new() };
    }
    let mut value = object(schema, config, prior, Computed::Stays);
    if prior.is_null() || !same_for_author(schema, &value, prior) {
        value = object(schema, config, prior, Computed::MayChange);
    }
    let mut replace = Vec::new();
    if !prior.is_null() {
        find_replacements(schema, config, prior, &value, &Path::root(), &mut replace);
    }
    Planned { value, replace }
}

/// A state in which attributes that a newer provider added have their defaults.
pub(crate) fn with_defaults(schema: &Schema, state: &Dyn) -> Dyn {
    let Dyn::Map(items) = state else { return state.clone() };
    let mut items = items.clone();
    for attribute in &schema.attributes {
        let value = match (items.get(attribute.name), attribute.default) {
            (None | Some(Dyn::Null), Some(default)) => default(),
            (None | Some(Dyn::Null), None) => continue,
            (Some(value), _) => value.clone(),
        };
        let value = match &attribute.kind {
            Kind::Plain(_) => value,
            Kind::Nested(nesting, nested) => {
                each(*nesting, &value, &Dyn::Null, |item, _| with_defaults(nested, item))
            }
        };
        items.insert(attribute.name.to_owned(), value);
    }
    Dyn::Map(items)
}

/// An object with the write-only values of its configuration, for the time of an operation.
pub(crate) fn with_write_only(schema: &Schema, value: &Dyn, config: &Dyn) -> Dyn {
    let Dyn::Map(items) = value else { return value.clone() };
    let mut items = items.clone();
    for attribute in &schema.attributes {
        let written = config.attribute(attribute.name);
        if attribute.write_only {
            items.insert(attribute.name.to_owned(), written.clone());
        } else if let (Kind::Nested(nesting, nested), Some(value)) =
            (&attribute.kind, items.get(attribute.name))
            && nested.has_write_only()
        {
            let value = each(*nesting, value, written, |item, config| {
                with_write_only(nested, item, config)
            });
            items.insert(attribute.name.to_owned(), value);
        }
    }
    Dyn::Map(items)
}

/// What a user would write to get an object like this one.
pub(crate) fn configuration(schema: &Schema, state: &Dyn) -> Dyn {
    if !matches!(state, Dyn::Map(_)) {
        return state.clone();
    }
    let attributes = schema.attributes.iter().map(|attribute| {
        let value = state.attribute(attribute.name);
        let is_default = attribute
            .default
            .is_some_and(|default| same(&attribute.kind.as_type(), &default(), value));
        let is_needless = is_default || attribute.framework || attribute.deprecated.is_some();
        let value = match &attribute.kind {
            _ if !(attribute.required || attribute.optional) || attribute.write_only => Dyn::Null,
            _ if is_needless && !attribute.required => Dyn::Null,
            Kind::Plain(_) => value.clone(),
            Kind::Nested(nesting, nested) => {
                each(*nesting, value, &Dyn::Null, |item, _| configuration(nested, item))
            }
        };
        (attribute.name.to_owned(), value)
    });
    Dyn::Map(attributes.collect())
}

/// What happens to computed attributes that nobody wrote.
#[derive(Clone, Copy)]
enum Computed {
    /// They have the prior value.
    Stays,
    /// Something changes, so they are unknown, but for those with `keep`.
    MayChange,
}

fn object(schema: &Schema, config: &Dyn, prior: &Dyn, computed: Computed) -> Dyn {
    if !matches!(config, Dyn::Map(_)) {
        return config.clone();
    }
    let attributes = schema.attributes.iter().map(|attribute| {
        let config = config.attribute(attribute.name);
        (attribute.name.to_owned(), planned(attribute, config, prior, computed))
    });
    Dyn::Map(attributes.collect())
}

/// One attribute; `prior` is the object that has it.
fn planned(attribute: &Attribute, config: &Dyn, prior: &Dyn, computed: Computed) -> Dyn {
    let before = prior.attribute(attribute.name);
    let default = attribute.default.filter(|_| config.is_null()).map(|default| default());
    let written = default.as_ref().unwrap_or(config);
    match &attribute.kind {
        _ if attribute.write_only => Dyn::Null,
        _ if written.is_null() && attribute.computed => match computed {
            Computed::Stays if !prior.is_null() => before.clone(),
            Computed::MayChange if attribute.keep && !before.is_null() => before.clone(),
            Computed::Stays | Computed::MayChange => Dyn::Unknown(attribute.promises()),
        },
        Kind::Plain(kind) => {
            if same(kind, written, before) || means_the_same(attribute, written, before) {
                before.clone()
            } else {
                written.clone()
            }
        }
        Kind::Nested(nesting, nested) => {
            let before = counterparts(*nesting, nested, written, before);
            each(*nesting, written, &before, |item, before| object(nested, item, before, computed))
        }
    }
}

/// The prior value of a nested attribute, put in the order of what is written now: elements of a
/// set belong together when they are the same in everything that is written in both.
fn counterparts(nesting: Nesting, schema: &Schema, written: &Dyn, before: &Dyn) -> Dyn {
    let (Nesting::Set, Dyn::List(items), Dyn::List(prior)) = (nesting, written, before) else {
        return before.clone();
    };
    let mut left: Vec<_> = prior.iter().collect();
    let counterpart = |item| {
        let place = left.iter().position(|before| agrees(schema, item, before))?;
        Some(left.remove(place).clone())
    };
    Dyn::List(items.iter().map(counterpart).map(Option::unwrap_or_default).collect())
}

/// Could this configuration, at any depth, have led to this prior value?
fn agrees(schema: &Schema, config: &Dyn, prior: &Dyn) -> bool {
    if !matches!((config, prior), (Dyn::Map(_), Dyn::Map(_))) {
        return config == prior;
    }
    schema.attributes.iter().all(|attribute| {
        let (config, prior) = (config.attribute(attribute.name), prior.attribute(attribute.name));
        let default = attribute.default.filter(|_| config.is_null()).map(|default| default());
        let written = default.as_ref().unwrap_or(config);
        match &attribute.kind {
            _ if written.is_null() && attribute.computed => true,
            Kind::Plain(kind) => {
                same(kind, written, prior) || means_the_same(attribute, written, prior)
            }
            Kind::Nested(Nesting::Single, nested) => agrees(nested, written, prior),
            Kind::Nested(nesting, nested) => {
                let prior = counterparts(*nesting, nested, written, prior);
                let mut all = true;
                each(*nesting, written, &prior, |item, before| {
                    all &= agrees(nested, item, before);
                    Dyn::Null
                });
                all && count(written) == count(&prior)
            }
        }
    })
}

fn count(value: &Dyn) -> usize {
    match value {
        Dyn::Map(items) => items.len(),
        other => other.items().len(),
    }
}

/// Do both values read as the same thing, though they are spelled differently?
pub(super) fn means_the_same(attribute: &Attribute, a: &Dyn, b: &Dyn) -> bool {
    !a.is_null()
        && !b.is_null()
        && (attribute.canonical)(a).is_some_and(|ours| Some(ours) == (attribute.canonical)(b))
}

/// Maps every object of a nested attribute, with its counterpart in another value.
pub(super) fn each(
    nesting: Nesting,
    value: &Dyn,
    other: &Dyn,
    mut map: impl FnMut(&Dyn, &Dyn) -> Dyn,
) -> Dyn {
    match (nesting, value) {
        (Nesting::Single, _) => map(value, other),
        (Nesting::List | Nesting::Set, Dyn::List(items)) => {
            let items = items.iter().enumerate();
            let map = |(index, item)| map(item, other.items().get(index).unwrap_or(&Dyn::Null));
            Dyn::List(items.map(map).collect())
        }
        (Nesting::Map, Dyn::Map(items)) => {
            let map = |(key, item): (&String, &Dyn)| (key.clone(), map(item, other.attribute(key)));
            Dyn::Map(items.iter().map(map).collect::<BTreeMap<_, _>>())
        }
        _ => value.clone(),
    }
}

fn find_replacements(
    schema: &Schema,
    config: &Dyn,
    prior: &Dyn,
    value: &Dyn,
    path: &Path,
    found: &mut Vec<Path>,
) {
    for attribute in &schema.attributes {
        let name = attribute.name;
        let (config, path) = (config.attribute(name), path.attribute(name));
        let (before, after) = (prior.attribute(name), value.attribute(name));
        if same(&attribute.kind.as_type(), before, after) {
            continue;
        }
        // What nobody wrote did not change by anybody's wish.
        let nobody_wrote = config.is_null() && attribute.computed && attribute.default.is_none();
        if attribute.replace && !nobody_wrote {
            found.push(path);
            continue;
        }
        let Kind::Nested(nesting, nested) = &attribute.kind else { continue };
        match (nesting, before, after) {
            (Nesting::Single, Dyn::Map(_), Dyn::Map(_)) => {
                find_replacements(nested, config, before, after, &path, found);
            }
            (Nesting::List, Dyn::List(ours), Dyn::List(theirs)) => {
                for (index, (before, after)) in ours.iter().zip(theirs).enumerate() {
                    let config = config.items().get(index).unwrap_or(&Dyn::Null);
                    find_in_element(nested, config, before, after, &path.index(index), found);
                }
            }
            (Nesting::Map, Dyn::Map(ours), Dyn::Map(theirs)) => {
                for (key, before) in ours {
                    let Some(after) = theirs.get(key) else { continue };
                    let config = config.attribute(key);
                    find_in_element(nested, config, before, after, &path.key(key), found);
                }
            }
            // The whole object comes, goes, or is not known.
            _ if has_replacing(nested) => found.push(path),
            _ => {}
        }
    }
}

fn find_in_element(
    nested: &Schema,
    config: &Dyn,
    before: &Dyn,
    after: &Dyn,
    path: &Path,
    found: &mut Vec<Path>,
) {
    if matches!((before, after), (Dyn::Map(_), Dyn::Map(_))) {
        find_replacements(nested, config, before, after, path, found);
    } else if has_replacing(nested) {
        found.push(path.clone());
    }
}

fn has_replacing(schema: &Schema) -> bool {
    schema.attributes.iter().any(|attribute| {
        attribute.replace
            || matches!(&attribute.kind, Kind::Nested(_, nested) if has_replacing(nested))
    })
}
