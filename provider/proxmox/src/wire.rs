//! What Perl does to JSON: numbers as strings, booleans as 0 and 1, lists and maps inside strings.
//!
//! The rest of the crate sees only the plain types that come out of here.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// All but the unreserved characters of RFC 3986. A space becomes `%20`, which is right in a path, a query and a form alike.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

pub(crate) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

pub(crate) fn encode_pairs(pairs: &[(String, String)]) -> String {
    pairs
        .iter()
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}

pub(crate) fn boolean(value: bool) -> &'static str {
    if value { "1" } else { "0" }
}

/// A scalar of any JSON type as text; `null`, lists and maps are nothing.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(boolean(*flag).to_owned()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(crate) fn is_true(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "1" | "on" | "yes" | "true")
}

pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(scalar(&Value::deserialize(deserializer)?))
}

/// An unsigned integer; fractions are cut, what is no number is absent.
pub(crate) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(text(deserializer)?.and_then(|text| parse_integer(&text)))
}

pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(text(deserializer)?.map(|text| is_true(&text)))
}

pub(crate) fn parse_integer(text: &str) -> Option<u64> {
    let whole = text.trim().split('.').next().unwrap_or_default();
    whole.parse().ok()
}

/// `10G` in bytes. Proxmox writes sizes with binary units.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match &text[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return None,
    };
    match digits.split_once('.') {
        None => digits.parse::<u64>().ok()?.checked_mul(factor),
        Some((whole, fraction)) => {
            // Seen as `3.5G` for volumes that are no whole number of the unit.
            let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
            let part = fraction.parse::<u64>().ok()?.checked_mul(factor)? / scale;
            whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(part)
        }
    }
}

/// `scsi0: local:9000/disk.qcow2,size=64M` is a value without a key and pairs after it.
pub(crate) struct PropertyString {
    /// The part without a key, if there is one.
    pub(crate) default: Option<String>,
    pub(crate) pairs: BTreeMap<String, String>,
}

impl PropertyString {
    pub(crate) fn parse(text: &str) -> Self {
        let mut default = None;
        let mut pairs = BTreeMap::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((key, value)) => drop(pairs.insert(key.trim().to_owned(), value.to_owned())),
                None => default = default.or(Some(part.to_owned())),
            }
        }
        Self { default, pairs }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.pairs.get(key).map(String::as_str)
    }
}

/// Lists are split on comma, semicolon and whitespace; tags and content types are sets.
pub(crate) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| matches!(c, ',' | ';' | '\0') || c.is_whitespace())
        .filter(|item| !item.is_empty())
}

pub(crate) fn tags(text: &str) -> BTreeSet<String> {
    list(text).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Row {
        #[serde(default, deserialize_with = "integer")]
        number: Option<u64>,
        #[serde(default, deserialize_with = "flag")]
        flag: Option<bool>,
        #[serde(default, deserialize_with = "text")]
        text: Option<String>,
    }

    #[test]
    fn numbers_and_booleans_come_in_any_dress() {
        for (json, number, flag, text) in [
            (r#"{"number":100,"flag":1,"text":"x"}"#, Some(100), Some(true), Some("x")),
            (r#"{"number":"100","flag":"0","text":7}"#, Some(100), Some(false), Some("7")),
            (r#"{"number":12.75,"flag":true,"text":null}"#, Some(12), Some(true), None),
            (r#"{"number":"","flag":null}"#, None, None, None),
            ("{}", None, None, None),
        ] {
            let row: Row = serde_json::from_str(json).unwrap();
            assert_eq!((row.number, row.flag, row.text.as_deref()), (number, flag, text), "{json}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(parse_size("64M"), Some(64 << 20));
        assert_eq!(parse_size("3584K"), Some(3584 << 10));
        assert_eq!(parse_size("3.5G"), Some(3584 << 20));
        assert_eq!(parse_size("1234"), Some(1234));
        assert_eq!(parse_size("9X"), None);
        assert_eq!(parse_size(""), None);
    }

    #[test]
    fn a_upid_and_a_key_survive_encoding() {
        assert_eq!(encode("UPID:pve:1:a@pam!t:"), "UPID%3Apve%3A1%3Aa%40pam%21t%3A");
        assert_eq!(encode("ssh-ed25519 AA+/= me\n"), "ssh-ed25519%20AA%2B%2F%3D%20me%0A");
    }

    proptest! {
        #[test]
        fn encoding_is_undone_by_decoding(text in ".*") {
            let encoded = encode(&text);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            prop_assert_eq!(decode(&encoded), text);
        }

        #[test]
        fn property_strings_never_panic_and_keep_pairs(pairs in proptest::collection::btree_map("[a-z]{1,8}", "[^,=]{0,12}", 0..5)) {
            let text = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
            prop_assert_eq!(PropertyString::parse(&text).pairs, pairs);
        }

        #[test]
        fn sizes_never_panic(text in "\\PC{0,24}") { let _ = parse_size(&text); }
    }
}
