//! What each endpoint takes and who may call it, in the server's own schema language.
//!
//! The files beside this one hold the facts, one endpoint or parameter a line: `config.json` the keys of a machine,
//! `formats.json` the property strings such as `model=virtio,bridge=vmbr0`, the others the endpoints of one area each.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::Version;

/// Properties by name. A name that ends with `[n]` stands for `net0`, `net1` and so on.
pub(crate) type Properties = BTreeMap<String, Property>;

/// One endpoint.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Endpoint {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Who may call it: `"world"`, `"all"` or a test such as `["perm", "/vms/{vmid}", ["VM.Audit"]]`.
    pub(crate) check: Value,
    /// The same on 8.4, where it differs.
    check_before_9: Option<Value>,
    /// Whether API tokens may call it.
    #[serde(default = "yes")]
    pub(crate) tokens: bool,
    /// Whether the request goes to the node of the URL.
    #[serde(default, rename = "node")]
    pub(crate) is_forwarded: bool,
    /// Whether it takes every configuration key of a machine besides.
    #[serde(default, rename = "config")]
    pub(crate) takes_config: bool,
    since: Option<Since>,
    #[serde(default)]
    pub(crate) params: Properties,
}

impl Endpoint {
    /// Who may call it on a version.
    pub(crate) fn check_on(&self, version: Version) -> &Value {
        match version {
            Version::V8_4 => self.check_before_9.as_ref().unwrap_or(&self.check),
            Version::V9_1 => &self.check,
        }
    }

    /// Whether a version has it.
    pub(crate) fn is_on(&self, version: Version) -> bool {
        Since::is_on(self.since, version)
    }

    /// The parameter `name`, be it the endpoint's own or a configuration key.
    pub(crate) fn find(&self, name: &str, version: Version) -> Option<&Property> {
        let config = self.takes_config.then(|| find(&CONFIG, name)).flatten();
        find(&self.params, name).or(config).filter(|property| property.is_on(version))
    }
}

/// The first version that has something: all that the lab's versions tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Since {
    #[serde(rename = "9.0")]
    V9_0,
    #[serde(rename = "9.1")]
    V9_1,
    /// Later than what the lab can be.
    #[serde(rename = "9.2")]
    Later,
}

impl Since {
    fn is_on(since: Option<Self>, version: Version) -> bool {
        match since {
            None => true,
            Some(Self::V9_0 | Self::V9_1) => version == Version::V9_1,
            Some(Self::Later) => false,
        }
    }
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    #[default]
    String,
    Boolean,
    Integer,
    Number,
    Array,
}

impl Kind {
    /// As the server's complaints call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Array => "array",
        }
    }
}

/// Which privilege a configuration key needs; `privileges.rs` makes the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Needs {
    Cpu,
    Memory,
    Network,
    Cloudinit,
    Options,
    /// Options, and Sys.Modify on `/` besides.
    Startup,
    Power,
    Disk,
    /// A drive: disk, CD-ROM or cloud-init drive, by its value.
    Drive,
    HardwareType,
    /// Hardware type if the value is `socket`, root alone otherwise.
    Serial,
    /// Hardware type for mapped devices, root alone for real ones.
    Device,
    Root,
}

/// What a value must be.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Property {
    #[serde(default, rename = "type")]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) optional: bool,
    /// A named check, or the name of a property string.
    pub(crate) format: Option<String>,
    pattern: Option<String>,
    #[serde(skip)]
    compiled: OnceLock<Option<Regex>>,
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    pub(crate) min_length: Option<usize>,
    pub(crate) max_length: Option<usize>,
    #[serde(rename = "enum")]
    pub(crate) values: Option<Vec<String>>,
    /// Another property that must be given with this one.
    pub(crate) requires: Option<String>,
    /// The key of a property string that this one stands for,
    pub(crate) alias: Option<String>,
    /// and the one that takes this key itself as its value.
    pub(crate) key_alias: Option<String>,
    /// Whether a value without a key means this one.
    #[serde(default, rename = "default_key")]
    pub(crate) is_default: bool,
    since: Option<Since>,
    /// How many there are of a name that ends with `[n]`.
    count: Option<u32>,
    /// Of configuration keys: what it needs, and whether a running machine takes it at once.
    pub(crate) needs: Option<Needs>,
    #[serde(default)]
    pub(crate) hot: bool,
}

impl Property {
    /// Whether a version has it.
    pub(crate) fn is_on(&self, version: Version) -> bool {
        Since::is_on(self.since, version)
    }

    /// Whether the whole of `value` matches the pattern, if there is one.
    pub(crate) fn matches(&self, value: &str) -> bool {
        let compile = || Regex::new(&format!("^(?:{})$", self.pattern.as_deref()?)).ok();
        self.compiled.get_or_init(compile).as_ref().is_none_or(|regex| regex.is_match(value))
    }
}

fn yes() -> bool {
    true
}

/// Finds `net0` under `net[n]`, and everything else under its own name.
fn find<'a>(properties: &'a Properties, name: &str) -> Option<&'a Property> {
    properties.get(name).or_else(|| {
        let stem = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let index = &name[stem.len()..];
        let many = properties.get(&format!("{stem}[n]"))?;
        let is_plain = index == "0" || !index.starts_with('0');
        let index: u32 = index.parse().ok().filter(|_| is_plain)?;
        many.count.is_none_or(|count| index < count).then_some(many)
    })
}

/// A configuration key by a name such as `net0`.
pub(crate) fn config_key(name: &str) -> Option<&'static Property> {
    find(&CONFIG, name)
}

/// A property string by the name of its format.
pub(crate) fn property_string(format: &str) -> Option<&'static Properties> {
    FORMATS.get(format)
}

#[expect(
    clippy::expect_used,
    reason = "the files are part of the program, and a test reads them all"
)]
fn read<T: for<'de> Deserialize<'de>>(text: &str) -> T {
    serde_json::from_str(text).expect("the schema is in order")
}

static CONFIG: LazyLock<Properties> = LazyLock::new(|| read(include_str!("schema/config.json")));
static FORMATS: LazyLock<BTreeMap<String, Properties>> =
    LazyLock::new(|| read(include_str!("schema/formats.json")));

/// Every endpoint there is.
pub(crate) static ENDPOINTS: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    let areas = [
        include_str!("schema/access.json"),
        include_str!("schema/cluster.json"),
        include_str!("schema/firewall.json"),
        include_str!("schema/machines.json"),
        include_str!("schema/nodes.json"),
    ];
    areas.into_iter().flat_map(read::<Vec<_>>).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles_and_every_format_is_known() {
        let own = ENDPOINTS.iter().flat_map(|endpoint| endpoint.params.iter());
        for (name, property) in own.chain(&*CONFIG).chain(FORMATS.values().flatten()) {
            if let Some(pattern) = &property.pattern {
                assert!(Regex::new(pattern).is_ok(), "{name}: {pattern}");
            }
            if let Some(format) = &property.format {
                let known =
                    property_string(format).is_some() || super::super::formats::is_known(format);
                assert!(known, "{name}: nobody checks '{format}'");
            }
        }
    }

    #[test]
    fn indexed_keys_end_where_the_servers_do() {
        for known in ["net0", "net31", "scsi30", "ide3", "unused255", "tpmstate0", "numa", "numa7"]
        {
            assert!(config_key(known).is_some(), "{known}");
        }
        for unknown in ["net32", "ide4", "net", "net00", "net01", "cores0", "tpmstate1", "bogus"] {
            assert!(config_key(unknown).is_none(), "{unknown}");
        }
    }
}
