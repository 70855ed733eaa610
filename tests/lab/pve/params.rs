//! Parameter verification, with the server's own texts and in its order.
//!
//! Form bodies and query strings give strings, JSON bodies give values; both end as strings, because that is what the
//! endpoints and the configuration files work with.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::Value;

use super::Version;
use super::api::Refusal;
use super::formats;
use super::schema::{Endpoint, Kind, Properties, Property, property_string};

/// Parameters as they came in, not yet looked at.
pub(crate) type Raw = BTreeMap<String, Value>;

/// Complaints by the path of what they are about, such as `vmid` or `net0.model`.
type Complaints = BTreeMap<String, String>;

const UNKNOWN: &str =
    "property is not defined in schema and the schema does not allow additional properties";
const MISSING: &str = "property is missing and it is not optional";

/// Several complaints about one thing are joined, by a backslash and an n as it happens.
fn complain(complaints: &mut Complaints, path: &str, text: impl Into<String>) {
    let text = text.into();
    let entry = complaints.entry(path.to_owned());
    entry.and_modify(|earlier| *earlier = format!("{earlier}\\n{text}")).or_insert(text);
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn as_number(text: &str) -> Option<f64> {
    let plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    text.bytes().all(plain).then(|| text.parse().ok()).flatten()
}

fn check_type(kind: Kind, value: &str) -> Result<(), String> {
    let good = match kind {
        Kind::String | Kind::Array => true,
        Kind::Boolean => value == "0" || value == "1",
        Kind::Integer => is_integer(value),
        Kind::Number => as_number(value).is_some(),
    };
    let name = kind.name();
    if good { Ok(()) } else { Err(format!("type check ('{name}') failed - got '{value}'")) }
}

/// Checks one value; the text is what stands in the `errors` map.
fn check(property: &Property, path: &str, value: &str, version: Version) -> Result<(), String> {
    check_type(property.kind, value)?;
    if let Some(format) = &property.format {
        let checked = match property_string(format) {
            Some(keys) => parse(keys, path, value, version)
                .and_then(|parsed| formats::check_parsed(format, &parsed)),
            None => formats::check(format, value, version),
        };
        // Complaints of formats end with a line break, as everything does that dies.
        checked.map_err(|complaint| format!("invalid format - {complaint}\n"))?;
    }
    if !property.matches(value) {
        return Err("value does not match the regex pattern".to_owned());
    }
    let length = value.chars().count();
    match (property.max_length, property.min_length) {
        (Some(most), _) if length > most => {
            return Err(format!("value may only be {most} characters long"));
        }
        (_, Some(least)) if length < least => {
            return Err(format!("value must be at least {least} characters long"));
        }
        _ => {}
    }
    if let Some(number) = as_number(value) {
        match (property.maximum, property.minimum) {
            (Some(most), _) if number > most => {
                return Err(format!("value must have a maximum value of {most}"));
            }
            (_, Some(least)) if number < least => {
                return Err(format!("value must have a minimum value of {least}"));
            }
            _ => {}
        }
    }
    match &property.values {
        Some(values) if !values.iter().any(|known| known == value) => Err(format!(
            "value '{value}' does not have a value in the enumeration '{}'",
            values.join(", ")
        )),
        _ => Ok(()),
    }
}

/// Checks what is there, and that what must be there is.
fn check_all(
    declared: &Properties,
    given: &BTreeMap<String, String>,
    path: &str,
    version: Version,
) -> Complaints {
    let mut complaints = Complaints::new();
    let place =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, property) in declared.iter().filter(|(_, property)| property.is_on(version)) {
        match given.get(name) {
            None if property.optional || property.alias.is_some() => {}
            None => complain(&mut complaints, &place(name), MISSING),
            Some(value) => {
                if let Err(text) = check(property, &place(name), value, version) {
                    complain(&mut complaints, &place(name), text);
                }
                if let Some(other) =
                    property.requires.as_ref().filter(|it| !given.contains_key(*it))
                {
                    let text =
                        format!("missing property - '{}' requires this property", place(name));
                    complain(&mut complaints, &place(other), text);
                }
            }
        }
    }
    complaints
}

/// Takes a property string apart, checking every value. `path` is the parameter, for the complaint.
pub(crate) fn parse(
    keys: &Properties,
    path: &str,
    text: &str,
    version: Version,
) -> Result<BTreeMap<String, String>, String> {
    let duplicate = |key: &str| format!("duplicate key in comma-separated list property: {key}");
    let mut parsed = BTreeMap::new();
    let mut has_default = false;
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let Some((key, value)) = part.split_once('=') else {
            let (default, _) = keys
                .iter()
                .find(|(_, key)| key.is_default)
                .ok_or("value without key, but schema does not define a default key")?;
            if has_default || parsed.contains_key(default) {
                return Err(duplicate(default));
            }
            has_default = true;
            parsed.insert(default.clone(), part.to_owned());
            continue;
        };
        if key.is_empty() || value.is_empty() {
            return Err("missing key in comma-separated list property".to_owned());
        }
        if parsed.contains_key(key) {
            return Err(duplicate(key));
        }
        let mut key = key;
        let mut property = keys.get(key).filter(|property| property.is_on(version));
        if let Some(alias) = property.and_then(|property| property.alias.as_deref()) {
            if let Some(name) = property.and_then(|property| property.key_alias.as_deref()) {
                if parsed.contains_key(name) {
                    return Err(format!("key alias '{name}' is already defined"));
                }
                parsed.insert(name.to_owned(), key.to_owned());
            }
            key = alias;
            property = keys.get(key);
        }
        let property = property
            .ok_or_else(|| format!("invalid key in comma-separated list property: {key}"))?;
        let value = if property.kind == Kind::Boolean { flag_word(value) } else { value };
        parsed.insert(key.to_owned(), value.to_owned());
    }
    let complaints = check_all(keys, &parsed, path, version);
    if complaints.is_empty() {
        return Ok(parsed);
    }
    let lines = complaints.iter().map(|(path, text)| format!("{path}: {text}"));
    Err(format!("format error\n{}", lines.collect::<Vec<_>>().join("\n")))
}

/// Inside property strings, and only there, booleans may be words.
fn flag_word(value: &str) -> &str {
    match value.to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => "1",
        "0" | "off" | "no" | "false" => "0",
        _ => value,
    }
}

/// Turns a raw value into text, as the server's own normalisation does.
fn flatten(kind: Kind, value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::Bool(flag) => Ok(u8::from(*flag).to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(items) => {
            let items = items.iter().map(|item| flatten(kind, item));
            Ok(items.collect::<Result<Vec<_>, _>>()?.join(","))
        }
        Value::Object(_) => Err(format!("type check ('{}') failed - got HASH", kind.name())),
    }
}

/// Verified parameters.
#[derive(Debug, Default, Clone)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Verifies everything at once, so that the client sees every complaint in one answer.
    pub(crate) fn verify(raw: &Raw, to: &Endpoint, version: Version) -> Result<Self, Refusal> {
        let mut complaints = Complaints::new();
        let mut given = BTreeMap::new();
        for (name, value) in raw.iter().filter(|(_, value)| !value.is_null()) {
            let Some(property) = to.find(name, version) else {
                complain(&mut complaints, name, UNKNOWN);
                continue;
            };
            match flatten(property.kind, value) {
                Ok(value) => drop(given.insert(name.clone(), value)),
                Err(text) => complain(&mut complaints, name, text),
            }
        }
        let (own, config): (BTreeMap<_, _>, BTreeMap<_, _>) =
            given.into_iter().partition(|(name, _)| to.params.contains_key(name));
        for (name, value) in &config {
            let key = to.find(name, version);
            if let Some(Err(text)) = key.map(|key| check(key, name, value, version)) {
                complain(&mut complaints, name, text);
            }
        }
        for (path, text) in check_all(&to.params, &own, "", version) {
            complaints.entry(path).or_insert(text);
        }
        let given = own.into_iter().chain(config).collect();
        if complaints.is_empty() { Ok(Self(given)) } else { Err(Refusal::parameters(complaints)) }
    }

    /// A parameter that may be absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that the schema requires.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A parameter that the schema requires to be a number.
    pub(crate) fn number<T: FromStr + Default>(&self, name: &str) -> T {
        self.text(name).parse().unwrap_or_default()
    }

    /// Whether a boolean is given and true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("1")
    }

    /// A `-list` parameter: split at commas, semicolons, white space and NUL.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        formats::split_list(self.text(name)).collect()
    }

    /// All of them, for endpoints that write what they get.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests;
