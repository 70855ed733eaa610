//! Is a value what was planned, with the unknown parts filled in?

use super::rules::{Rule, Violation};
use super::schema::Object;
use super::value::Value;

/// What of the planned object came back as something else. The rule is [`Rule::AppliedAsPlanned`] or
/// one of its neighbours; a caller that compares two plans renames it.
pub(crate) fn faults(schema: &Object, planned: &Value, actual: &Value) -> Vec<Violation> {
    let existence = match (planned.is_null(), actual.is_null()) {
        (true, false) => "Root object was absent, but now present",
        (false, true) => "Root object was present, but now absent",
        (true, true) => return Vec::new(),
        (false, false) => "",
    };
    if !existence.is_empty() {
        return vec![Violation::new(Rule::AppliedExistence, "", existence)];
    }
    let mut found = Vec::new();
    for attribute in &schema.attributes {
        let mut inside = Vec::new();
        let path = format!(".{}", attribute.name);
        let name = &attribute.name;
        value(planned.attribute(name), actual.attribute(name), &path, &mut inside);
        if attribute.sensitive && !inside.is_empty() {
            let said = "inconsistent values for sensitive attribute";
            inside = vec![Violation::new(inside[0].rule, &path, said)];
        }
        found.extend(inside);
    }
    found
}

fn value(planned: &Value, actual: &Value, path: &str, found: &mut Vec<Violation>) {
    let mut fault = |rule, said: String| found.push(Violation::new(rule, path, said));
    match (planned, actual) {
        (Value::Unknown(promise), _) if promise.is_kept_by(actual) => {}
        (Value::Unknown(promise), _) => fault(
            Rule::Promise,
            format!("final value {actual} does not conform to planning placeholder {promise:?}"),
        ),
        (Value::Null, Value::Null) => {}
        (_, Value::Null) => fault(Rule::AppliedAsPlanned, format!("was {planned}, but now null")),
        (Value::Null, _) => fault(Rule::AppliedAsPlanned, format!("was null, but now {actual}")),
        (_, Value::Unknown(_)) => {
            fault(Rule::AppliedAsPlanned, "was known, but now unknown".to_owned());
        }
        (Value::List(ours), Value::List(theirs)) => {
            for (index, (planned, actual)) in ours.iter().zip(theirs).enumerate() {
                value(planned, actual, &format!("{path}[{index}]"), found);
            }
            lengths(ours.len(), theirs.len(), path, found);
        }
        (Value::Map(ours), Value::Map(theirs)) => {
            for (key, planned) in ours {
                let path = format!("{path}.{key}");
                match theirs.get(key) {
                    Some(actual) => value(planned, actual, &path, found),
                    None => found.push(Violation::new(
                        Rule::AppliedElements,
                        &path,
                        format!("element {key:?} has vanished"),
                    )),
                }
            }
            for key in theirs.keys().filter(|key| !ours.contains_key(*key)) {
                let said = format!("new element {key:?} has appeared");
                found.push(Violation::new(Rule::AppliedElements, path, said));
            }
        }
        (Value::Set(ours), Value::Set(theirs)) => {
            let fits = |planned: &Value, actual: &Value| {
                let mut inside = Vec::new();
                value(planned, actual, path, &mut inside);
                inside.is_empty()
            };
            for planned in ours.iter().filter(|one| !theirs.iter().any(|other| fits(one, other))) {
                let said = format!(
                    "planned set element {planned} does not correlate with any element in actual"
                );
                fault(Rule::AppliedElements, said);
            }
            for actual in theirs.iter().filter(|one| !ours.iter().any(|other| fits(other, one))) {
                let said = format!(
                    "actual set element {actual} does not correlate with any element in plan"
                );
                fault(Rule::AppliedElements, said);
            }
            if ours.len() < theirs.len() {
                lengths(ours.len(), theirs.len(), path, found);
            }
        }
        (Value::Dynamic(ours, planned), Value::Dynamic(theirs, actual)) if ours == theirs => {
            value(planned, actual, path, found);
        }
        _ if planned == actual => {}
        _ => fault(Rule::AppliedAsPlanned, format!("was {planned}, but now {actual}")),
    }
}

fn lengths(ours: usize, theirs: usize, path: &str, found: &mut Vec<Violation>) {
    let said = match ours.cmp(&theirs) {
        std::cmp::Ordering::Equal => return,
        std::cmp::Ordering::Greater => format!("element {theirs} has vanished"),
        std::cmp::Ordering::Less => format!("new element {ours} has appeared"),
    };
    found.push(Violation::new(Rule::AppliedElements, path, said));
}
