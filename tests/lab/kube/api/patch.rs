//! The four kinds of patch: JSON, merge, strategic merge, and apply (as a merge: nobody owns fields here).

use serde_json::{Map, Value, json};

use super::reply::Refusal;

/// What `current` becomes.
pub(super) fn apply(current: &Value, patch: &Value, kind: &str) -> Result<Value, Refusal> {
    let mut object = current.clone();
    if kind.contains("json-patch") {
        json_patch(&mut object, patch)?;
    } else if !patch.is_object() {
        return Err(Refusal::bad_request("the patch is not an object"));
    } else if kind.contains("strategic") || kind.contains("apply-patch") {
        strategic(&mut object, patch, "");
    } else {
        merge(&mut object, patch);
    }
    Ok(object)
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// The field that tells two entries of a list apart; lists without one are replaced whole.
fn merge_key(list: &str) -> Option<&'static str> {
    Some(match list {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "secrets" => "name",
        "ports" => "containerPort",
        "conditions" | "addresses" => "type",
        "taints" => "key",
        "volumeMounts" => "mountPath",
        "ownerReferences" => "uid",
        "hostAliases" => "ip",
        _ => return None,
    })
}

fn strategic(target: &mut Value, patch: &Value, name: &str) {
    match patch {
        Value::Object(patch) => {
            if patch.get("$patch").is_some_and(|directive| directive == "replace") {
                *target = Value::Object(
                    patch.iter().filter(|(key, _)| !key.starts_with('$')).map(clone).collect(),
                );
                return;
            }
            if !target.is_object() {
                *target = json!({});
            }
            let Some(fields) = target.as_object_mut() else { return };
            for (key, value) in patch {
                if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
                    if let (Some(items), Some(gone)) =
                        (fields.get_mut(list).and_then(Value::as_array_mut), value.as_array())
                    {
                        items.retain(|item| !gone.contains(item));
                    }
                } else if let Some(kept) = value.as_array().filter(|_| key == "$retainKeys") {
                    fields.retain(|field, _| kept.iter().any(|name| name == field));
                } else if key.starts_with('$') {
                    // The order of elements means nothing here.
                } else if value.is_null() {
                    fields.remove(key);
                } else {
                    strategic(fields.entry(key.clone()).or_insert(Value::Null), value, key);
                }
            }
        }
        Value::Array(patch) => strategic_list(target, patch, name),
        leaf => *target = leaf.clone(),
    }
}

fn strategic_list(target: &mut Value, patch: &[Value], name: &str) {
    let replaces = patch.iter().any(|item| {
        item["$patch"] == "replace" && item.as_object().is_some_and(|fields| fields.len() == 1)
    });
    // A Service's ports have another key than a container's.
    let key = merge_key(name).map(|key| {
        let other =
            key == "containerPort" && patch.iter().any(|item| item["containerPort"].is_null());
        if other { "port" } else { key }
    });
    let Some(key) = key.filter(|_| !replaces && target.is_array()) else {
        *target = patch.iter().filter(|item| item["$patch"].is_null()).cloned().collect();
        return;
    };
    let Some(items) = target.as_array_mut() else { return };
    for change in patch {
        let position = items.iter().position(|item| item[key] == change[key]);
        match (position, change["$patch"] == "delete") {
            (Some(index), true) => {
                items.remove(index);
            }
            (Some(index), false) => strategic(&mut items[index], change, ""),
            (None, true) => {}
            (None, false) => items.push(change.clone()),
        }
    }
}

fn clone((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// RFC 6902: add, remove, replace and test.
fn json_patch(object: &mut Value, patch: &Value) -> Result<(), Refusal> {
    for operation in
        patch.as_array().ok_or_else(|| Refusal::bad_request("a JSON patch is a list"))?
    {
        let path = operation["path"].as_str().unwrap_or_default();
        let failed = || {
            Refusal::new(
                422,
                "Invalid",
                format!(
                    "the server rejected our request: {} of \"{path}\" cannot be done",
                    operation["op"]
                ),
            )
        };
        let (parent, last) = path.rsplit_once('/').ok_or_else(failed)?;
        let last = last.replace("~1", "/").replace("~0", "~");
        let value = operation["value"].clone();
        let operator = operation["op"].as_str().unwrap_or_default();
        if operator == "test" {
            if object.pointer(path) != Some(&value) {
                return Err(failed());
            }
            continue;
        }
        match object.pointer_mut(parent).ok_or_else(failed)? {
            Value::Object(fields) => {
                edit_object(fields, operator, last, value).ok_or_else(failed)?;
            }
            Value::Array(items) => edit_array(items, operator, &last, value).ok_or_else(failed)?,
            _ => return Err(failed()),
        }
    }
    Ok(())
}

fn edit_object(
    fields: &mut Map<String, Value>,
    operator: &str,
    name: String,
    value: Value,
) -> Option<()> {
    match operator {
        "add" => {
            fields.insert(name, value);
        }
        "replace" => *fields.get_mut(&name)? = value,
        "remove" => {
            fields.remove(&name)?;
        }
        _ => return None,
    }
    Some(())
}

fn edit_array(items: &mut Vec<Value>, operator: &str, index: &str, value: Value) -> Option<()> {
    if operator == "add" && index == "-" {
        items.push(value);
        return Some(());
    }
    let index: usize = index.parse().ok()?;
    match operator {
        "add" if index <= items.len() => items.insert(index, value),
        "replace" => *items.get_mut(index)? = value,
        "remove" if index < items.len() => {
            items.remove(index);
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_replaces_lists_and_null_removes() {
        let current = json!({"a": {"b": 1, "c": 2}, "list": [1, 2]});
        let patched = apply(
            &current,
            &json!({"a": {"b": null, "d": 3}, "list": [3]}),
            "application/merge-patch+json",
        )
        .unwrap();
        assert_eq!(patched, json!({"a": {"c": 2, "d": 3}, "list": [3]}));
    }

    #[test]
    fn a_strategic_merge_knows_which_entries_are_meant() {
        let current = json!({"spec": {
            "taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "b", "effect": "NoSchedule"}],
            "containers": [{"name": "web", "image": "old", "args": ["x"]}], "tolerations": [{"key": "t"}],
        }});
        let patch = json!({"spec": {
            "$setElementOrder/taints": [{"key": "b"}], "taints": [{"key": "a", "$patch": "delete"}],
            "containers": [{"name": "web", "image": "new"}, {"name": "side"}], "tolerations": [],
        }});
        let patched = apply(&current, &patch, "application/strategic-merge-patch+json").unwrap();
        assert_eq!(
            patched,
            json!({"spec": {
                "taints": [{"key": "b", "effect": "NoSchedule"}],
                "containers": [{"name": "web", "image": "new", "args": ["x"]}, {"name": "side"}], "tolerations": [],
            }})
        );
    }

    #[test]
    fn a_json_patch_edits_in_place_or_fails_whole() {
        let current = json!({"spec": {"taints": [{"key": "a"}]}});
        let patch = json!([{"op": "add", "path": "/spec/taints/-", "value": {"key": "b"}}, {"op": "remove", "path": "/spec/taints/0"}]);
        assert_eq!(
            apply(&current, &patch, "application/json-patch+json").unwrap(),
            json!({"spec": {"taints": [{"key": "b"}]}})
        );
        assert!(
            apply(
                &current,
                &json!([{"op": "test", "path": "/spec/x", "value": 1}]),
                "application/json-patch+json"
            )
            .is_err()
        );
    }
}
