//! The part of a page that lists attributes.

use std::fmt::Write as _;

use crate::dynamic::Dyn;
use crate::schema::{Attribute, Kind, Nesting, Schema, Type};

/// Where readers learn what a write-only attribute is.
const WRITE_ONLY: &str =
    "https://developer.hashicorp.com/terraform/language/resources/ephemeral#write-only-arguments";

/// Writes all attributes, those of nested objects behind them.
pub(super) fn write_schema(page: &mut String, schema: &Schema) {
    page.push_str("\n## Schema\n");
    let mut nested = Vec::new();
    write_groups(page, schema, "", ["### Required", "### Optional", "### Read-Only"], &mut nested);
    // Nested objects may have nested objects: each is put behind the one that names it.
    let mut next = 0;
    while let Some((place, schema)) = nested.get(next).cloned() {
        let anchor = place.replace('.', "--");
        let _ =
            write!(page, "\n<a id=\"nestedatt--{anchor}\"></a>\n### Nested Schema for `{place}`\n");
        let mut inner = Vec::new();
        write_groups(page, &schema, &place, ["Required:", "Optional:", "Read-Only:"], &mut inner);
        next += 1;
        nested.splice(next..next, inner);
    }
}

/// Writes the attributes by who sets them, and collects what is nested in them.
fn write_groups(
    page: &mut String,
    schema: &Schema,
    place: &str,
    titles: [&str; 3],
    nested: &mut Vec<(String, Schema)>,
) {
    let groups: [fn(&Attribute) -> bool; 3] = [
        |attribute| attribute.required,
        |attribute| attribute.optional,
        |attribute| !attribute.required && !attribute.optional,
    ];
    for (title, belongs) in titles.into_iter().zip(groups) {
        let mut attributes: Vec<_> =
            schema.attributes.iter().filter(|attribute| belongs(attribute)).collect();
        if attributes.is_empty() {
            continue;
        }
        attributes.sort_by_key(|attribute| attribute.name);
        let _ = write!(page, "\n{title}\n\n");
        for attribute in attributes {
            write_attribute(page, attribute, place, nested);
        }
    }
}

fn write_attribute(
    page: &mut String,
    attribute: &Attribute,
    place: &str,
    nested: &mut Vec<(String, Schema)>,
) {
    let mut kind = kind_name(&attribute.kind);
    if attribute.sensitive {
        kind.push_str(", Sensitive");
    }
    if attribute.write_only {
        let _ = write!(kind, ", [Write-only]({WRITE_ONLY})");
    }
    if attribute.deprecated.is_some() {
        kind.push_str(", Deprecated");
    }
    let text = attribute.description.replace("\n\n", " ");
    let _ = write!(page, "- `{}` ({kind}) {text}", attribute.name);
    if let Some(default) = attribute.default.and_then(|default| show(&default())) {
        let _ = write!(page, " Default: `{default}`.");
    }
    if attribute.replace {
        page.push_str(" Changing this replaces the object.");
    }
    if let Some(reason) = attribute.deprecated {
        let _ = write!(page, " Deprecated: {reason}");
    }
    if let Kind::Nested(_, schema) = &attribute.kind {
        let dot = if place.is_empty() { "" } else { "." };
        let place = format!("{place}{dot}{}", attribute.name);
        let anchor = place.replace('.', "--");
        let _ = write!(page, " (see [below for nested schema](#nestedatt--{anchor}))");
        nested.push((place, schema.clone()));
    }
    page.push('\n');
}

fn kind_name(kind: &Kind) -> String {
    match kind {
        Kind::Nested(Nesting::Single, _) => "Attributes".to_owned(),
        Kind::Nested(Nesting::List, _) => "Attributes List".to_owned(),
        Kind::Nested(Nesting::Set, _) => "Attributes Set".to_owned(),
        Kind::Nested(Nesting::Map, _) => "Attributes Map".to_owned(),
        Kind::Plain(plain) => type_name(plain),
    }
}

pub(super) fn type_name(plain: &Type) -> String {
    match plain {
        Type::String => "String".to_owned(),
        Type::Number => "Number".to_owned(),
        Type::Bool => "Boolean".to_owned(),
        Type::List(item) => format!("List of {}", type_name(item)),
        Type::Set(item) => format!("Set of {}", type_name(item)),
        Type::Map(item) => format!("Map of {}", type_name(item)),
        Type::Object(_) => "Object".to_owned(),
    }
}

/// A default that is short enough to be shown.
fn show(value: &Dyn) -> Option<String> {
    match value {
        Dyn::Bool(value) => Some(value.to_string()),
        Dyn::Number(number) => Some(number.to_string()),
        Dyn::String(text) => Some(text.clone()),
        Dyn::List(items) if items.is_empty() => Some("[]".to_owned()),
        _ => None,
    }
}
