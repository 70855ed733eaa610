//! PURE: one-line `key=value` texts, the form of everything that Kubesmith leaves in Proxmox.

use std::collections::BTreeMap;
use std::str::FromStr;

/// The fields of one line. Values have no spaces; a key stands once.
pub(crate) struct Fields<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Fields<'a> {
    /// Takes a line apart; `None` if a word is no `key=value` or a key stands twice.
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        let mut fields = BTreeMap::new();
        for word in line.split(' ').filter(|word| !word.is_empty()) {
            let (key, value) = word.split_once('=')?;
            if fields.insert(key, value).is_some() {
                return None;
            }
        }
        Some(Self(fields))
    }

    /// The value of a field that must be there, parsed.
    pub(crate) fn take<T: FromStr>(&mut self, key: &str) -> Option<T> {
        self.0.remove(key)?.parse().ok()
    }

    /// The values of a comma-separated field; none if the field is missing or empty.
    pub(crate) fn take_list<T: FromStr>(&mut self, key: &str) -> Option<Vec<T>> {
        let text = self.0.remove(key).unwrap_or_default();
        text.split(',').filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect()
    }
}
