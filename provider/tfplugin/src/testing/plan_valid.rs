//! Is a plan one that Terraform accepts for this configuration?

use super::rules::{Rule, Violation};
use super::schema::{Attribute, Kind, Nesting, Object};
use super::value::Value;

/// What is wrong with a planned object.
pub(crate) fn faults(
    schema: &Object,
    prior: &Value,
    config: &Value,
    planned: &Value,
) -> Vec<Violation> {
    let mut found = Vec::new();
    if existence(config, planned, "", &mut found) && !planned.is_null() {
        attributes(&schema.attributes, prior, config, planned, "", &mut found);
    }
    found
}

/// Both are there, or neither is.
fn existence(config: &Value, planned: &Value, path: &str, found: &mut Vec<Violation>) -> bool {
    let said = match (config.is_null(), planned.is_null()) {
        (false, true) => "planned for absence but config wants existence",
        (true, false) => "planned for existence but config wants absence",
        _ => return true,
    };
    found.push(Violation::new(Rule::PlannedToExist, path, said));
    false
}

fn attributes(
    attributes: &[Attribute],
    prior: &Value,
    config: &Value,
    planned: &Value,
    path: &str,
    found: &mut Vec<Violation>,
) {
    for attribute in attributes {
        let name = &attribute.name;
        let path = format!("{path}.{name}");
        let values = [prior, config, planned].map(|object| object.attribute(name));
        one(attribute, values, &path, found);
    }
}

fn one(
    attribute: &Attribute,
    [prior, config, planned]: [&Value; 3],
    path: &str,
    found: &mut Vec<Violation>,
) {
    let mut fault = |rule, said: String| found.push(Violation::new(rule, path, said));
    if attribute.write_only {
        if !planned.is_null() {
            let said = "planned value for write-only attribute is not null";
            fault(Rule::WriteOnly, said.to_owned());
        }
        return;
    }
    let as_before = planned == prior && !prior.is_null() && !config.is_null();
    if planned == config || as_before {
        return;
    }
    // The provider chooses what nobody configured.
    if attribute.computed && (config.is_null() || !attribute.optional) {
        return;
    }
    if config.is_null() {
        let said = if attribute.sensitive {
            "sensitive planned value for a non-computed attribute".to_owned()
        } else {
            format!("planned value {planned} for a non-computed attribute")
        };
        return fault(Rule::NothingInvented, said);
    }
    if let Kind::Nested(nesting, nested) = &attribute.kind {
        return objects(*nesting, nested, [prior, config, planned], path, found);
    }
    let nor = if prior.is_null() { String::new() } else { format!(" nor prior value {prior}") };
    fault(
        Rule::PlannedAsConfigured,
        if attribute.sensitive {
            "sensitive planned value does not match config value".to_owned()
        } else {
            format!("planned value {planned} does not match config value {config}{nor}")
        },
    );
}

fn objects(
    nesting: Nesting,
    nested: &Object,
    [prior, config, planned]: [&Value; 3],
    path: &str,
    found: &mut Vec<Violation>,
) {
    if !existence(config, planned, path, found) {
        return;
    }
    if planned.is_unknown() {
        let said = "planned unknown for configured value";
        return found.push(Violation::new(Rule::PlannedKnown, path, said));
    }
    // What is not known has no elements to compare: a plan may say more, never something else.
    if config.is_unknown() {
        let said = format!("planned value {planned} does not match config value {config}");
        return found.push(Violation::new(Rule::PlannedAsConfigured, path, said));
    }
    if nesting == Nesting::Single {
        return attributes(&nested.attributes, prior, config, planned, path, found);
    }
    let (ours, theirs) = (planned.count(), config.count());
    // Elements of a set that are not known yet may turn out to be one.
    let may_merge =
        nesting == Nesting::Set && !(config.is_wholly_known() && planned.is_wholly_known());
    if ours != theirs && !may_merge {
        let said = format!("count in plan ({ours}) disagrees with count in config ({theirs})");
        return found.push(Violation::new(Rule::PlannedElements, path, said));
    }
    match nesting {
        // Its elements have no names, so Terraform trusts the provider.
        Nesting::Set | Nesting::Single => {}
        Nesting::List => {
            for (index, planned) in planned.elements().iter().enumerate() {
                let values = [prior.element(index), config.element(index), planned];
                element(nested, values, &format!("{path}[{index}]"), found);
            }
        }
        Nesting::Map => {
            for (key, planned) in planned.entries() {
                let path = format!("{path}[{key:?}]");
                if config.entries().any(|(other, _)| other == key) {
                    let values = [prior.attribute(key), config.attribute(key), planned];
                    element(nested, values, &path, found);
                } else {
                    let said = format!("map key {key:?} from plan is not present in config");
                    found.push(Violation::new(Rule::PlannedElements, &path, said));
                }
            }
        }
    }
}

fn element(
    nested: &Object,
    [prior, config, planned]: [&Value; 3],
    path: &str,
    found: &mut Vec<Violation>,
) {
    if planned == config {
        return;
    }
    if existence(config, planned, path, found) && !planned.is_null() {
        if planned.is_unknown() {
            let said = "planned unknown for configured value";
            return found.push(Violation::new(Rule::PlannedKnown, path, said));
        }
        attributes(&nested.attributes, prior, config, planned, path, found);
    }
}
