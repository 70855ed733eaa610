//! The life of a virtual machine. What starts a task returns its [`Upid`]; see [`Client::wait`].

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::client::{Client, delete, get, post, put};
use crate::error::Error;
use crate::task::Upid;
use crate::vm_config::{ConfigUpdate, VmConfig};
use crate::wire;

/// A clone of a template.
#[derive(Debug, Clone)]
pub struct CloneVm {
    /// The node that holds the template.
    pub node: String,
    /// The template.
    pub vmid: u32,
    /// The new machine.
    pub newid: u32,
    /// Its name, a DNS label.
    pub name: String,
    /// Its description; present from the first instant, so that an interrupted clone can be recognised.
    pub description: String,
    /// The resource pool it joins, at the end of the clone.
    pub pool: Option<String>,
    /// Where disks go. Only for a full clone.
    pub storage: Option<String>,
    /// Copy the disks instead of linking them.
    pub full: bool,
    /// The node that gets the new machine, if another one. Needs shared storage.
    pub target: Option<String>,
}

/// A machine from nothing.
#[derive(Debug, Clone)]
pub struct CreateVm {
    /// Where.
    pub node: String,
    /// Its number.
    pub vmid: u32,
    /// The resource pool it joins.
    pub pool: Option<String>,
    /// Everything else.
    pub config: ConfigUpdate,
}

/// Which disks go with a destroyed machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestroyDisks {
    /// Those in its configuration.
    Own,
    /// Also those that carry its number on any storage. Only for a machine that is surely ours.
    AllNamedAfterVm,
}

/// How a machine does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmStatus {
    /// Whether it runs.
    pub running: bool,
    /// Its lock, for instance `clone`.
    pub lock: Option<String>,
    /// Seconds since its start.
    pub uptime: u64,
    /// Whether the cluster's high availability decides when it runs.
    pub ha_managed: bool,
}

#[derive(Deserialize)]
struct StatusRow {
    status: String,
    #[serde(default, deserialize_with = "wire::text")]
    lock: Option<String>,
    #[serde(default, deserialize_with = "wire::integer")]
    uptime: Option<u64>,
    #[serde(default)]
    ha: Value,
}

impl Client {
    /// Clone a template. The task's id names the *source*.
    pub async fn clone_vm(&self, clone: &CloneVm) -> Result<Upid, Error> {
        let CloneVm { node, vmid, newid, name, description, pool, storage, full, target } = clone;
        let request = post(&["nodes", node, "qemu", &vmid.to_string(), "clone"])
            .with("newid", newid.to_string())
            .with("name", name)
            .with("description", description)
            .with("full", wire::boolean(*full))
            .with_some("pool", pool.as_deref())
            .with_some("storage", storage.as_deref())
            .with_some("target", target.as_deref());
        self.start_task(request).await
    }

    /// Make a machine. Its number is claimed before this returns.
    pub async fn create_vm(&self, create: &CreateVm) -> Result<Upid, Error> {
        let CreateVm { node, vmid, pool, config } = create;
        let request = post(&["nodes", node, "qemu"])
            .with("vmid", vmid.to_string())
            .with_some("pool", pool.as_deref())
            .with_all(config.parameters());
        self.start_task(request).await
    }

    /// What is configured, changes that wait for a restart included.
    pub async fn vm_config(&self, node: &str, vmid: u32) -> Result<VmConfig, Error> {
        self.send(get(&["nodes", node, "qemu", &vmid.to_string(), "config"])).await
    }

    /// What the machine runs with.
    pub async fn vm_current_config(&self, node: &str, vmid: u32) -> Result<VmConfig, Error> {
        self.send(get(&["nodes", node, "qemu", &vmid.to_string(), "config"]).with("current", "1"))
            .await
    }

    /// Change plain options, now. An empty change is not sent.
    pub async fn set_vm_config(
        &self,
        node: &str,
        vmid: u32,
        update: &ConfigUpdate,
    ) -> Result<(), Error> {
        if update.is_empty() {
            return Ok(());
        }
        let request = put(&["nodes", node, "qemu", &vmid.to_string(), "config"])
            .with_all(update.parameters());
        self.send::<IgnoredAny>(request).await.map(drop)
    }

    /// Change options by a task; right for what touches disks. No task means that it is done already.
    pub async fn set_vm_config_task(
        &self,
        node: &str,
        vmid: u32,
        update: &ConfigUpdate,
    ) -> Result<Option<Upid>, Error> {
        if update.is_empty() {
            return Ok(None);
        }
        let request = post(&["nodes", node, "qemu", &vmid.to_string(), "config"])
            .with_all(update.parameters());
        self.maybe_start_task(request).await
    }

    /// Grow a disk to this size. The same size again does nothing; a smaller one fails in the task.
    pub async fn resize_disk(
        &self,
        node: &str,
        vmid: u32,
        disk: &str,
        size_bytes: u64,
    ) -> Result<Option<Upid>, Error> {
        let request = put(&["nodes", node, "qemu", &vmid.to_string(), "resize"])
            .with("disk", disk)
            .with("size", size_text(size_bytes));
        self.maybe_start_task(request).await
    }

    /// Start it. One that runs already fails in the task ([`Error::is_already_running`]).
    pub async fn start_vm(&self, node: &str, vmid: u32) -> Result<Upid, Error> {
        self.start_task(post(&["nodes", node, "qemu", &vmid.to_string(), "status", "start"])).await
    }

    /// Stop it hard, past a shutdown that is going on. One that is stopped already is fine.
    pub async fn stop_vm(&self, node: &str, vmid: u32) -> Result<Upid, Error> {
        let request = post(&["nodes", node, "qemu", &vmid.to_string(), "status", "stop"])
            .with("overrule-shutdown", "1");
        self.start_task(request).await
    }

    /// Shut it down in an orderly way, and stop it hard if that takes longer than `seconds`.
    pub async fn shutdown_vm(&self, node: &str, vmid: u32, seconds: u32) -> Result<Upid, Error> {
        let request = post(&["nodes", node, "qemu", &vmid.to_string(), "status", "shutdown"])
            .with("timeout", seconds.to_string())
            .with("forceStop", "1");
        self.start_task(request).await
    }

    /// Destroy it. It must be stopped, and the stop's task must have ended.
    pub async fn delete_vm(
        &self,
        node: &str,
        vmid: u32,
        disks: DestroyDisks,
    ) -> Result<Upid, Error> {
        let unreferenced = wire::boolean(disks == DestroyDisks::AllNamedAfterVm);
        let request = delete(&["nodes", node, "qemu", &vmid.to_string()])
            .with("purge", "1")
            .with("destroy-unreferenced-disks", unreferenced);
        self.start_task(request).await
    }

    /// Whether it runs.
    pub async fn vm_status(&self, node: &str, vmid: u32) -> Result<VmStatus, Error> {
        let row: StatusRow = self
            .send(get(&["nodes", node, "qemu", &vmid.to_string(), "status", "current"]))
            .await?;
        let ha_managed = row
            .ha
            .get("managed")
            .and_then(wire::scalar)
            .is_some_and(|managed| wire::is_true(&managed));
        Ok(VmStatus {
            running: row.status == "running",
            lock: row.lock,
            uptime: row.uptime.unwrap_or(0),
            ha_managed,
        })
    }

    /// Whether no machine of the cluster has this number, seen or unseen by the token. Needs no privilege; reserves nothing.
    pub async fn vmid_is_free(&self, vmid: u32) -> Result<bool, Error> {
        match self
            .send::<IgnoredAny>(get(&["cluster", "nextid"]).with("vmid", vmid.to_string()))
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn start_task(&self, request: crate::client::Request) -> Result<Upid, Error> {
        Upid::from_answer(&self.send::<String>(request).await?)
    }

    async fn maybe_start_task(
        &self,
        request: crate::client::Request,
    ) -> Result<Option<Upid>, Error> {
        self.send::<Option<String>>(request).await?.as_deref().map(Upid::from_answer).transpose()
    }
}

/// Proxmox takes whole numbers of a unit; the largest unit that fits is the easiest to read in its log.
fn size_text(bytes: u64) -> String {
    [(30, "G"), (20, "M"), (10, "K")]
        .into_iter()
        .find(|(shift, _)| bytes.is_multiple_of(1 << shift))
        .map_or_else(
            || format!("{}K", bytes.div_ceil(1024)),
            |(shift, unit)| format!("{}{unit}", bytes >> shift),
        )
}
