//! Courses and groups: what an administrator types, checked. PURE.

use kubesmith_spec::{BridgeName, PoolName, ProxmoxPoolName, VlanTag};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Field, Result};
use crate::text;

/// Whether an environment is a course or a group.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
#[schema(as = EnvironmentKind)]
pub enum Kind {
    /// A course, led by instructors.
    Course,
    /// A research group.
    Group,
}

/// The part of an environment that an administrator sets.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What people call it.
    pub title: String,
    /// Course or group.
    pub kind: Kind,
    /// The Proxmox resource pool.
    pub proxmox_pool: Option<String>,
    /// The bridge.
    pub bridge: String,
    /// The VLAN.
    pub vlan: Option<i64>,
    /// The address pool.
    pub address_pool: String,
}

/// An environment as an administrator wants it.
#[derive(Debug, Clone, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EnvironmentWish)]
pub struct Wish {
    /// A DNS label; it can't be changed later.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Course or group.
    pub kind: Kind,
    /// The Proxmox resource pool that its machines become members of.
    #[serde(default)]
    pub proxmox_pool: String,
    /// The bridge or virtual network of its machines.
    pub bridge: String,
    /// Their VLAN; empty if the bridge has none.
    #[serde(default)]
    pub vlan: String,
    /// The pool that addresses are leased from.
    pub address_pool: String,
}

impl Wish {
    /// The name and the settings, or everything that is wrong.
    pub fn check(&self) -> Result<(String, Settings)> {
        let Self { name, title, kind, proxmox_pool, bridge, vlan, address_pool } = self;
        let mut wrong = Vec::new();
        let name = text::label("name", name).unwrap_or_else(|field| noted(&mut wrong, field));
        let title = text::line("title", title, 80).unwrap_or_else(|field| noted(&mut wrong, field));
        let proxmox_pool = optional(proxmox_pool);
        if let Some(Err(error)) = proxmox_pool.map(ProxmoxPoolName::parse) {
            wrong.push(Field::new("proxmox_pool", text::sentence(error.rule)));
        }
        if let Err(error) = BridgeName::parse(bridge.trim()) {
            wrong.push(Field::new("bridge", text::sentence(error.rule)));
        }
        if let Err(error) = PoolName::parse(address_pool.trim()) {
            wrong.push(Field::new("address_pool", text::sentence(error.rule)));
        }
        let tag = optional(vlan).map(|text| {
            text.parse::<u16>().ok().and_then(|tag| VlanTag::try_from(tag).ok().map(|_| tag))
        });
        if tag == Some(None) {
            wrong.push(Field::new("vlan", "Give a number from 1 to 4094, or leave it empty."));
        }
        if !wrong.is_empty() {
            return Err(Error::invalid(wrong));
        }
        let settings = Settings {
            title,
            kind: *kind,
            proxmox_pool: proxmox_pool.map(str::to_owned),
            bridge: bridge.trim().to_owned(),
            vlan: tag.flatten().map(i64::from),
            address_pool: address_pool.trim().to_owned(),
        };
        Ok((name, settings))
    }
}

fn noted(wrong: &mut Vec<Field>, field: Field) -> String {
    wrong.push(field);
    String::new()
}

fn optional(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish() -> Wish {
        Wish {
            name: "k8s-101".to_owned(),
            title: "Kubernetes 101".to_owned(),
            kind: Kind::Course,
            proxmox_pool: String::new(),
            bridge: "vmbr0".to_owned(),
            vlan: " 119 ".to_owned(),
            address_pool: "lab".to_owned(),
        }
    }

    #[test]
    fn what_is_right_is_taken_and_everything_wrong_is_said_at_once() {
        let (name, settings) = wish().check().expect("valid");
        assert_eq!(
            (name.as_str(), settings.vlan, settings.proxmox_pool),
            ("k8s-101", Some(119), None)
        );
        let all_wrong = Wish {
            name: "Bad Name".to_owned(),
            title: "\n".to_owned(),
            kind: Kind::Group,
            proxmox_pool: "a//b".to_owned(),
            bridge: "br;0".to_owned(),
            vlan: "5000".to_owned(),
            address_pool: "${pool}".to_owned(),
        };
        let error = all_wrong.check().expect_err("wrong");
        let fields: Vec<_> = error.fields().iter().map(|field| field.field.as_str()).collect();
        assert_eq!(fields, ["name", "title", "proxmox_pool", "bridge", "address_pool", "vlan"]);
    }
}
