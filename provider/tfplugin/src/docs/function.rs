//! The page of a function.

use std::fmt::Write as _;

use super::head;
use super::schema::type_name;
use crate::schema::{Parameter, Signature, Type};

pub(super) fn function_page(provider: &str, name: &str, one: &Signature, example: &str) -> String {
    let mut page = head(&format!("{name} function - {provider}"), &one.summary);
    let _ = write!(page, "\n# function: {name}\n\n{}\n", one.description);
    if let Some(reason) = one.deprecated {
        let _ = write!(page, "\n~> **Deprecated** {reason}\n");
    }
    page.push_str(example);
    let fixed = one.parameters.iter().map(|one| format!("{} {}", one.name, hcl_type(&one.kind)));
    let more = one.variadic.iter().map(|one| format!("{} {}...", one.name, hcl_type(&one.kind)));
    let parameters: Vec<_> = fixed.chain(more).collect();
    let (parameters, output) = (parameters.join(", "), hcl_type(&one.output));
    let _ = write!(page, "\n## Signature\n\n```text\n{name}({parameters}) {output}\n```\n");
    if !parameters.is_empty() {
        page.push_str("\n## Arguments\n\n");
    }
    for parameter in &one.parameters {
        write_parameter(&mut page, parameter, "");
    }
    if let Some(parameter) = &one.variadic {
        write_parameter(&mut page, parameter, "Variadic, ");
    }
    page
}

fn write_parameter(page: &mut String, one: &Parameter, variadic: &str) {
    let nullable = if one.nullable { ", Nullable" } else { "" };
    let kind = type_name(&one.kind);
    let text = one.description.replace("\n\n", " ");
    let _ = writeln!(page, "1. `{}` ({variadic}{kind}{nullable}) {text}", one.name);
}

/// A type as HCL spells it.
fn hcl_type(kind: &Type) -> String {
    match kind {
        Type::String => "string".to_owned(),
        Type::Number => "number".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::List(item) => format!("list of {}", hcl_type(item)),
        Type::Set(item) => format!("set of {}", hcl_type(item)),
        Type::Map(item) => format!("map of {}", hcl_type(item)),
        Type::Object(_) => "object".to_owned(),
    }
}
