//! The generated wire types, and the way of our types into them.

use crate::diag::{Diag, Diags, Severity};
use crate::path::{Path, Step};
use crate::schema::{Attribute, Kind, Nesting, Parameter, Schema, Signature, Type};

/// Generated: Terraform's protocol.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::clone_on_ref_ptr,
    clippy::pedantic,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]
#[allow(dead_code, reason = "generated code; expecting it would count as a use")]
pub(crate) mod tfplugin6 {
    tonic::include_proto!("tfplugin6");
}

/// Generated: what the plugin's host speaks beside it.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::clone_on_ref_ptr,
    clippy::pedantic,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]
pub(crate) mod plugin {
    tonic::include_proto!("plugin");
}

use tfplugin6::attribute_path::step::Selector;
use tfplugin6::schema::object::NestingMode;
use tfplugin6::{StringKind, attribute_path, diagnostic};

/// Diagnostics as Terraform reads them.
pub(crate) fn diagnostics(diags: Diags) -> Vec<tfplugin6::Diagnostic> {
    diags.into_iter().map(diagnostic).collect()
}

fn diagnostic(diag: Diag) -> tfplugin6::Diagnostic {
    let severity = match diag.severity {
        Severity::Error => diagnostic::Severity::Error,
        Severity::Warning => diagnostic::Severity::Warning,
    };
    let mut detail = diag.detail;
    // Terraform finds the source line of an attribute, but not of what is inside it: given the
    // whole path it would underline only the resource. So the rest of the path goes in words.
    let path = diag.path.unwrap_or_default();
    let place = path.to_string();
    if path.steps().len() > 1 && !diag.summary.contains(&place) && !detail.contains(&place) {
        let gap = if detail.is_empty() { "" } else { "\n\n" };
        detail = format!("{detail}{gap}At {place}.");
    }
    tfplugin6::Diagnostic {
        severity: severity.into(),
        summary: diag.summary,
        detail,
        attribute: path.outermost().as_ref().map(attribute_path),
    }
}

/// A path as Terraform reads it.
pub(crate) fn attribute_path(path: &Path) -> tfplugin6::AttributePath {
    let selector = |step: &Step| match step {
        Step::Attribute(name) => Selector::AttributeName(name.clone()),
        Step::Key(key) => Selector::ElementKeyString(key.clone()),
        Step::Index(index) => Selector::ElementKeyInt(i64::try_from(*index).unwrap_or(i64::MAX)),
    };
    let step = |step| attribute_path::Step { selector: Some(selector(step)) };
    tfplugin6::AttributePath { steps: path.steps().iter().map(step).collect() }
}

/// A schema as Terraform reads it. Attributes only: blocks are never needed.
pub(crate) fn schema(schema: &Schema) -> tfplugin6::Schema {
    tfplugin6::Schema {
        version: schema.version,
        block: Some(tfplugin6::schema::Block {
            version: 0,
            attributes: attributes(schema),
            description: schema.description.clone(),
            description_kind: StringKind::Markdown.into(),
            ..Default::default()
        }),
    }
}

fn attributes(schema: &Schema) -> Vec<tfplugin6::schema::Attribute> {
    schema.attributes.iter().map(attribute).collect()
}

fn attribute(attribute: &Attribute) -> tfplugin6::schema::Attribute {
    let mut wire = tfplugin6::schema::Attribute {
        name: attribute.name.to_owned(),
        description: attribute.description.clone(),
        description_kind: StringKind::Markdown.into(),
        required: attribute.required,
        optional: attribute.optional,
        computed: attribute.computed,
        sensitive: attribute.sensitive,
        write_only: attribute.write_only,
        deprecated: attribute.deprecated.is_some(),
        deprecation_message: attribute.deprecated.unwrap_or_default().to_owned(),
        ..Default::default()
    };
    match &attribute.kind {
        Kind::Plain(plain) => wire.r#type = type_bytes(plain),
        Kind::Nested(nesting, schema) => {
            let nesting = match nesting {
                Nesting::Single => NestingMode::Single,
                Nesting::List => NestingMode::List,
                Nesting::Set => NestingMode::Set,
                Nesting::Map => NestingMode::Map,
            };
            wire.nested_type = Some(tfplugin6::schema::Object {
                attributes: attributes(schema),
                nesting: nesting.into(),
                ..Default::default()
            });
        }
    }
    wire
}

/// A function as Terraform reads it.
pub(crate) fn function(signature: &Signature) -> tfplugin6::Function {
    tfplugin6::Function {
        parameters: signature.parameters.iter().map(parameter).collect(),
        variadic_parameter: signature.variadic.as_ref().map(parameter),
        r#return: Some(tfplugin6::function::Return { r#type: type_bytes(&signature.output) }),
        summary: signature.summary.clone(),
        description: signature.description.clone(),
        description_kind: StringKind::Markdown.into(),
        deprecation_message: signature.deprecated.unwrap_or_default().to_owned(),
    }
}

fn parameter(parameter: &Parameter) -> tfplugin6::function::Parameter {
    tfplugin6::function::Parameter {
        name: parameter.name.to_owned(),
        r#type: type_bytes(&parameter.kind),
        allow_null_value: parameter.nullable,
        allow_unknown_values: parameter.unknowable,
        description: parameter.description.clone(),
        description_kind: StringKind::Markdown.into(),
    }
}

/// A type as Terraform reads it.
pub(crate) fn type_bytes(kind: &Type) -> Vec<u8> {
    kind.to_json().to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_inside_an_attribute_is_said_in_words() {
        let wire = diagnostic(Diag::error("Too many").detail("Take less.").at("parts[0].count"));
        assert_eq!(wire.detail, "Take less.\n\nAt parts[0].count.");
        assert_eq!(wire.attribute, Some(attribute_path(&Path::from("parts"))));
        assert_eq!(diagnostic(Diag::error("Bad lock.code").at("lock.code")).detail, "");
        assert_eq!(diagnostic(Diag::error("Bad")).attribute, None);
    }
}
