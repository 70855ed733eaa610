//! Resource quotas: what a namespace's pods and claims ask for together is written into the quota's status.
//!
//! Nothing is refused: this is what people read, not what admission does with it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Store, controllers::edit, resources::kind};

/// Brings the status of every quota up to date.
pub(super) fn reconcile(store: &Store) {
    for quota in store.list(&kind("resourcequotas").prefix("")).0 {
        let text = |field: &str| quota["metadata"][field].as_str().unwrap_or_default();
        let namespace = text("namespace");
        let pods = store.list(&kind("pods").prefix(namespace)).0;
        let claims = store.list(&kind("persistentvolumeclaims").prefix(namespace)).0;
        let hard = quota["spec"]["hard"].clone();
        let used: serde_json::Map<_, _> = hard
            .as_object()
            .into_iter()
            .flat_map(serde_json::Map::keys)
            .map(|resource| (resource.clone(), used(resource, &pods, &claims).into()))
            .collect();
        edit(store, &kind("resourcequotas").key(namespace, text("name")), |quota| {
            quota["status"] = json!({"hard": hard, "used": used});
        });
    }
}

fn used(resource: &str, pods: &[Arc<Value>], claims: &[Arc<Value>]) -> String {
    let asked = |list: &str, name: &str| {
        pods.iter()
            .flat_map(|pod| pod["spec"]["containers"].as_array().into_iter().flatten())
            .filter_map(|container| container["resources"][list][name].as_str())
            .filter_map(thousandths)
            .sum()
    };
    match resource {
        "pods" => pods.len().to_string(),
        "requests.cpu" | "cpu" => quantity(asked("requests", "cpu")),
        "limits.cpu" => quantity(asked("limits", "cpu")),
        "requests.memory" | "memory" => quantity(asked("requests", "memory")),
        "limits.memory" => quantity(asked("limits", "memory")),
        "requests.storage" => quantity(
            claims
                .iter()
                .filter_map(|claim| claim["spec"]["resources"]["requests"]["storage"].as_str())
                .filter_map(thousandths)
                .sum(),
        ),
        _ => "0".to_owned(),
    }
}

/// A quantity (`500m`, `2`, `64Mi`) in thousandths.
fn thousandths(text: &str) -> Option<i64> {
    let number = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let amount: f64 = text[..number].parse().ok()?;
    let factor = match &text[number..] {
        "m" => 0.001,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "no quota comes near 2^53")]
    Some((amount * factor * 1000.0).round() as i64)
}

fn quantity(thousandths: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")];
    if thousandths % 1000 != 0 {
        return format!("{thousandths}m");
    }
    let whole = thousandths / 1000;
    match UNITS.iter().find(|(unit, _)| whole > 0 && whole % unit == 0) {
        Some((unit, suffix)) => format!("{}{suffix}", whole / unit),
        None => whole.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_add_up_as_people_write_them() {
        for (text, sum) in
            [("500m", "500m"), ("2", "2"), ("1500m", "1500m"), ("64Mi", "64Mi"), ("2048Mi", "2Gi")]
        {
            assert_eq!(quantity(thousandths(text).unwrap()), sum);
        }
        assert_eq!(thousandths("many"), None);
        assert_eq!(quantity(0), "0");
    }
}
