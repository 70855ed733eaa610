//! The part of `JSONPath` templates that people use: fields, `[*]`, `[n]`, filters, `range`, and literal text.

use anyhow::{Context as _, bail};
use serde_json::Value;

/// Fills a template such as `{range .items[*]}{.metadata.name}{"\n"}{end}`.
pub(super) fn render(template: &str, root: &Value) -> anyhow::Result<String> {
    let parts = split(template)?;
    let mut output = String::new();
    fill(&parts, root, &mut output)?;
    Ok(output)
}

#[derive(Debug)]
enum Part {
    Text(String),
    Path(String),
    Range(String, Vec<Self>),
}

fn split(template: &str) -> anyhow::Result<Vec<Part>> {
    let mut stack: Vec<(String, Vec<Part>)> = vec![(String::new(), Vec::new())];
    let mut rest = template;
    while !rest.is_empty() {
        let open = rest.find('{').unwrap_or(rest.len());
        let (_, parts) = stack.last_mut().context("error parsing jsonpath: too many {end}")?;
        if open > 0 {
            parts.push(Part::Text(rest[..open].to_owned()));
        }
        if open == rest.len() {
            break;
        }
        let close = closing(&rest[open..])
            .with_context(|| format!("error parsing jsonpath {template}, unclosed action"))?
            + open;
        let action = rest[open + 1..close].trim();
        if let Some(path) = action.strip_prefix("range ") {
            stack.push((path.trim().to_owned(), Vec::new()));
        } else if action == "end" {
            let (path, inner) =
                stack.pop().context("error parsing jsonpath: not in range, nothing to end")?;
            let (_, outer) =
                stack.last_mut().context("error parsing jsonpath: not in range, nothing to end")?;
            outer.push(Part::Range(path, inner));
        } else if let Some(literal) =
            action.strip_prefix('"').and_then(|text| text.strip_suffix('"'))
        {
            parts.push(Part::Text(literal.replace("\\n", "\n").replace("\\t", "\t")));
        } else {
            parts.push(Part::Path(action.to_owned()));
        }
        rest = &rest[close + 1..];
    }
    match stack.pop() {
        Some((_, parts)) if stack.is_empty() => Ok(parts),
        _ => bail!("error parsing jsonpath {template}, unclosed range"),
    }
}

/// Where an action that begins with `{` ends; braces in quotes do not count.
fn closing(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(index, character)| {
        quoted ^= character == '"';
        (character == '}' && !quoted).then_some(index)
    })
}

fn fill(parts: &[Part], root: &Value, output: &mut String) -> anyhow::Result<()> {
    for part in parts {
        match part {
            Part::Text(text) => output.push_str(text),
            Part::Path(path) => {
                let texts: Vec<String> = find(path, root)?.into_iter().map(text).collect();
                output.push_str(&texts.join(" "));
            }
            Part::Range(path, inner) => {
                for value in find(path, root)? {
                    fill(inner, value, output)?;
                }
            }
        }
    }
    Ok(())
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The values at a path; a field that is missing is no value.
pub(super) fn find<'a>(path: &str, root: &'a Value) -> anyhow::Result<Vec<&'a Value>> {
    let mut values = vec![root];
    let mut rest = path.trim().trim_start_matches(['$', '@']);
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = bracket(inner)
                .with_context(|| format!("error parsing jsonpath {path}, unterminated array"))?;
            let index = &inner[..end];
            values = values
                .into_iter()
                .map(|value| pick(index, value))
                .collect::<anyhow::Result<Vec<_>>>()?
                .concat();
            rest = &inner[end + 1..];
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let (field, after) = field(rest);
        rest = after;
        if field == "*" {
            values =
                values.into_iter().flat_map(|value| pick("*", value).unwrap_or_default()).collect();
        } else if !field.is_empty() {
            values = values.into_iter().filter_map(|value| value.get(&field)).collect();
        }
    }
    Ok(values)
}

/// A field's name up to the next dot or bracket; `\.` is a dot in the name.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, &text[index..]),
            other => name.push(other),
        }
    }
    (name, "")
}

fn bracket(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(index, character)| {
        depth += i32::from(character == '[') - i32::from(character == ']');
        (depth < 0).then_some(index)
    })
}

fn pick<'a>(index: &str, value: &'a Value) -> anyhow::Result<Vec<&'a Value>> {
    if index == "*" {
        return Ok(match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(fields) => fields.values().collect(),
            _ => Vec::new(),
        });
    }
    if let Some(name) = index.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')) {
        return Ok(value.get(name).into_iter().collect());
    }
    let Some(items) = value.as_array() else { return Ok(Vec::new()) };
    if let Some(condition) =
        index.strip_prefix("?(").and_then(|condition| condition.strip_suffix(')'))
    {
        let (path, wanted, equal) = match (condition.split_once("=="), condition.split_once("!=")) {
            (Some((path, wanted)), _) => (path, wanted, true),
            (None, Some((path, wanted))) => (path, wanted, false),
            (None, None) => {
                return Ok(items
                    .iter()
                    .filter(|item| find(condition, item).is_ok_and(|found| !found.is_empty()))
                    .collect());
            }
        };
        let wanted = wanted.trim().trim_matches(['"', '\'']);
        let matches = |item: &&Value| {
            find(path, item)
                .is_ok_and(|found| found.iter().any(|value| text(value) == wanted) == equal)
        };
        return Ok(items.iter().filter(matches).collect());
    }
    let Ok(number) = index.trim().parse::<i64>() else { bail!("invalid array index {index}") };
    let length = i64::try_from(items.len()).unwrap_or(0);
    let number = if number < 0 { number + length } else { number };
    match usize::try_from(number).ok().and_then(|number| items.get(number)) {
        Some(item) => Ok(vec![item]),
        None => bail!(
            "error executing jsonpath: array index out of bounds: index {number}, length {length}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_print_what_kubectl_prints() {
        let nodes = json!({"items": [
            {"metadata": {"name": "a", "labels": {"example.org/x": "1"}}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
            {"metadata": {"name": "b"}, "status": {"conditions": [{"type": "Other"}, {"type": "Ready", "status": "False"}]}},
        ]});
        let render = |template| render(template, &nodes).unwrap();
        assert_eq!(render("{.items[*].metadata.name}"), "a b");
        assert_eq!(render("{.items[-1].metadata.name}!"), "b!");
        assert_eq!(
            render(
                r#"{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#
            ),
            "a=True\nb=False\n"
        );
        assert_eq!(render(r"{.items[0].metadata.labels.example\.org/x}"), "1");
        assert_eq!(render("{.items[0].missing.field}"), "");
        assert_eq!(
            render(r"{.items[0].status.conditions}"),
            r#"[{"status":"True","type":"Ready"}]"#
        );
    }
}
