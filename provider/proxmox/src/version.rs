//! Which Proxmox VE answers.

use serde::Deserialize;

use crate::client::{Client, get};
use crate::error::Error;

/// The version of the answering node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// For instance `9.1`.
    pub release: String,
    /// For instance `9.1.8`.
    pub version: String,
}

impl Client {
    /// The version of the node that answers.
    pub async fn version(&self) -> Result<Version, Error> {
        self.send(get(&["version"])).await
    }
}

impl Version {
    /// The first number.
    pub fn major(&self) -> u32 {
        self.part(0)
    }

    /// The second number.
    pub fn minor(&self) -> u32 {
        self.part(1)
    }

    /// Whether it is this one or a later one.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        (self.major(), self.minor()) >= (major, minor)
    }

    fn part(&self, index: usize) -> u32 {
        let text = self.version.split(['.', '-']).nth(index).unwrap_or_default();
        text.parse().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        let version = |text: &str| Version { release: String::new(), version: text.to_owned() };
        assert!(
            version("9.1.8").at_least(8, 4)
                && version("8.4.21").at_least(8, 4)
                && !version("8.4.21").at_least(9, 0)
        );
        assert_eq!(version("9.0~11").major(), 9);
    }
}
