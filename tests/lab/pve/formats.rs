//! Named formats and property strings, with the complaints that Proxmox makes about them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::params::{Kind, check_kind};

/// Checks a value of a named format.
pub(crate) type Check = fn(&str) -> Result<(), String>;

fn all(text: &str, allowed: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || allowed.as_bytes().contains(&byte))
}

fn starts_with_letter(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
}

/// Splits a `-list` value.
pub(crate) fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';', ' ', '\t', '\n', '\0']).filter(|item| !item.is_empty())
}

fn each(text: &str, check: Check) -> Result<(), String> {
    split_list(text).try_for_each(check)
}

/// `pve-vmid`.
pub(crate) fn vmid(text: &str) -> Result<(), String> {
    let good = (3..=9).contains(&text.len())
        && all(text, "")
        && !text.starts_with('0')
        && text.parse::<u32>().is_ok();
    if good { Ok(()) } else { Err("value does not look like a valid VM ID".to_owned()) }
}

/// `pve-vmid-list`.
pub(crate) fn vmids(text: &str) -> Result<(), String> {
    each(text, vmid)
}

/// `dns-name`: labels of letters, digits and inner hyphens.
pub(crate) fn dns_name(text: &str) -> Result<(), String> {
    let label = |label: &str| {
        !label.is_empty() && all(label, "-") && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.split('.').all(label) {
        Ok(())
    } else {
        Err("value does not look like a valid DNS name".to_owned())
    }
}

/// `pve-node`.
pub(crate) fn node(text: &str) -> Result<(), String> {
    let good = !text.is_empty() && all(text, "-") && !text.starts_with('-') && !text.ends_with('-');
    if good { Ok(()) } else { Err("value does not look like a valid node name".to_owned()) }
}

/// `pve-storage-id`.
pub(crate) fn storage(text: &str) -> Result<(), String> {
    let good = text.len() >= 2 && starts_with_letter(text) && all(text, "-_.");
    if good { Ok(()) } else { Err(format!("storage ID '{text}' contains illegal characters")) }
}

/// `pve-poolid`: up to three levels.
pub(crate) fn pool(text: &str) -> Result<(), String> {
    let parts: Vec<_> = text.split('/').collect();
    let good = parts.len() <= 3 && parts.iter().all(|part| !part.is_empty() && all(part, "-_."));
    if good { Ok(()) } else { Err(format!("pool name '{text}' contains invalid characters")) }
}

/// `pve-roleid`.
pub(crate) fn role(text: &str) -> Result<(), String> {
    let good = !text.is_empty() && all(text, "-_.");
    if good { Ok(()) } else { Err(format!("role name '{text}' contains invalid characters")) }
}

/// `pve-userid`.
pub(crate) fn user(text: &str) -> Result<(), String> {
    let good = text.rsplit_once('@').is_some_and(|(name, realm)| {
        !name.is_empty()
            && !name.contains([' ', ':', '/'])
            && realm.len() >= 2
            && starts_with_letter(realm)
    });
    if good { Ok(()) } else { Err(format!("value '{text}' does not look like a valid user name")) }
}

/// A token's own name: at least two characters.
pub(crate) fn is_token_name(text: &str) -> bool {
    text.len() >= 2 && starts_with_letter(text) && all(text, "-_.")
}

/// The name of an `IPSet`.
pub(crate) fn is_ipset_name(text: &str) -> bool {
    text.len() >= 2 && starts_with_letter(text) && all(text, "-_")
}

/// A disk size as resize takes it: `40G`, `+512M`.
pub(crate) fn is_resize(text: &str) -> bool {
    let text = text.strip_prefix('+').unwrap_or(text);
    let number = text.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(text);
    number.starts_with(|first: char| first.is_ascii_digit()) && number.parse::<f64>().is_ok()
}

/// An address or network as firewall sets take it; the answer is the stored form.
pub(crate) fn network(text: &str) -> Option<String> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let (bits, full, value) = match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => (32, "v4", u128::from(u32::from(address))),
        IpAddr::V6(address) => (128, "v6", u128::from(address)),
    };
    let prefix = prefix.unwrap_or(bits);
    if prefix == 0 || prefix > bits {
        return None;
    }
    let host_bits = bits - prefix;
    let kept = if host_bits == 0 { value } else { value >> host_bits << host_bits };
    let base = if full == "v4" {
        IpAddr::V4(u32::try_from(kept).ok()?.into())
    } else {
        IpAddr::V6(kept.into())
    };
    Some(if prefix == bits { base.to_string() } else { format!("{base}/{prefix}") })
}

/// `IPorCIDRorAlias` (the lab has no aliases).
pub(crate) fn cidr(text: &str) -> Result<(), String> {
    network(text)
        .map(drop)
        .ok_or_else(|| "value does not look like a valid IP address or CIDR network".to_owned())
}

/// `address-list`, as nameservers are given.
pub(crate) fn addresses(text: &str) -> Result<(), String> {
    each(text, |item| {
        item.parse::<IpAddr>().map(drop).map_err(|_| "value is not a valid IP address".to_owned())
    })
}

/// `pve-tag-list`.
pub(crate) fn tags(text: &str) -> Result<(), String> {
    each(text, |tag| {
        let good = tag.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
            && all(tag, "_-+.");
        if good { Ok(()) } else { Err("invalid characters in tag".to_owned()) }
    })
}

/// `urlencoded`: percent-encoded once more than the transport needs.
pub(crate) fn urlencoded(text: &str) -> Result<(), String> {
    if all(text, "-%_.!~*'()") { Ok(()) } else { Err(format!("invalid urlencoded string: {text}")) }
}

/// `pve-qm-ipconfig`.
pub(crate) fn ipconfig(text: &str) -> Result<(), String> {
    let mut given = BTreeMap::new();
    for part in text.split(',') {
        let Some((key, value)) = part.split_once('=') else {
            return Err("format error\nmissing key in comma-separated list property".to_owned());
        };
        let good = match key {
            "ip" => matches!(value, "dhcp" | "manual") || is_interface_address(value),
            "ip6" => matches!(value, "auto" | "dhcp" | "manual") || is_interface_address(value),
            "gw" | "gw6" => value.parse::<IpAddr>().is_ok(),
            _ => return Err(format!("format error\n{key}: property is not defined in schema")),
        };
        if !good {
            return Err(format!(
                "format error\n{key}: invalid format - value does not look like a valid address"
            ));
        }
        given.insert(key, value);
    }
    for (gateway, address) in [("gw", "ip"), ("gw6", "ip6")] {
        if given.contains_key(gateway) && !given.contains_key(address) {
            return Err(format!(
                "format error\n{gateway}: missing property - '{gateway}' requires this property"
            ));
        }
    }
    Ok(())
}

fn is_interface_address(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, prefix)| {
        address.parse::<IpAddr>().is_ok() && prefix.parse::<u8>().is_ok_and(|prefix| prefix <= 128)
    })
}

/// A property string: a list of `key=value`, of which one key may be left out.
pub(crate) struct PropertyString {
    /// The key of a value that stands alone.
    pub(crate) default_key: Option<&'static str>,
    /// The keys and what their values must be.
    pub(crate) keys: &'static [(&'static str, Kind)],
    /// Keys that stand for another one: `virtio=MAC` means model and MAC in one.
    pub(crate) models: &'static [&'static str],
    /// Whether a key that is not listed is accepted; for formats of which the lab knows only a part.
    pub(crate) open: bool,
}

impl PropertyString {
    /// Takes it apart, checking every value. `name` is the parameter, for the complaint.
    pub(crate) fn parse(&self, name: &str, text: &str) -> Result<BTreeMap<String, String>, String> {
        let mut parsed = BTreeMap::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (key, value) = match part.split_once('=') {
                Some((key, value)) => (key, value),
                None => match self.default_key {
                    Some(key) => (key, part),
                    None => return Err(
                        "format error\nvalue without key, but schema does not define a default key"
                            .into(),
                    ),
                },
            };
            if self.models.contains(&key) {
                parsed.insert("model".to_owned(), key.to_owned());
                parsed.insert("macaddr".to_owned(), value.to_owned());
                continue;
            }
            if let Some((_, kind)) = self.keys.iter().find(|(known, _)| *known == key) {
                let value = if matches!(kind, Kind::Boolean) { flag_word(value) } else { value };
                check_kind(*kind, name, value)
                    .map_err(|complaint| format!("format error\n{name}.{key}: {complaint}"))?;
                parsed.insert(key.to_owned(), value.to_owned());
            } else if self.open {
                parsed.insert(key.to_owned(), value.to_owned());
            } else {
                let text = "property is not defined in schema and the schema does not allow additional properties";
                return Err(format!("format error\n{name}.{key}: {text}"));
            }
        }
        Ok(parsed)
    }
}

/// Inside property strings, and only there, booleans may be words.
fn flag_word(value: &str) -> &str {
    match value {
        "on" | "yes" | "true" => "1",
        "off" | "no" | "false" => "0",
        other => other,
    }
}
