//! IP sets of a machine's firewall: the part of Proxmox that creates if absent and deletes if unchanged, cluster-wide.
//!
//! There is no call here to overwrite a row or to delete a set with rows in it: Proxmox would do both without looking.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::client::{Client, delete, get, post};
use crate::error::{Class, Error, Refusal};
use crate::wire;

/// A set, without its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpSetInfo {
    /// Lower-case.
    pub name: String,
    /// Free text.
    pub comment: String,
}

/// A set's rows at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpSet {
    /// Single addresses and covering networks.
    pub rows: Vec<IpSetRow>,
    /// Of all rows together. An empty set has none.
    pub digest: Option<String>,
    /// The server's clock, in seconds since 1970.
    pub server_time: Option<i64>,
}

/// A row of a set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct IpSetRow {
    /// An address or a network; a full prefix length is left out.
    pub cidr: String,
    /// Free text.
    #[serde(default)]
    pub comment: String,
    /// An exception from a covering network.
    #[serde(default, deserialize_with = "no_match")]
    pub nomatch: bool,
}

#[derive(Deserialize)]
struct InfoRow {
    name: String,
    #[serde(default, deserialize_with = "wire::text")]
    comment: Option<String>,
}

#[derive(Deserialize)]
struct DigestRow {
    #[serde(flatten)]
    row: IpSetRow,
    #[serde(default)]
    digest: Option<String>,
}

impl Client {
    /// All sets of a machine.
    pub async fn ip_sets(&self, node: &str, vmid: u32) -> Result<Vec<IpSetInfo>, Error> {
        let rows: Vec<InfoRow> = self
            .send(get(&["nodes", node, "qemu", &vmid.to_string(), "firewall", "ipset"]))
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| IpSetInfo { name: row.name, comment: row.comment.unwrap_or_default() })
            .collect())
    }

    /// Make an empty set. One that exists is [`Error::is_already_exists`].
    pub async fn create_ip_set(
        &self,
        node: &str,
        vmid: u32,
        name: &str,
        comment: &str,
    ) -> Result<(), Error> {
        check_name(name)?;
        let request = post(&["nodes", node, "qemu", &vmid.to_string(), "firewall", "ipset"])
            .with("name", name)
            .with("comment", check_comment(comment)?);
        self.send::<IgnoredAny>(request).await.map(drop)
    }

    /// Change a set's comment. A rename onto itself is how Proxmox does it; the rows stay.
    pub async fn update_ip_set_comment(
        &self,
        node: &str,
        vmid: u32,
        name: &str,
        comment: &str,
    ) -> Result<(), Error> {
        check_name(name)?;
        let request = post(&["nodes", node, "qemu", &vmid.to_string(), "firewall", "ipset"])
            .with("name", name)
            .with("rename", name)
            .with("comment", check_comment(comment)?);
        self.send::<IgnoredAny>(request).await.map(drop)
    }

    /// The rows of a set. A set that is not there is [`Error::is_not_found`], never an empty one.
    pub async fn ip_set(&self, node: &str, vmid: u32, name: &str) -> Result<IpSet, Error> {
        check_name(name)?;
        let answer =
            self.answer::<Vec<DigestRow>>(get(&ip_set_path(node, &vmid.to_string(), name))).await?;
        let digest = answer.data.first().and_then(|row| row.digest.clone());
        Ok(IpSet {
            rows: answer.data.into_iter().map(|row| row.row).collect(),
            digest,
            server_time: answer.server_time,
        })
    }

    /// Add a row. An address that is taken is [`Error::is_already_exists`].
    pub async fn add_ip_set_row(
        &self,
        node: &str,
        vmid: u32,
        name: &str,
        cidr: &str,
        comment: &str,
    ) -> Result<(), Error> {
        check_name(name)?;
        let request = post(&ip_set_path(node, &vmid.to_string(), name))
            .with("cidr", cidr)
            .with("comment", check_comment(comment)?);
        self.send::<IgnoredAny>(request).await.map(drop)
    }

    /// Delete a row if the set is still the one with this digest, else [`Error::is_modified`]. A row that is gone already is fine.
    pub async fn delete_ip_set_row(
        &self,
        node: &str,
        vmid: u32,
        name: &str,
        cidr: &str,
        digest: &str,
    ) -> Result<(), Error> {
        check_name(name)?;
        let vmid = vmid.to_string();
        let mut path = ip_set_path(node, &vmid, name).to_vec();
        path.push(cidr);
        self.send::<IgnoredAny>(delete(&path).with("digest", digest)).await.map(drop)
    }

    /// Delete an empty set. Proxmox refuses one with rows.
    pub async fn delete_ip_set(&self, node: &str, vmid: u32, name: &str) -> Result<(), Error> {
        check_name(name)?;
        self.send::<IgnoredAny>(delete(&ip_set_path(node, &vmid.to_string(), name))).await.map(drop)
    }
}

fn ip_set_path<'a>(node: &'a str, vmid: &'a str, name: &'a str) -> [&'a str; 7] {
    ["nodes", node, "qemu", vmid, "firewall", "ipset", name]
}

/// Proxmox would store an upper-case name and never find it again.
fn check_name(name: &str) -> Result<(), Error> {
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    let legal = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if starts && legal && (2..=64).contains(&name.len()) {
        return Ok(());
    }
    let message =
        format!("the IP set name `{name}` must have 2 to 64 of a-z, 0-9, - and _, a letter first");
    Err(Error::local(Class::Refused(Refusal::BadParameter), message))
}

/// A newline would become further rows of the set.
fn check_comment(comment: &str) -> Result<&str, Error> {
    if comment.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
        return Ok(comment);
    }
    Err(Error::local(
        Class::Refused(Refusal::BadParameter),
        "a comment must be one line of printable ASCII",
    ))
}

fn no_match<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(wire::flag(deserializer)?.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proxmox_would_store_and_never_find_again_is_refused() {
        for name in ["lab", "a1", "course-42_b"] {
            check_name(name).unwrap();
        }
        for name in ["", "a", "Lab", "4lab", "la b", &"a".repeat(65)] {
            let error = check_name(name).unwrap_err().to_string();
            let rule = "must have 2 to 64 of a-z, 0-9, - and _, a letter first";
            assert_eq!(error, format!("the IP set name `{name}` {rule}"));
        }
        assert_eq!(check_comment("ks1 l=demo").unwrap(), "ks1 l=demo");
        for comment in ["a\nb", "ä", "\t"] {
            let error = check_comment(comment).unwrap_err().to_string();
            assert_eq!(error, "a comment must be one line of printable ASCII");
        }
    }
}
