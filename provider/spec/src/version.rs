//! Kubernetes versions: `1.36.4`, and what we know about them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::InvalidName;

/// The oldest minor that the roles are tested with.
pub const OLDEST_TESTED_MINOR: u16 = 35;
/// The newest minor that the roles are tested with.
pub const NEWEST_TESTED_MINOR: u16 = 37;

/// A complete Kubernetes version, such as `1.36.4`. The major number is always 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KubernetesVersion {
    minor: u16,
    patch: u16,
}

/// How far a version lies from those that are tested. Informative: it never forbids anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// The roles are tested with this minor.
    Tested,
    /// Older than everything tested; its own maintainers no longer fix it.
    TooOld,
    /// Newer than everything tested; it may well work.
    Untested,
}

impl KubernetesVersion {
    /// Parses `1.36.4`; a minor alone is refused, because two nodes could then differ.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let invalid = || InvalidName {
            kind: "Kubernetes version",
            text: text.to_owned(),
            rule: "write it in full and without a leading v, for instance 1.36.4",
        };
        let (minor, patch) =
            text.strip_prefix("1.").and_then(|rest| rest.split_once('.')).ok_or_else(invalid)?;
        match (number(minor), number(patch)) {
            (Some(minor), Some(patch)) => Ok(Self { minor, patch }),
            _ => Err(invalid()),
        }
    }

    /// The minor number, 36 in `1.36.4`.
    pub fn minor(self) -> u16 {
        self.minor
    }

    /// The patch number, 4 in `1.36.4`.
    pub fn patch(self) -> u16 {
        self.patch
    }

    /// The minor version as package repositories name it: `v1.36`.
    pub fn repository(self) -> String {
        format!("v1.{}", self.minor)
    }

    /// How far this version lies from those that are tested.
    pub fn support(self) -> Support {
        match self.minor {
            0..OLDEST_TESTED_MINOR => Support::TooOld,
            OLDEST_TESTED_MINOR..=NEWEST_TESTED_MINOR => Support::Tested,
            _ => Support::Untested,
        }
    }
}

/// Digits only and no leading zero, so that a version has one spelling.
fn number(text: &str) -> Option<u16> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && text.chars().all(|c| c.is_ascii_digit())).then(|| text.parse().ok())?
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}.{}", self.minor, self.patch)
    }
}

impl std::str::FromStr for KubernetesVersion {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::parse(text)
    }
}

impl TryFrom<String> for KubernetesVersion {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl From<KubernetesVersion> for String {
    fn from(version: KubernetesVersion) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_complete_and_has_one_spelling() {
        for text in ["1.36.4", "1.37.0", "1.9.11"] {
            assert_eq!(KubernetesVersion::parse(text).unwrap().to_string(), text);
        }
        for text in
            ["1.36", "v1.36.4", "2.0.0", "1.36.04", "1.36.4-rc.0", "1.36.", "1..4", "1.+6.4"]
        {
            assert!(KubernetesVersion::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn versions_compare_by_number_and_say_how_well_they_are_known() {
        let version = |text| KubernetesVersion::parse(text).unwrap();
        assert!(version("1.9.11") < version("1.10.0"));
        assert_eq!(version("1.34.9").support(), Support::TooOld);
        assert_eq!(version("1.36.4").support(), Support::Tested);
        assert_eq!(version("1.38.0").support(), Support::Untested);
        assert_eq!(version("1.36.4").repository(), "v1.36");
    }
}
