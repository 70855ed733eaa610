//! The locks that make parallel work on Proxmox wait or fail: one a machine and node, one a storage.
//!
//! Not to be confused with the `lock` key of a configuration, which outlives the operation's process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::timeout;

/// How long a storage's lock is waited for.
const STORAGE_WAIT: Duration = Duration::from_secs(10);

/// All locks, made on first use.
#[derive(Debug, Default)]
pub(crate) struct Locks(Mutex<HashMap<String, Arc<RwLock<()>>>>);

impl Locks {
    fn get(&self, name: String) -> Arc<RwLock<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(name).or_default())
    }

    /// The machine's own lock, alone.
    pub(crate) async fn vm(
        &self,
        node: &str,
        vmid: u32,
        wait: Duration,
    ) -> Result<OwnedRwLockWriteGuard<()>, String> {
        let lock = self.get(format!("vm/{node}/{vmid}"));
        timeout(wait, lock.write_owned()).await.map_err(|_| vm_busy(vmid))
    }

    /// The machine's own lock, shared: several clones of one stopped template run side by side.
    pub(crate) async fn vm_shared(
        &self,
        node: &str,
        vmid: u32,
        wait: Duration,
    ) -> Result<OwnedRwLockReadGuard<()>, String> {
        let lock = self.get(format!("vm/{node}/{vmid}"));
        timeout(wait, lock.read_owned()).await.map_err(|_| vm_busy(vmid))
    }

    /// Takes a machine's lock for a while, once it is free.
    pub(crate) fn hold_vm(&self, node: &str, vmid: u32, time: Duration) {
        hold(self.get(format!("vm/{node}/{vmid}")), time);
    }

    /// Takes a storage's lock for a while, once it is free.
    pub(crate) fn hold_storage(&self, node: &str, storage: &str, shared: bool, time: Duration) {
        hold(self.get(of_storage(node, storage, shared)), time);
    }

    /// The lock under which volumes are allocated and freed; a shared storage has one for the whole cluster.
    pub(crate) async fn storage(
        &self,
        node: &str,
        storage: &str,
        shared: bool,
    ) -> Result<OwnedRwLockWriteGuard<()>, String> {
        let busy = if shared {
            format!("cfs-lock 'storage-{storage}' error: got lock request timeout")
        } else {
            let file = format!("/var/lock/pve-manager/pve-storage-{storage}");
            format!("can't lock file '{file}' - got timeout")
        };
        let lock = self.get(of_storage(node, storage, shared));
        timeout(STORAGE_WAIT, lock.write_owned()).await.map_err(|_| busy)
    }
}

fn of_storage(node: &str, storage: &str, shared: bool) -> String {
    if shared { format!("storage/{storage}") } else { format!("storage/{storage}/{node}") }
}

fn hold(lock: Arc<RwLock<()>>, time: Duration) {
    // Taken at once where it is free, so that whoever comes next finds it taken.
    let at_once = Arc::clone(&lock).try_write_owned().ok();
    tokio::spawn(async move {
        let _held = match at_once {
            Some(held) => held,
            None => lock.write_owned().await,
        };
        tokio::time::sleep(time).await;
    });
}

fn vm_busy(vmid: u32) -> String {
    format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout")
}
