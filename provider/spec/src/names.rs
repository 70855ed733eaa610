//! Names that people type or that stand in Proxmox, each parsed once at the edge.
//!
//! Every name is its own type, so that a storage cannot be passed where a bridge is meant, and every
//! error says which rule was broken. Inside the programs nothing is checked again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A text that does not follow the rule of the name it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {kind}: {rule}")]
pub struct InvalidName {
    /// What the text was meant to be, for instance "cluster name".
    pub kind: &'static str,
    /// The text as it was given.
    pub text: String,
    /// The rule, as a sentence without a full stop.
    pub rule: &'static str,
}

/// Declares a checked string: the type, what people call it, its rule in words, and its check.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text against the rule of this name.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidName { kind: $kind, text: text.to_owned(), rule: $rule })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// Name of a cluster; its machines are named after it, hence a DNS label with room for a suffix.
    ClusterName, "cluster name",
    "use 1 to 40 lower-case letters, digits and hyphens, with a letter or digit at both ends",
    |text| text.len() <= 40 && dns_label(text)
}

name! {
    /// Name of a machine: its VM name, its host name and the name of its Kubernetes node.
    NodeName, "node name",
    "use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends",
    dns_label
}

name! {
    /// Name of an address pool, which is also the name of its firewall address set in Proxmox.
    PoolName, "pool name",
    "use 2 to 40 lower-case letters, digits and hyphens, beginning with a letter",
    |text| (2..=40).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && plain(text)
}

name! {
    /// Name of a lease, unique in its pool.
    LeaseName, "lease name",
    "use 1 to 40 lower-case letters, digits and hyphens",
    |text| (1..=40).contains(&text.len()) && plain(text)
}

name! {
    /// Who owns leases and machines: the name of one Terraform state.
    OwnerName, "owner",
    "use 1 to 40 lower-case letters, digits and hyphens",
    |text| (1..=40).contains(&text.len()) && plain(text)
}

name! {
    /// The random mark of one allocation: an address belongs to the transaction whose row exists.
    Transaction, "transaction",
    "use exactly 16 lower-case hexadecimal digits",
    |text| text.len() == 16 && lower_hex(text)
}

name! {
    /// The random mark of one machine, repeated in a tag so that a list of VMs shows whose they are.
    Nonce, "nonce",
    "use exactly 8 lower-case hexadecimal digits",
    |text| text.len() == 8 && lower_hex(text)
}

name! {
    /// Name of a Proxmox node (a physical server).
    ProxmoxNodeName, "Proxmox node name",
    "use 1 to 63 letters, digits and hyphens, with a letter or digit at both ends",
    |text| dns_label(&text.to_ascii_lowercase())
}

name! {
    /// Name of a Proxmox storage.
    StorageName, "storage name",
    "use letters, digits, '-', '_' and '.', beginning with a letter and ending with a letter or digit",
    |text| (2..=100).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && made_of(text, "-_.")
}

name! {
    /// Name of a Linux bridge or SDN virtual network on the Proxmox nodes.
    BridgeName, "bridge name",
    "use 2 to 15 letters, digits, '_', '-' and '.', beginning with a letter",
    |text| (2..=15).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && made_of(text, "_-.")
}

name! {
    /// Name of a Proxmox resource pool, which may be nested ("teaching/course-42").
    ProxmoxPoolName, "Proxmox pool name",
    "use letters, digits, '-', '_' and '.', with '/' between nested pools",
    |text| text.len() <= 128 && text.split('/').all(|part| !part.is_empty() && made_of(part, "-_."))
}

name! {
    /// The name of a template VM, or a tag that exactly the wanted templates carry.
    TemplateName, "template name",
    "use 1 to 100 letters, digits, '-', '_', '+' and '.', beginning with a letter, digit or '_'",
    |text| (1..=100).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && made_of(text, "-_+.")
}

name! {
    /// The account that Kubesmith makes on a machine for itself.
    SshUser, "SSH user",
    "use 1 to 32 lower-case letters, digits, '_' and '-', beginning with a letter or '_', and not root",
    |text| (1..=32).contains(&text.len())
        && text != "root"
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c))
}

name! {
    /// Where Kubernetes packages come from: an http or https address without a trailing slash.
    PackageMirror, "package mirror",
    "use an http:// or https:// address without spaces, quotes, user name or trailing slash",
    mirror_address
}

name! {
    /// What the container runtime asks first for every image: an http or https address without a trailing slash.
    RegistryMirror, "registry mirror",
    "use an http:// or https:// address without spaces, quotes, user name or trailing slash",
    mirror_address
}

impl Transaction {
    /// A transaction from 64 random bits.
    pub fn from_bits(bits: u64) -> Self {
        Self(format!("{bits:016x}"))
    }
}

impl Nonce {
    /// A nonce from 32 random bits.
    pub fn from_bits(bits: u32) -> Self {
        Self(format!("{bits:08x}"))
    }
}

impl NodeName {
    /// The name of a cluster's machine, for instance `demo-worker-2`; indices count from 1.
    pub fn of(cluster: &ClusterName, suffix: &str, index: u32) -> Self {
        Self(format!("{cluster}-{suffix}-{index}"))
    }
}

fn mirror_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text.len() <= 200
        && rest.is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
                && !rest.ends_with('/')
                && rest.chars().all(|c| c.is_ascii_alphanumeric() || "-._~:/[]%+=,".contains(c))
        })
}

/// Letters, digits and hyphens, nothing at the ends but letters and digits, at most 63 of them.
fn dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len()) && plain(text) && !text.starts_with('-') && !text.ends_with('-')
}

fn plain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn lower_hex(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
}

fn made_of(text: &str, others: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_accepted_and_refused_by_their_rule() {
        assert!(
            ["demo", "d", "7", "course-42"].iter().all(|text| ClusterName::parse(text).is_ok())
        );
        let long = "a".repeat(41);
        for text in ["", "-demo", "demo-", "Demo", "de_mo", "de mo", long.as_str(), "demo\n"] {
            assert!(ClusterName::parse(text).is_err(), "{text:?}");
        }
        assert!(PoolName::parse("lab").is_ok() && PoolName::parse("9lab").is_err());
        assert!(PoolName::parse("l").is_err(), "Proxmox wants two characters");
        assert!(Transaction::parse("0123456789abcdef").is_ok());
        assert!(Transaction::parse("0123456789ABCDEF").is_err());
        assert!(SshUser::parse("kubesmith").is_ok() && SshUser::parse("root").is_err());
        assert!(BridgeName::parse("vmbr0").is_ok() && BridgeName::parse("vmbr0,tag=5").is_err());
        assert!(PackageMirror::parse("http://10.40.19.254").is_ok());
        for text in ["ftp://x", "http://", "https://a/", "https://a b", "https://u:p@h/x"] {
            assert!(PackageMirror::parse(text).is_err(), "{text:?}");
        }
        assert!(ProxmoxPoolName::parse("teaching/course-42").is_ok());
        assert!(ProxmoxPoolName::parse("teaching//x").is_err());
    }

    #[test]
    fn an_error_says_what_the_rule_is() {
        assert_eq!(
            OwnerName::parse("Course 42").unwrap_err().to_string(),
            "\"Course 42\" is not a valid owner: use 1 to 40 lower-case letters, digits and hyphens"
        );
    }
}
