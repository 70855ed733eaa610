//! PURE: what a Terraform state holds, from `terraform show -json` or `terraform state pull`.
//!
//! Tasks for administrators decide by it what may be removed or made again. So a text that is not surely a whole state is
//! refused, never taken for an empty one.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A managed resource, or one of its instances.
pub(crate) struct Managed {
    /// Its type: `kubesmith_cluster`.
    pub(crate) kind: String,
    name: String,
    attributes: Value,
}

/// Why a text is not taken for a state.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it is empty")]
    Empty,
    #[error("it is not JSON: {0}")]
    NotJson(String),
    #[error("it is a plan, not a state")]
    Plan,
    #[error(
        "it is neither a state (version 4) as `terraform state pull` writes it nor the JSON of `terraform show -json`"
    )]
    NotAState,
    #[error("{kind}.{name} in it cannot be read: {reason}")]
    Resource { kind: String, name: String, reason: String },
}

/// All managed resources of a state, in every module, the deposed ones too.
pub(crate) fn resources(text: &str) -> Result<Vec<Managed>, Unreadable> {
    if text.trim().is_empty() {
        return Err(Unreadable::Empty);
    }
    let state: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| Unreadable::NotJson(error.to_string()))?;
    let mut found = Vec::new();
    if state.contains_key("lineage") {
        pulled(&state, &mut found)?;
    } else if state.contains_key("format_version") {
        shown(&state, &mut found)?;
    } else {
        return Err(Unreadable::NotAState);
    }
    Ok(found)
}

/// `terraform state pull`: one list of resources, each with its instances.
fn pulled(state: &Map<String, Value>, found: &mut Vec<Managed>) -> Result<(), Unreadable> {
    let resources = state.get("resources").and_then(Value::as_array);
    let (Some(4), Some(resources)) = (state.get("version").and_then(Value::as_u64), resources)
    else {
        return Err(Unreadable::NotAState);
    };
    for resource in resources {
        let instances = resource["instances"].as_array().ok_or(Unreadable::NotAState)?;
        for instance in instances {
            found.extend(managed(resource, &instance["attributes"])?);
        }
    }
    Ok(())
}

/// `terraform show -json`: modules in modules. Without anything in the state there is not even the root.
fn shown(state: &Map<String, Value>, found: &mut Vec<Managed>) -> Result<(), Unreadable> {
    if state.contains_key("planned_values") || state.contains_key("resource_changes") {
        return Err(Unreadable::Plan);
    }
    if let Some(values) = state.get("values") {
        return module(values.get("root_module").unwrap_or(&Value::Null), found);
    }
    // Other commands of Terraform write a format_version as well.
    let expected = ["format_version", "terraform_version", "checks", "timestamp"];
    let empty = state.keys().all(|key| expected.contains(&key.as_str()));
    if empty { Ok(()) } else { Err(Unreadable::NotAState) }
}

fn module(module: &Value, found: &mut Vec<Managed>) -> Result<(), Unreadable> {
    for resource in module["resources"].as_array().into_iter().flatten() {
        found.extend(managed(resource, &resource["values"])?);
    }
    let children = module["child_modules"].as_array().into_iter().flatten();
    children.into_iter().try_for_each(|child| self::module(child, found))
}

fn managed(resource: &Value, attributes: &Value) -> Result<Option<Managed>, Unreadable> {
    let (Some(mode), Some(kind)) = (resource["mode"].as_str(), resource["type"].as_str()) else {
        return Err(Unreadable::NotAState);
    };
    Ok((mode == "managed").then(|| Managed {
        kind: kind.to_owned(),
        name: resource["name"].as_str().unwrap_or_default().to_owned(),
        attributes: attributes.clone(),
    }))
}

impl Managed {
    /// Its attributes, as far as they are wanted.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Unreadable> {
        T::deserialize(&self.attributes).map_err(|error| self.unreadable(&error.to_string()))
    }

    /// An error that names it.
    pub(crate) fn unreadable(&self, reason: &str) -> Unreadable {
        let Self { kind, name, .. } = self;
        Unreadable::Resource { kind: kind.clone(), name: name.clone(), reason: reason.to_owned() }
    }
}
