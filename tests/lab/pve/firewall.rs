//! `.../firewall/options` of a machine: kept, and without effect on anything.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha1::{Digest, Sha1};

use super::api::{Answer, Call, Refusal, done};

/// Parameters that are none of the options.
const OTHERS: &[&str] = &["node", "vmid", "delete", "digest"];

fn digest(options: &BTreeMap<String, String>) -> String {
    let lines = options.iter().map(|(key, value)| format!("{key}:{value}\n"));
    hex::encode(Sha1::digest(lines.collect::<String>()))
}

/// `GET .../firewall/options`.
pub(crate) fn options(call: &Call) -> Answer {
    let state = call.state();
    let none = BTreeMap::new();
    let options = state.vm_firewalls.get(&call.vmid()).unwrap_or(&none);
    let shown = options.iter().map(|(key, value)| {
        let value = value.parse::<i64>().map_or_else(|_| value.as_str().into(), Into::into);
        (key.clone(), value)
    });
    let mut row = Value::from(shown.collect::<Map<_, _>>());
    row["digest"] = digest(options).into();
    Ok(row.into())
}

/// `PUT .../firewall/options`.
pub(crate) fn update_options(call: &Call) -> Answer {
    let mut state = call.state();
    let options = state.vm_firewalls.entry(call.vmid()).or_default();
    if call.params.get("digest").is_some_and(|given| given != digest(options)) {
        return Err(Refusal::modified());
    }
    for key in call.params.list("delete") {
        options.remove(key);
    }
    let given = call.params.iter().filter(|(key, _)| !OTHERS.contains(key));
    options.extend(given.map(|(key, value)| (key.to_owned(), value.to_owned())));
    done()
}
