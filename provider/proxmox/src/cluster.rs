//! What the cluster consists of: nodes, machines, storages, pools.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::client::{Client, get};
use crate::error::Error;
use crate::wire;

/// A node. The numbers need `Sys.Audit` on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub node: String,
    /// Whether the cluster sees it.
    pub online: bool,
    /// Cores.
    pub max_cpu: Option<u64>,
    /// Bytes.
    pub max_memory: Option<u64>,
    /// Bytes.
    pub used_memory: Option<u64>,
    /// SHA-256 of its certificate.
    pub ssl_fingerprint: Option<String>,
}

/// Everything in the cluster's list that provisioning asks for, as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// All nodes, also those that are down.
    pub nodes: Vec<Node>,
    /// All machines that the token may see, wherever they are.
    pub vms: Vec<VmResource>,
}

/// A machine in the cluster's list. Name, template and numbers come up to ten seconds late and are absent until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmResource {
    /// Its number.
    pub vmid: u32,
    /// Where it is now.
    pub node: String,
    /// `qemu` or `lxc`.
    pub kind: String,
    /// Its name, when known.
    pub name: Option<String>,
    /// `running`, `stopped` or `unknown`.
    pub status: String,
    /// Whether it is a template, when known.
    pub template: Option<bool>,
    /// Lower-case; from its configuration, so never late.
    pub tags: BTreeSet<String>,
    /// Its lock.
    pub lock: Option<String>,
    /// Its resource pool.
    pub pool: Option<String>,
    /// Bytes.
    pub max_memory: Option<u64>,
    /// Cores.
    pub max_cpu: Option<u64>,
}

/// A storage as a node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Its name.
    pub storage: String,
    /// For instance `nfs`.
    pub kind: String,
    /// Whether all nodes see the same content.
    pub shared: bool,
    /// Whether the node can use it now.
    pub active: bool,
    /// Whether it is switched on.
    pub enabled: bool,
    /// What may lie on it, for instance `images`.
    pub content: BTreeSet<String>,
    /// Bytes.
    pub available: Option<u64>,
    /// Bytes.
    pub total: Option<u64>,
}

/// A resource pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name; nested ones have slashes in it.
    pub poolid: String,
    /// Free text.
    pub comment: Option<String>,
    /// The machines in it; only filled for a single pool.
    pub members: Vec<u32>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default, deserialize_with = "wire::text")]
    poolid: Option<String>,
    #[serde(default, deserialize_with = "wire::text", rename = "type")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "wire::integer")]
    vmid: Option<u64>,
    #[serde(default, deserialize_with = "wire::text")]
    node: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    storage: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    status: Option<String>,
    #[serde(default, deserialize_with = "wire::flag")]
    template: Option<bool>,
    #[serde(default, deserialize_with = "wire::text")]
    tags: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    lock: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    pool: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    content: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    comment: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    ssl_fingerprint: Option<String>,
    #[serde(default, deserialize_with = "wire::flag")]
    shared: Option<bool>,
    #[serde(default, deserialize_with = "wire::flag")]
    active: Option<bool>,
    #[serde(default, deserialize_with = "wire::flag")]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "wire::integer", rename = "maxcpu")]
    max_cpu: Option<u64>,
    #[serde(default, deserialize_with = "wire::integer", rename = "maxmem")]
    max_memory: Option<u64>,
    #[serde(default, deserialize_with = "wire::integer", rename = "mem")]
    memory: Option<u64>,
    #[serde(default, deserialize_with = "wire::integer", rename = "avail")]
    available: Option<u64>,
    #[serde(default, deserialize_with = "wire::integer")]
    total: Option<u64>,
    #[serde(default)]
    members: Vec<Self>,
}

impl Client {
    /// All nodes, also those that are down.
    pub async fn nodes(&self) -> Result<Vec<Node>, Error> {
        let rows: Vec<Row> = self.send(get(&["nodes"])).await?;
        Ok(rows.into_iter().filter_map(Node::from_row).collect())
    }

    /// Nodes and machines in one answer.
    pub async fn inventory(&self) -> Result<Inventory, Error> {
        let rows: Vec<Row> = self.send(get(&["cluster", "resources"])).await?;
        let mut inventory = Inventory::default();
        for row in rows {
            match row.kind.as_deref() {
                Some("node") => inventory.nodes.extend(Node::from_row(row)),
                Some("qemu" | "lxc") => inventory.vms.extend(VmResource::from_row(row)),
                _ => {}
            }
        }
        Ok(inventory)
    }

    /// All machines that the token may see, wherever they are.
    pub async fn vms(&self) -> Result<Vec<VmResource>, Error> {
        let rows: Vec<Row> = self.send(get(&["cluster", "resources"]).with("type", "vm")).await?;
        Ok(rows.into_iter().filter_map(VmResource::from_row).collect())
    }

    /// Where a machine is, if the token may see it. Absence is proven only by [`Client::vmid_is_free`].
    pub async fn find_vm(&self, vmid: u32) -> Result<Option<VmResource>, Error> {
        Ok(self.vms().await?.into_iter().find(|vm| vm.vmid == vmid))
    }

    /// The storages of a node; only those for this content, and only those that `target` has as well.
    pub async fn node_storages(
        &self,
        node: &str,
        content: Option<&str>,
        target: Option<&str>,
    ) -> Result<Vec<Storage>, Error> {
        let request = get(&["nodes", node, "storage"])
            .with_some("content", content)
            .with_some("target", target);
        let rows: Vec<Row> = self.send(request).await?;
        let storages = rows.into_iter().filter_map(|row| {
            Some(Storage {
                storage: row.storage?,
                kind: row.kind.unwrap_or_default(),
                shared: row.shared.unwrap_or(false),
                active: row.active.unwrap_or(false),
                enabled: row.enabled.unwrap_or(true),
                content: wire::tags(&row.content.unwrap_or_default()),
                available: row.available,
                total: row.total,
            })
        });
        Ok(storages.collect())
    }

    /// All pools that the token may see, without their members.
    pub async fn pools(&self) -> Result<Vec<Pool>, Error> {
        let rows: Vec<Row> = self.send(get(&["pools"])).await?;
        Ok(rows.into_iter().filter_map(Pool::from_row).collect())
    }

    /// One pool with its members.
    pub async fn pool(&self, poolid: &str) -> Result<Option<Pool>, Error> {
        match self.send::<Vec<Row>>(get(&["pools"]).with("poolid", poolid)).await {
            Ok(rows) => Ok(rows.into_iter().find_map(Pool::from_row)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Inventory {
    /// The machine with this number, if the token may see it.
    pub fn vm(&self, vmid: u32) -> Option<&VmResource> {
        self.vms.iter().find(|vm| vm.vmid == vmid)
    }
}

impl Node {
    fn from_row(row: Row) -> Option<Self> {
        Some(Self {
            node: row.node?,
            online: row.status.as_deref() == Some("online"),
            max_cpu: row.max_cpu,
            max_memory: row.max_memory,
            used_memory: row.memory,
            ssl_fingerprint: row.ssl_fingerprint,
        })
    }
}

impl VmResource {
    fn from_row(row: Row) -> Option<Self> {
        Some(Self {
            vmid: row.vmid?.try_into().ok()?,
            node: row.node?,
            kind: row.kind.unwrap_or_else(|| "qemu".to_owned()),
            name: row.name,
            status: row.status.unwrap_or_else(|| "unknown".to_owned()),
            template: row.template,
            tags: wire::tags(&row.tags.unwrap_or_default()),
            lock: row.lock,
            pool: row.pool,
            max_memory: row.max_memory,
            max_cpu: row.max_cpu,
        })
    }
}

impl Pool {
    fn from_row(row: Row) -> Option<Self> {
        let members =
            row.members.into_iter().filter_map(|member| member.vmid?.try_into().ok()).collect();
        Some(Self { poolid: row.poolid?, comment: row.comment, members })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_the_real_server_writes_them() {
        let rows: Vec<Row> = serde_json::from_str(
            r#"[{"template":1,"node":"pve","id":"qemu/9000","netout":0,"vmid":9000,"maxdisk":67108864,"status":"stopped",
                 "tags":"tf;tiny","maxcpu":1,"maxmem":268435456,"type":"qemu","name":"tmpl","cpu":0},
                {"status":"unknown","id":"qemu/170","type":"qemu","vmid":170,"node":"pve","lock":"clone"}]"#,
        )
        .unwrap();
        let vms: Vec<_> = rows.into_iter().filter_map(VmResource::from_row).collect();
        assert_eq!(vms[0].template, Some(true));
        assert_eq!(vms[0].tags, BTreeSet::from(["tf".to_owned(), "tiny".to_owned()]));
        assert_eq!(
            (vms[1].name.as_deref(), vms[1].template, vms[1].lock.as_deref()),
            (None, None, Some("clone"))
        );
    }
}
