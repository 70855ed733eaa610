//! Registry pages, written from the schema: what the pages say is what the provider does.
//!
//! The form is the one that the Terraform and `OpenTofu` registries show best.

use std::fmt::Write as _;

use crate::dynamic::Dyn;
use crate::engine::Shape;
use crate::model::{Model, ResourceModel};
use crate::schema::{Attribute, Kind, Nesting, Schema, Type};

/// The page of a resource. `example` is HCL; `import` is what users write after
/// `terraform import`, empty if the resource cannot be imported.
pub fn resource_page<M: ResourceModel>(provider: &str, example: &str, import: &str) -> String {
    let name = M::TYPE_NAME;
    let shape = Shape::of_resource::<M>();
    let mut page = head(&format!("{name} Resource - {provider}"), &shape.schema);
    write_body(&mut page, &format!("{name} (Resource)"), &shape.schema, example);
    if !import.is_empty() {
        let _ = write!(page, "\n## Import\n\n```shell\nterraform import {import}\n```\n");
    }
    page
}

/// The page of the provider itself.
pub fn provider_page<M: Model>(provider: &str, example: &str) -> String {
    let shape = Shape::of_provider::<M>();
    let mut page = head(&format!("{provider} Provider"), &shape.schema);
    write_body(&mut page, &format!("{provider} Provider"), &shape.schema, example);
    page
}

fn head(title: &str, schema: &Schema) -> String {
    let summary = schema.description.split("\n\n").next().unwrap_or_default();
    format!("---\npage_title: \"{title}\"\nsubcategory: \"\"\ndescription: |-\n  {summary}\n---\n")
}

fn write_body(page: &mut String, title: &str, schema: &Schema, example: &str) {
    let _ = write!(page, "\n# {title}\n\n{}\n", schema.description);
    let example = example.trim();
    if !example.is_empty() {
        let _ = write!(page, "\n## Example Usage\n\n```terraform\n{example}\n```\n");
    }
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

fn type_name(plain: &Type) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Secret, Value};

    /// A house.
    ///
    /// It stands on a lot.
    #[derive(crate::Model)]
    #[tf(type_name = "town_house", timeouts(create = "90m"))]
    struct House {
        /// Identifier.
        #[tf(computed, keep)]
        id: Value<String>,
        /// Where it stands.
        #[tf(required, replace)]
        street: String,
        /// Its rooms.
        #[tf(required)]
        rooms: Vec<Room>,
    }

    /// A room.
    #[derive(crate::Model)]
    struct Room {
        /// Its use.
        #[tf(default = "living")]
        purpose: String,
        /// Opens it.
        #[tf(optional)]
        code: Option<Secret<String>>,
    }

    #[test]
    fn a_page_says_what_the_schema_says() {
        let example = "resource \"town_house\" \"mine\" {\n  street = \"Elm\"\n}\n";
        let page = resource_page::<House>("town", example, "town_house.mine Elm");
        insta::assert_snapshot!(page, @r#"
        ---
        page_title: "town_house Resource - town"
        subcategory: ""
        description: |-
          A house.
        ---

        # town_house (Resource)

        A house.

        It stands on a lot.

        ## Example Usage

        ```terraform
        resource "town_house" "mine" {
          street = "Elm"
        }
        ```

        ## Schema

        ### Required

        - `rooms` (Attributes List) Its rooms. (see [below for nested schema](#nestedatt--rooms))
        - `street` (String) Where it stands. Changing this replaces the object.

        ### Optional

        - `timeouts` (Attributes) How long the operations may take. (see [below for nested schema](#nestedatt--timeouts))

        ### Read-Only

        - `id` (String) Identifier.

        <a id="nestedatt--rooms"></a>
        ### Nested Schema for `rooms`

        Optional:

        - `code` (String, Sensitive) Opens it.
        - `purpose` (String) Its use. Default: `living`.

        <a id="nestedatt--timeouts"></a>
        ### Nested Schema for `timeouts`

        Optional:

        - `create` (String) How long a create may take, for instance `90s` or `1h30m`. Default: `1h30m`.

        ## Import

        ```shell
        terraform import town_house.mine Elm
        ```
        "#);
    }
}
