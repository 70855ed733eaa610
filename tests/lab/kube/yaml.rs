//! YAML to JSON values and back: inside, everything is `serde_json::Value`.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};
use yaml_rust2::{Yaml, YamlLoader};

/// Every document of a YAML (or JSON) text; empty documents are left out.
pub(crate) fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let documents = YamlLoader::load_from_str(text).context("error converting YAML to JSON")?;
    documents.iter().map(to_json).filter(|value| !matches!(value, Ok(Value::Null))).collect()
}

/// The only document of a YAML text.
pub(crate) fn document(text: &str) -> anyhow::Result<Value> {
    documents(text)?.into_iter().next().context("the file is empty")
}

fn to_json(yaml: &Yaml) -> anyhow::Result<Value> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Boolean(value) => Value::Bool(*value),
        Yaml::Integer(value) => Value::from(*value),
        Yaml::Real(text) => text
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map_or_else(|| Value::from(text.as_str()), Value::Number),
        Yaml::String(text) => Value::from(text.as_str()),
        Yaml::Array(items) => {
            Value::Array(items.iter().map(to_json).collect::<anyhow::Result<_>>()?)
        }
        Yaml::Hash(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let key = match to_json(key)? {
                    Value::String(text) => text,
                    Value::Null => bail!("a mapping has an empty key"),
                    other => other.to_string(),
                };
                map.insert(key, to_json(value)?);
            }
            Value::Object(map)
        }
        Yaml::Alias(_) | Yaml::BadValue => bail!("the YAML uses something that cannot be JSON"),
    })
}

/// Writes a value as block YAML, keys in the map's order.
pub(crate) fn render(value: &Value) -> String {
    let mut out = String::new();
    block(&mut out, value, 0);
    out
}

fn block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str(&scalar(key));
                out.push(':');
                nested(out, value, indent, matches!(value, Value::Array(_)));
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str("- ");
                block(out, item, indent + 2);
            }
        }
        other => {
            out.push_str(&leaf(other, indent));
            out.push('\n');
        }
    }
}

/// The value of a key: on the same line if it is a leaf, below it otherwise (lists not indented, as Kubernetes prints them).
fn nested(out: &mut String, value: &Value, indent: usize, list: bool) {
    let empty = match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    };
    if empty {
        out.push(' ');
        out.push_str(&leaf(value, indent + 2));
        out.push('\n');
    } else {
        let inner = if list { indent } else { indent + 2 };
        out.push('\n');
        out.push_str(&" ".repeat(inner));
        block(out, value, inner);
    }
}

fn leaf(value: &Value, indent: usize) -> String {
    match value {
        Value::String(text)
            if text.contains('\n')
                && text.ends_with('\n')
                && !text.starts_with([' ', '\n'])
                && !text.ends_with("\n\n") =>
        {
            let margin = " ".repeat(indent.max(2));
            let lines: Vec<String> = text
                .lines()
                .map(|line| if line.is_empty() { String::new() } else { format!("{margin}{line}") })
                .collect();
            format!("|\n{}", lines.join("\n"))
        }
        Value::String(text) => scalar(text),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        other => other.to_string(),
    }
}

/// Plain where a YAML reader would read the same string back, else quoted as JSON, which YAML contains.
fn scalar(text: &str) -> String {
    let plain = !text.is_empty()
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "-_./:+=@".contains(character))
        && !text.starts_with(['-', ':', '=', '@', '.', '+'])
        && !text.ends_with(':')
        && !text.starts_with(|character: char| character.is_ascii_digit())
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_lowercase().as_str());
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_rendered_reads_back_the_same() {
        let value = json!({
            "apiVersion": "v1",
            "empty": {}, "none": [], "null": null,
            "data": {"net.json": "{\n  \"Network\": \"10.0.0.0/8\"\n}\n", "quoted": "yes", "number": "12", "odd": "a: b # c"},
            "items": [{"name": "a", "list": [1, 2.5, true]}, ["x", ["y"]], "plain"],
        });
        let text = render(&value);
        assert_eq!(document(&text).unwrap(), value, "{text}");
    }

    #[test]
    fn documents_are_split_and_empty_ones_left_out() {
        let all = documents("---\n# nothing\n---\nkind: A\n---\nkind: B\n").unwrap();
        assert_eq!(all, [json!({"kind": "A"}), json!({"kind": "B"})]);
    }
}
