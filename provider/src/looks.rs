//! What was seen in the datacentre a moment ago, shared by all resources that only look.
//!
//! Terraform refreshes one resource after the other, and each of them would ask Proxmox the same. A look is shared for
//! a moment only, never across a change that this process made, and says only what is there: what it does not show is
//! looked for again before anybody takes it for absent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kubesmith_proxmox::{Client, Deadline, Error, Inventory, IpSet, IpSetInfo, retry};
use kubesmith_spec::PoolName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a look is shared. Proxmox's own list of machines is older than that in parts.
const MOMENT: Duration = Duration::from_secs(2);

/// The looks of one process at one datacentre.
pub(crate) struct Looks {
    client: Client,
    inventory: Look<Inventory>,
    sets: Look<Vec<IpSetInfo>>,
    rows: Mutex<BTreeMap<PoolName, Arc<Look<IpSet>>>>,
}

impl Looks {
    /// No look was taken yet.
    pub(crate) fn new(client: Client) -> Self {
        Self { client, inventory: Look::default(), sets: Look::default(), rows: Mutex::default() }
    }

    /// Looks before anybody asks: Terraform takes a moment until it does. Whatever goes wrong is said to whoever looks next.
    pub(crate) async fn ahead(self: Arc<Self>, ledger_vmid: u32) {
        let deadline = Deadline::after(MOMENT, &CancellationToken::new());
        let Ok(inventory) = self.inventory(&deadline).await else { return };
        if let Some(ledger) = inventory.vm(ledger_vmid) {
            let _ = self.sets(&ledger.node, ledger_vmid, &deadline).await;
        }
    }

    /// The datacentre's nodes and machines.
    pub(crate) async fn inventory(&self, deadline: &Deadline) -> Result<Arc<Inventory>, Error> {
        let client = &self.client;
        let look = self.inventory.share(client, retry(deadline, || client.inventory())).await?;
        Ok(look.0)
    }

    /// The sets of the ledger, which is the machine `vmid` on `node`, and whether they were asked for just now.
    pub(crate) async fn sets(
        &self,
        node: &str,
        vmid: u32,
        deadline: &Deadline,
    ) -> Result<(Arc<Vec<IpSetInfo>>, bool), Error> {
        let client = &self.client;
        self.sets.share(client, retry(deadline, || client.ip_sets(node, vmid))).await
    }

    /// What stands in a pool's set.
    pub(crate) async fn rows(
        &self,
        node: &str,
        vmid: u32,
        pool: &PoolName,
        deadline: &Deadline,
    ) -> Result<Arc<IpSet>, Error> {
        let client = &self.client;
        let look = {
            let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(rows.entry(pool.clone()).or_default())
        };
        let rows = retry(deadline, || client.ip_set(node, vmid, pool.as_str()));
        Ok(look.share(client, rows).await?.0)
    }
}

/// One question and its last answer.
struct Look<T>(tokio::sync::Mutex<Option<Seen<T>>>);

struct Seen<T> {
    what: Arc<T>,
    asked: Instant,
    changes: u64,
}

impl<T> Default for Look<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::new(None))
    }
}

impl<T> Look<T> {
    /// The last answer if it is still good, else a new one, and then true. Who comes while the question is asked waits for
    /// its answer.
    async fn share(
        &self,
        client: &Client,
        ask: impl Future<Output = Result<T, Error>>,
    ) -> Result<(Arc<T>, bool), Error> {
        let mut last = self.0.lock().await;
        let (asked, changes) = (Instant::now(), client.changes());
        if let Some(seen) = &*last
            && seen.changes == changes
            && asked.duration_since(seen.asked) < MOMENT
        {
            return Ok((Arc::clone(&seen.what), false));
        }
        let what = Arc::new(ask.await?);
        *last = Some(Seen { what: Arc::clone(&what), asked, changes });
        Ok((what, true))
    }
}
