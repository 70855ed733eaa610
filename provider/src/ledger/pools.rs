//! The pools of a ledger: its sets, whose comments describe them.

use std::sync::Arc;

use kubesmith_proxmox::{Error, IpSetInfo, retry};
use kubesmith_spec::PoolName;
use kubesmith_tfplugin::{Diag, Result};

use super::pool::Pool;
use super::{Ledger, home};
use crate::diagnose;

impl Ledger<'_> {
    /// The pool of that name, or an error that says which there are.
    pub(crate) async fn pool(&self, name: &PoolName) -> Result<Pool> {
        if let Some(pool) = self.find_pool(name).await? {
            return Ok(pool);
        }
        let pools = self.pools().await?;
        let names: Vec<_> = pools.iter().map(|pool| pool.name.as_str()).collect();
        let others = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(Diag::error(format!("There is no address pool {name}"))
            .detail(format!("The ledger has these pools: {others}. An administrator makes them with kubesmith_ip_pool."))
            .into())
    }

    /// The pool of that name, or `None`.
    pub(crate) async fn find_pool(&self, name: &PoolName) -> Result<Option<Pool>> {
        let named = |set: &&IpSetInfo| set.name == name.as_str();
        let (recent, asked_now) = self.recent_sets().await?;
        // What a shared look does not show is looked for again before it counts as absent.
        let set = match recent.iter().find(named).cloned() {
            None if !asked_now => self.sets().await?.iter().find(named).cloned(),
            set => set,
        };
        let Some(set) = set else { return Ok(None) };
        match Pool::parse(name.clone(), &set.comment) {
            Some(pool) => Ok(Some(pool)),
            None => Err(Diag::error(format!("Unable to read address pool {name}"))
                .detail(format!(
                    "The IP set {name} on VM {} has a comment that does not describe a pool: {:?}. If the \
                     set is not Kubesmith's, give the pool another name; if the comment was edited, put it \
                     back.",
                    self.context.ledger_vmid, set.comment
                ))
                .into()),
        }
    }

    /// Every pool of the ledger.
    pub(crate) async fn pools(&self) -> Result<Vec<Pool>> {
        let sets = self.sets().await?;
        Ok(sets
            .iter()
            .filter_map(|set| Pool::parse(set.name.parse().ok()?, &set.comment))
            .collect())
    }

    /// Makes a pool that is not there yet.
    pub(crate) async fn create_pool(&self, pool: &Pool) -> Result<()> {
        let summary = format!("Unable to create address pool {}", pool.name);
        if self.find_pool(&pool.name).await?.is_some() {
            return Err(exists(&summary, pool).into());
        }
        self.check_overlap(&summary, pool).await?;
        let (name, comment) = (pool.name.as_str(), pool.comment());
        let (client, vmid) = (&self.context.proxmox, self.context.ledger_vmid);
        let made =
            retry(&self.deadline, || client.create_ip_set(&self.node, vmid, name, &comment)).await;
        match made {
            Ok(()) => Ok(()),
            Err(error) if error.is_already_exists() => Err(exists(&summary, pool).into()),
            // The answer was lost; a moment ago there was no such set.
            Err(error) if error.is_unknown_outcome() => match self.find_pool(&pool.name).await? {
                Some(found) if found == *pool => Ok(()),
                _ => Err(diagnose::proxmox(summary, &error).into()),
            },
            Err(error) => Err(diagnose::proxmox(summary, &error).into()),
        }
    }

    /// Changes what a pool says about itself, if all its leases stay inside.
    pub(crate) async fn update_pool(&self, pool: &Pool) -> Result<()> {
        let summary = format!("Unable to change address pool {}", pool.name);
        self.check_leases_inside(&summary, pool).await?;
        self.check_overlap(&summary, pool).await?;
        let (name, comment) = (pool.name.as_str(), pool.comment());
        let (client, vmid) = (&self.context.proxmox, self.context.ledger_vmid);
        retry(&self.deadline, || client.update_ip_set_comment(&self.node, vmid, name, &comment))
            .await
            .map_err(|error| diagnose::proxmox(summary, &error).into())
    }

    /// An error that names every lease that would end up outside of the pool.
    pub(crate) async fn check_leases_inside(&self, summary: &str, pool: &Pool) -> Result<()> {
        let (rows, _) = self.rows(&pool.name).await?;
        let outside =
            rows.claims().into_iter().filter(|claim| !pool.range.contains_range(claim.range));
        let outside: Vec<_> =
            outside.map(|claim| format!("{} ({})", claim.lease, claim.range)).collect();
        if outside.is_empty() {
            return Ok(());
        }
        Err(Diag::error(summary)
            .detail(format!(
                "These leases would lie outside the range {}: {}. Destroy them first, or keep them inside.",
                pool.range,
                outside.join(", ")
            ))
            .into())
    }

    /// Removes a pool without leases; with the last pool goes the ledger's machine. Gone already is fine.
    pub(crate) async fn delete_pool(&self, name: &PoolName) -> Result<()> {
        let summary = format!("Unable to destroy address pool {name}");
        let failed = |error: Error| diagnose::proxmox(summary.as_str(), &error);
        if self.sets().await?.iter().any(|set| set.name == name.as_str()) {
            let (rows, _) = self.rows(name).await?;
            let held: Vec<_> = rows.describe();
            if !held.is_empty() {
                return Err(Diag::error(summary.as_str())
                    .detail(format!(
                        "It is still in use: {}. Destroy those leases first; entries that people have made \
                         are removed in Proxmox (VM {} > Firewall > IPSet).",
                        held.join(", "),
                        self.context.ledger_vmid
                    ))
                    .into());
            }
            let (client, vmid) = (&self.context.proxmox, self.context.ledger_vmid);
            match retry(&self.deadline, || client.delete_ip_set(&self.node, vmid, name.as_str()))
                .await
            {
                Ok(()) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(failed(error).into()),
            }
        }
        let removed = home::remove_if_empty(self.context, &self.node, &self.deadline).await;
        match removed {
            Ok(_) => Ok(()),
            // Whoever may not destroy the machine may still remove a pool; the machine then stays, empty.
            Err(error) if error.is_forbidden() || error.is_not_found() => Ok(()),
            Err(error) => Err(failed(error).into()),
        }
    }

    /// The sets as they are now.
    async fn sets(&self) -> Result<Vec<IpSetInfo>> {
        let (client, vmid) = (&self.context.proxmox, self.context.ledger_vmid);
        let sets = retry(&self.deadline, || client.ip_sets(&self.node, vmid)).await;
        sets.map_err(|error| unread(&error).into())
    }

    /// The sets as they were seen a moment ago, enough for whoever finds in them what was sought; true if it was just now.
    async fn recent_sets(&self) -> Result<(Arc<Vec<IpSetInfo>>, bool)> {
        let (looks, vmid) = (&self.context.looks, self.context.ledger_vmid);
        let sets = looks.sets(&self.node, vmid, &self.deadline).await;
        sets.map_err(|error| unread(&error).into())
    }

    /// Two pools must share neither an address nor a VMID.
    async fn check_overlap(&self, summary: &str, pool: &Pool) -> Result<()> {
        let others = self.pools().await?;
        let Some(other) =
            others.iter().find(|other| other.name != pool.name && overlap(pool, other))
        else {
            return Ok(());
        };
        Err(Diag::error(summary)
            .detail(format!(
                "Pool {} already has the range {} with the VMIDs from {}; pools must share neither addresses nor VMIDs.",
                other.name, other.range, other.first_vmid
            ))
            .into())
    }
}

fn unread(error: &Error) -> Diag {
    diagnose::proxmox("Unable to read the address ledger", error)
}

fn exists(summary: &str, pool: &Pool) -> Diag {
    Diag::error(summary)
        .detail(format!(
            "The ledger has a pool of that name already. If this state is to manage it, import it: its id is \
             its name ({}). Otherwise choose another name.",
            pool.name
        ))
        .at("name")
}

fn overlap(one: &Pool, other: &Pool) -> bool {
    let vmids = |pool: &Pool| {
        let first = u64::from(pool.first_vmid);
        (first, first + pool.range.capacity() - 1)
    };
    let ((first, last), (other_first, other_last)) = (vmids(one), vmids(other));
    one.range.overlaps(other.range) || (first <= other_last && other_first <= last)
}
