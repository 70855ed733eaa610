//! Label and field selectors.

use serde_json::Value;

use super::{reply::Refusal, route::Query};

/// Which objects of a collection are meant.
#[derive(Debug, Default, Clone)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Exists,
    Missing,
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl Selector {
    /// From a request's `labelSelector`, `fieldSelector` and a single name.
    pub(super) fn of(query: &Query, name: Option<&str>) -> Result<Self, Refusal> {
        let mut selector = Self {
            labels: parse(query.get("labelSelector").map_or("", String::as_str))?,
            fields: parse(query.get("fieldSelector").map_or("", String::as_str))?,
        };
        if let Some(name) = name {
            selector.fields.push(Requirement {
                key: "metadata.name".to_owned(),
                test: Test::In(vec![name.to_owned()]),
            });
        }
        Ok(selector)
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"][key].as_str().map(str::to_owned);
        self.labels.iter().all(|requirement| requirement.holds(label(&requirement.key)))
            && self
                .fields
                .iter()
                .all(|requirement| requirement.holds(Some(field(object, &requirement.key))))
    }
}

impl Requirement {
    fn holds(&self, value: Option<String>) -> bool {
        match (&self.test, value) {
            (Test::Exists, value) => value.is_some(),
            (Test::Missing, value) => value.is_none(),
            (Test::In(wanted), value) => value.is_some_and(|value| wanted.contains(&value)),
            (Test::NotIn(unwanted), value) => value.is_none_or(|value| !unwanted.contains(&value)),
        }
    }
}

/// A missing field is the same as an empty one.
fn field(object: &Value, path: &str) -> String {
    let found = path.split('.').fold(object, |value, part| &value[part]);
    match found {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `a=b,c!=d,e in (f,g),h notin (i),j,!k`; values may be quoted.
fn parse(text: &str) -> Result<Vec<Requirement>, Refusal> {
    let mut requirements = Vec::new();
    let mut depth = 0;
    let parts = text.split(|character: char| {
        depth += i32::from(character == '(') - i32::from(character == ')');
        character == ',' && depth == 0
    });
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        requirements.push(
            requirement(part).ok_or_else(|| {
                Refusal::bad_request(format!("unable to parse requirement: {part}"))
            })?,
        );
    }
    Ok(requirements)
}

fn requirement(text: &str) -> Option<Requirement> {
    let make = |key: &str, test| Some(Requirement { key: key.trim().to_owned(), test });
    let one = |value: &str| vec![value.trim().trim_matches('"').to_owned()];
    let set = |value: &str| -> Option<Vec<String>> {
        let inner = value.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inner.split(',').map(|item| item.trim().to_owned()).collect())
    };
    if let Some((key, values)) = text.split_once(" notin ") {
        return make(key, Test::NotIn(set(values)?));
    }
    if let Some((key, values)) = text.split_once(" in ") {
        return make(key, Test::In(set(values)?));
    }
    if let Some((key, value)) = text.split_once("!=") {
        return make(key, Test::NotIn(one(value)));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return make(key, Test::In(one(value)));
    }
    match text.strip_prefix('!') {
        Some(key) => make(key, Test::Missing),
        None => make(text, Test::Exists),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_pick_what_kubectl_means() {
        let object = json!({
            "metadata": {"name": "a", "labels": {"app": "web", "tier": "front"}},
            "spec": {"nodeName": "n1", "unschedulable": true},
        });
        let matches = |labels: &str, fields: &str| {
            let query = [("labelSelector", labels), ("fieldSelector", fields)];
            let query =
                query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            Selector::of(&query, None).unwrap().matches(&object)
        };
        assert!(matches("app=web,tier in (front, back),!gone,app", "spec.nodeName=n1"));
        assert!(matches(
            "app!=db,missing!=x,tier notin (back)",
            "spec.unschedulable==true,status.phase!=Failed"
        ));
        assert!(!matches("app==db", ""));
        assert!(!matches("gone", ""));
        assert!(!matches("", "spec.nodeName!=n1"));
        assert!(!matches("", "metadata.name=b"));
    }
}
