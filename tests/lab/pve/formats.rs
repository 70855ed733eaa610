//! Named formats, with the complaints that Proxmox makes about them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Version;
use super::roles;
use super::schema;

/// Checks a value of a named format; a `-list` is checked item by item, an `-opt` may be empty.
pub(crate) fn check(format: &str, value: &str, version: Version) -> Result<(), String> {
    if let Some(one) = check_one(format, value, version) {
        return one;
    }
    if let Some(format) = format.strip_suffix("-list") {
        return split_list(value)
            .try_for_each(|item| check_one(format, item, version).unwrap_or(Ok(())));
    }
    match format.strip_suffix("-opt") {
        Some(format) if !value.is_empty() => check_one(format, value, version).unwrap_or(Ok(())),
        _ => Ok(()),
    }
}

/// Whether [`check`] looks at a format at all.
#[cfg(test)]
pub(crate) fn is_known(format: &str) -> bool {
    let known = |format: &str| check_one(format, "", Version::default()).is_some();
    known(format) || ["-list", "-opt"].iter().any(|end| format.strip_suffix(end).is_some_and(known))
}

/// Splits a `-list` value.
pub(crate) fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';', ' ', '\t', '\n', '\r', '\0']).filter(|item| !item.is_empty())
}

fn all(text: &str, allowed: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || allowed.as_bytes().contains(&byte))
}

fn starts_with_letter(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
}

fn ends_plain(text: &str) -> bool {
    text.ends_with(|last: char| last.is_ascii_alphanumeric())
}

/// A label of a host name: letters, digits and inner hyphens.
fn is_label(text: &str) -> bool {
    all(text, "-") && !text.starts_with('-') && !text.ends_with('-')
}

fn is_dns_name(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// What must hold of each format's values, and what is said when it does not. Nothing for a format that is not known.
fn check_one(format: &str, text: &str, version: Version) -> Option<Result<(), String>> {
    let looks = |what: &str| format!("value does not look like a valid {what}");
    let id = |kind: &str| {
        let good =
            starts_with_letter(text) && all(text, "-_.") && ends_plain(text) && text.len() > 1;
        (good, format!("{kind} ID '{text}' contains illegal characters"))
    };
    let name = |kind: &str| {
        (all(text, "-_."), format!("{kind} name '{text}' contains invalid characters"))
    };
    let (good, complaint) = match format {
        "pve-vmid" => (is_vmid(text), looks("VM ID")),
        "pve-node" => (is_label(text), looks("node name")),
        "pve-ha-node" => (is_label(text.split(':').next()?), looks("node name")),
        "pve-storage-id" => id("storage"),
        "storage-pair" => (text == "1" || id("storage").0 || text.contains(':'), id("storage").1),
        "pve-configid" => (is_config_id(text), format!("invalid configuration ID '{text}'")),
        "pve-bridge-id" => (all(text, "-_."), format!("invalid bridge ID '{text}'")),
        "pve-poolid" => {
            let parts: Vec<_> = text.split('/').collect();
            let good = parts.len() <= 3 && parts.iter().all(|part| all(part, "-_."));
            (good, format!("pool name '{text}' contains invalid characters"))
        }
        "pve-roleid" => name("role"),
        "pve-groupid" => name("group"),
        "pve-realm" => (is_realm(text), looks("realm")),
        "pve-userid" => return Some(check_user(text)),
        "pve-tokenid" => {
            (is_token(text), format!("value '{text}' does not look like a valid token ID"))
        }
        "pve-priv" => {
            (roles::privileges(version).contains(text), format!("invalid privilege '{text}'"))
        }
        "email" => (
            text.split_once('@')
                .is_some_and(|(user, host)| all(user, "._%+-") && is_dns_name(host)),
            looks("email address"),
        ),
        "dns-name" => (is_dns_name(text), looks("DNS name")),
        "address" => (
            text.parse::<IpAddr>().is_ok() || is_dns_name(text),
            format!("value does not look like a valid address: {text}"),
        ),
        "ip" => (text.parse::<IpAddr>().is_ok(), looks("IP address")),
        "ipv4" => (text.parse::<Ipv4Addr>().is_ok(), looks("IPv4 address")),
        "ipv6" => (text.parse::<Ipv6Addr>().is_ok(), looks("IPv6 address")),
        "CIDR" => (is_cidr_v4(text) || is_cidr_v6(text), looks("CIDR network")),
        "pve-ipv4-config" => (
            matches!(text, "dhcp" | "manual") || is_cidr_v4(text),
            looks("ipv4 network configuration"),
        ),
        "pve-ipv6-config" => (
            matches!(text, "auto" | "dhcp" | "manual") || is_cidr_v6(text),
            looks("ipv6 network configuration"),
        ),
        "IPorCIDRorAlias" => {
            (network(text).is_some() || is_alias(text), looks("IP address or CIDR network"))
        }
        "mac-addr" => (is_unicast_mac(text), looks("unicast MAC address")),
        "disk-size" => (
            super::disks::parse_size(text).is_some(),
            format!("value does not look like a valid disk size: {text}"),
        ),
        "urlencoded" => (
            text.is_empty() || all(text, "-%_.!~*'()"),
            format!("invalid urlencoded string: {text}"),
        ),
        "pve-tag" => (is_tag(text), "invalid characters in tag".to_owned()),
        "pve-startup-order" => {
            (is_startup_order(text), "unable to parse startup options".to_owned())
        }
        "pve-hotplug-features" => (is_hotplug(text), "unable to parse hotplug option".to_owned()),
        "pve-volume-id" => (is_volume(text), format!("unable to parse volume ID '{text}'")),
        "pve-volume-id-or-absolute-path" => (
            text.starts_with('/') || is_volume(text),
            format!("unable to parse volume ID '{text}'"),
        ),
        "pve-volume-id-or-qm-path" => (
            matches!(text, "none" | "cdrom") || text.starts_with('/') || is_volume(text),
            format!("unable to parse volume ID '{text}'"),
        ),
        "pve-qm-bootdev" => (is_boot_device(text), format!("invalid boot device '{text}'")),
        "pve-qm-bootdisk" => (is_drive_name(text), format!("invalid boot disk '{text}'")),
        "pve-storage-content" => (is_content(text), format!("invalid content type '{text}'")),
        "pve-task-status-type" => (
            ["ok", "error", "warning", "unknown"].contains(&text.to_lowercase().as_str()),
            format!("invalid status '{text}'"),
        ),
        "pve-ha-resource-or-vm-id" => (
            ha_resource(text).is_some(),
            format!("value '{text}' does not look like a valid ha resource id"),
        ),
        // What these hold is nothing that the lab knows of.
        "pve-cpu-type" | "pve-cpuset" | "pve-qemu-sev-fmt" | "pve-qemu-tdx-fmt" => {
            return Some(Ok(()));
        }
        _ => return None,
    };
    Some(if good { Ok(()) } else { Err(complaint) })
}

/// What some property strings check besides, once each of their values is in order.
pub(crate) fn check_parsed(format: &str, parsed: &BTreeMap<String, String>) -> Result<(), String> {
    let (Some(cpu), "pve-vm-cpu-conf") = (parsed.get("cputype"), format) else { return Ok(()) };
    if is_cpu(cpu) {
        return Ok(());
    }
    match cpu.strip_prefix("custom-") {
        Some(_) => Err(format!("Custom cputype '{cpu}' not found")),
        None => Err(format!("Built-in cputype '{cpu}' is not defined (missing 'custom-' prefix?)")),
    }
}

fn is_cpu(text: &str) -> bool {
    let families = [
        "486",
        "athlon",
        "Broadwell",
        "Cascadelake",
        "Conroe",
        "Cooperlake",
        "core2duo",
        "coreduo",
        "EPYC",
        "GraniteRapids",
        "Haswell",
        "IvyBridge",
        "KnightsMill",
        "Nehalem",
        "Opteron_G",
        "Penryn",
        "pentium",
        "phenom",
        "SandyBridge",
        "SapphireRapids",
        "SierraForest",
        "Skylake",
        "Icelake",
        "Westmere",
    ];
    let plain = [
        "host",
        "max",
        "kvm32",
        "kvm64",
        "qemu32",
        "qemu64",
        "x86-64-v2",
        "x86-64-v2-AES",
        "x86-64-v3",
        "x86-64-v4",
    ];
    plain.contains(&text) || families.iter().any(|family| text.starts_with(family))
}

fn is_vmid(text: &str) -> bool {
    (3..=9).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && !text.starts_with('0')
}

fn is_config_id(text: &str) -> bool {
    text.len() > 1 && starts_with_letter(text) && all(text, "-_")
}

fn is_realm(text: &str) -> bool {
    text.len() > 1 && starts_with_letter(text) && all(text, "-_.")
}

/// `name@realm`.
fn check_user(text: &str) -> Result<(), String> {
    let length = text.chars().count();
    if length < 3 {
        return Err(format!("user name '{text}' is too short"));
    }
    if length > 64 {
        return Err(format!("user name '{text}' is too long ({length} > 64)"));
    }
    if is_user(text) {
        Ok(())
    } else {
        Err(format!("value '{text}' does not look like a valid user name"))
    }
}

fn is_user(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(name, realm)| {
        !name.is_empty()
            && !name.contains(|other: char| other.is_whitespace() || matches!(other, ':' | '/'))
            && is_realm(realm)
    })
}

fn is_token(text: &str) -> bool {
    text.rsplit_once('!').is_some_and(|(user, name)| is_user(user) && is_realm(name))
}

fn is_tag(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && all(text, "_-+.")
}

fn is_unicast_mac(text: &str) -> bool {
    let parts: Vec<_> = text.split(':').collect();
    let hexadecimal = parts
        .iter()
        .all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let first = u8::from_str_radix(parts.first().unwrap_or(&""), 16).unwrap_or(1);
    parts.len() == 6 && hexadecimal && first & 1 == 0
}

fn is_startup_order(text: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let part = |part: &str| match part.split_once('=') {
        None => number(part),
        Some(("order" | "up" | "down", value)) => number(value),
        Some(_) => false,
    };
    !text.is_empty() && text.split(',').filter(|part| !part.trim().is_empty()).all(part)
}

fn is_hotplug(text: &str) -> bool {
    let features = ["network", "disk", "cpu", "memory", "usb", "cloudinit"];
    matches!(text, "0" | "1") || split_list(text).all(|feature| features.contains(&feature))
}

/// `storage:volume`.
fn is_volume(text: &str) -> bool {
    text.split_once(':').is_some_and(|(storage, volume)| {
        starts_with_letter(storage)
            && all(storage, "-_.")
            && ends_plain(storage)
            && !volume.is_empty()
    })
}

fn is_drive_name(text: &str) -> bool {
    schema::config_key(text).is_some_and(|key| key.needs == Some(schema::Needs::Drive))
        && text != "cdrom"
}

fn is_boot_device(text: &str) -> bool {
    let device = ["net", "usb", "hostpci"].iter().any(|stem| text.starts_with(stem));
    is_drive_name(text) && !matches!(text, "efidisk0" | "tpmstate0")
        || device && schema::config_key(text).is_some()
}

fn is_content(text: &str) -> bool {
    ["images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none"].contains(&text)
}

fn is_alias(text: &str) -> bool {
    let name = text.strip_prefix("dc/").or_else(|| text.strip_prefix("guest/")).unwrap_or(text);
    name.len() > 1 && starts_with_letter(name) && all(name, "-_")
}

/// The VMID of `vm:100` or `100`.
pub(crate) fn ha_resource(text: &str) -> Option<u32> {
    let id = text.strip_prefix("vm:").or_else(|| text.strip_prefix("ct:")).unwrap_or(text);
    id.parse().ok().filter(|_| is_vmid(id))
}

fn has_prefix(text: &str, bits: u8) -> Option<&str> {
    let (address, prefix) = text.split_once('/')?;
    let prefix: u8 = prefix.parse().ok()?;
    (8..=bits).contains(&prefix).then_some(address)
}

fn is_cidr_v4(text: &str) -> bool {
    has_prefix(text, 32).is_some_and(|address| address.parse::<Ipv4Addr>().is_ok())
}

fn is_cidr_v6(text: &str) -> bool {
    has_prefix(text, 128).is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// An address or network as firewall sets take it; the answer is the stored form.
pub(crate) fn network(text: &str) -> Option<String> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let (bits, value) = match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => (32, u128::from(u32::from(address))),
        IpAddr::V6(address) => (128, u128::from(address)),
    };
    let prefix = prefix.unwrap_or(bits);
    if prefix > bits {
        return None;
    }
    let host_bits = bits - prefix;
    let kept = value.checked_shr(host_bits).unwrap_or(0).checked_shl(host_bits).unwrap_or(0);
    let base = match u32::try_from(kept) {
        Ok(kept) if bits == 32 => IpAddr::V4(kept.into()),
        _ => IpAddr::V6(kept.into()),
    };
    Some(if prefix == bits { base.to_string() } else { format!("{base}/{prefix}") })
}
