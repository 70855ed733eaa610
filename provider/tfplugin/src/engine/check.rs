//! Finds what is wrong with a configuration, before anything is planned.

use crate::attribute::invalid;
use crate::diag::{Diag, Diags};
use crate::dynamic::Dyn;
use crate::path::Path;
use crate::schema::{Kind, Nesting, Schema};

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

/// The objects of a nested attribute, each with its path.
fn elements<'a>(nesting: Nesting, value: &'a Dyn, path: &Path) -> Vec<(Path, &'a Dyn)> {
    match (nesting, value) {
        (Nesting::Single, value) => vec![(path.clone(), value)],
        (Nesting::List, Dyn::List(items)) => {
            items.iter().enumerate().map(|(index, item)| (path.index(index), item)).collect()
        }
        (Nesting::Map, Dyn::Map(items)) => {
            items.iter().map(|(key, item)| (path.key(key), item)).collect()
        }
        _ => Vec::new(),
    }
}
