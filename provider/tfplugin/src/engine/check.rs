//! Finds what is wrong with a configuration, before anything is planned.

use crate::attribute::invalid;
use crate::diag::{Diag, Diags};
use crate::dynamic::Dyn;
use crate::engine::{Shape, plan, same, with_write_only};
use crate::path::Path;
use crate::schema::{Attribute, Kind, Nesting, Schema};

/// All faults of a configuration: of single attributes, and if there are none and everything is
/// known, those that the author finds between them, with the defaults filled in.
pub(crate) fn find_config_faults(
    shape: &Shape,
    config: &Dyn,
    validate: impl FnOnce(&Dyn) -> Diags,
) -> Diags {
    let schema = &shape.schema;
    let mut diags = Diags::none();
    find_faults(schema, config, &Path::root(), &mut diags);
    if !diags.has_errors() && config.is_wholly_known() {
        let filled = plan(schema, config, &Dyn::Null).value;
        diags.extend(validate(&with_write_only(schema, &filled, config)));
    }
    diags
}

/// Checks every value that is there and known; Terraform asks again when more is known.
pub(crate) fn find_faults(schema: &Schema, config: &Dyn, path: &Path, diags: &mut Diags) {
    for attribute in &schema.attributes {
        let value = config.attribute(attribute.name);
        let path = path.attribute(attribute.name);
        if value.is_null() {
            if attribute.required {
                diags.push(
                    Diag::error(format!("Missing value for {path}"))
                        .detail("It is required, and must not be null.")
                        .at(&path),
                );
            }
            continue;
        }
        if value.is_unknown() {
            continue;
        }
        match &attribute.kind {
            Kind::Plain(_) => attribute.find_faults(value, &path, diags),
            Kind::Nested(nesting, nested) => {
                if *nesting == Nesting::Set {
                    find_twins(attribute, nested, value, &path, diags);
                }
                for (path, item) in elements(*nesting, value, &path) {
                    match item {
                        Dyn::Map(_) => find_faults(nested, item, &path, diags),
                        Dyn::Null => diags.extend(invalid(&path, "It must not be null.")),
                        _ => {}
                    }
                }
                attribute.validate(value, &path, diags);
            }
        }
    }
}

/// Two elements of a set that differ only in what one of them leaves to a default would become
/// one, and Terraform would miss the other.
fn find_twins(attribute: &Attribute, schema: &Schema, value: &Dyn, path: &Path, diags: &mut Diags) {
    let kind = Kind::Nested(Nesting::Single, schema.clone()).as_type();
    let filled: Vec<_> =
        value.items().iter().map(|item| plan(schema, item, &Dyn::Null).value).collect();
    let has_twin = filled.iter().enumerate().any(|(place, item)| {
        item.is_wholly_known() && filled[..place].iter().any(|other| same(&kind, other, item))
    });
    if has_twin {
        let fault = invalid(
            path,
            "Two of its elements are the same once their defaults are filled in; remove one.",
        );
        diags.extend(fault.into_iter().map(|diag| attribute.redact(diag)));
    }
}

/// Where write-only values were written.
pub(crate) fn find_write_only(schema: &Schema, config: &Dyn, path: &Path) -> Vec<Path> {
    let mut found = Vec::new();
    for attribute in &schema.attributes {
        let (value, path) = (config.attribute(attribute.name), path.attribute(attribute.name));
        if attribute.write_only && !value.is_null() {
            found.push(path);
        } else if let Kind::Nested(nesting, nested) = &attribute.kind {
            for (path, item) in elements(*nesting, value, &path) {
                found.extend(find_write_only(nested, item, &path));
            }
        }
    }
    found
}

/// The objects of a nested attribute, each with its path.
fn elements<'a>(nesting: Nesting, value: &'a Dyn, path: &Path) -> Vec<(Path, &'a Dyn)> {
    match (nesting, value) {
        (Nesting::Single, value) => vec![(path.clone(), value)],
        (Nesting::List, Dyn::List(items)) => {
            items.iter().enumerate().map(|(index, item)| (path.index(index), item)).collect()
        }
        // They have no place of their own: what is said of one is said of the set.
        (Nesting::Set, Dyn::List(items)) => items.iter().map(|item| (path.clone(), item)).collect(),
        (Nesting::Map, Dyn::Map(items)) => {
            items.iter().map(|(key, item)| (path.key(key), item)).collect()
        }
        _ => Vec::new(),
    }
}
