//! The configuration keys of a virtual machine, as the endpoints look at them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Version;
use super::params::parse;
use super::schema::{Kind, Needs, config_key, property_string};

/// Whether `name` is a slot for a drive.
pub(crate) fn is_drive(name: &str) -> bool {
    name != "cdrom" && config_key(name).is_some_and(|key| key.needs == Some(Needs::Drive))
}

/// Whether `name` is a network card.
pub(crate) fn is_net(name: &str) -> bool {
    config_key(name).is_some_and(|key| key.needs == Some(Needs::Network))
}

/// The parts of a value that is a property string; nothing of one that is none.
pub(crate) fn parts(name: &str, value: &str) -> BTreeMap<String, String> {
    let format = config_key(name).and_then(|key| property_string(key.format.as_deref()?));
    format.and_then(|keys| parse(keys, name, value, Version::V9_1).ok()).unwrap_or_default()
}

/// A value as `GET config` shows it: numbers where the schema says so, text everywhere else.
pub(crate) fn shown(name: &str, value: &str) -> Value {
    if name == "cipassword" {
        return "**********".into();
    }
    match config_key(name).map(|key| key.kind) {
        Some(Kind::Boolean | Kind::Integer) => {
            value.parse::<i64>().map_or_else(|_| value.into(), Into::into)
        }
        _ => value.into(),
    }
}
