//! The address ledger: which addresses are whose, kept inside Proxmox.
//!
//! One firewall IP set per pool on a small protected machine that is never started; a row per address.
//! Proxmox makes a row only where none is and removes one only if the set is unchanged, both atomically
//! in the whole cluster: that is all the locking there is, and it needs no server of ours. What is done
//! with it is decided in `reserve` (PURE); here the requests are made. If the machine or a set is
//! missing, everything stops: a ledger that is not there is never taken for an empty one.

pub(crate) mod fields;
pub(crate) mod home;
#[cfg(test)]
mod hostile;
pub(crate) mod pool;
pub(crate) mod pools;
pub(crate) mod reserve;
pub(crate) mod row;
pub(crate) mod rows;

use std::net::Ipv4Addr;
use std::time::Duration;

use kubesmith_proxmox::{Deadline, Error, IpSet, retry};
use kubesmith_spec::{AddressRange, PoolName, Transaction};
use kubesmith_tfplugin::{Diag, Result};

use self::pool::Pool;
use self::reserve::{Answer, Ask, Next, Refused, Reservation, Wanted, next_release};
use self::row::Row;
use self::rows::{Claim, Rows};
use crate::diagnose;
use crate::provider::Context;

/// The ledger of a datacentre, found and ready.
pub(crate) struct Ledger<'a> {
    context: &'a Context,
    /// A node to name in paths: the one on which the ledger's machine lies.
    node: String,
    deadline: Deadline,
}

impl<'a> Ledger<'a> {
    /// Finds the ledger; an error if there is none.
    pub(crate) async fn open(context: &'a Context, deadline: &Deadline) -> Result<Self> {
        let node = home::find(context, deadline).await?.ok_or_else(|| home::missing(context))?;
        Ok(Self { context, node, deadline: deadline.clone() })
    }

    /// Finds the ledger, or makes it.
    pub(crate) async fn open_or_create(context: &'a Context, deadline: &Deadline) -> Result<Self> {
        let node = home::ensure(context, deadline).await?;
        Ok(Self { context, node, deadline: deadline.clone() })
    }

    /// Everything that stands in a pool's set, and the time by the server's clock.
    pub(crate) async fn rows(&self, pool: &PoolName) -> Result<(Rows, u64)> {
        let (client, vmid) = (&self.context.proxmox, self.context.ledger_vmid);
        let set = retry(&self.deadline, || client.ip_set(&self.node, vmid, pool.as_str()))
            .await
            .map_err(|error| unreadable(pool, &error))?;
        Ok(read(&set))
    }

    /// The same as of a moment ago, for who only looks.
    pub(crate) async fn recent_rows(&self, pool: &PoolName) -> Result<(Rows, u64)> {
        let (looks, vmid) = (&self.context.looks, self.context.ledger_vmid);
        let set = looks.rows(&self.node, vmid, pool, &self.deadline).await;
        let set = set.map_err(|error| unreadable(pool, &error))?;
        Ok(read(&set))
    }

    /// Takes addresses, or takes up what a killed run of the same owner has left under that name.
    pub(crate) async fn reserve(&self, pool: &Pool, wanted: Wanted) -> Result<Claim> {
        let summary = format!("Unable to create lease {}/{}", pool.name, wanted.lease);
        let reservation = Reservation::new(pool.clone(), wanted, random_transaction());
        self.drive(&summary, pool, reservation).await
    }

    /// What [`reserve`](Self::reserve) would come to now, as far as reading alone can tell: a warning
    /// if it would fail, or would take up a lease that exists.
    pub(crate) async fn foresee(&self, pool: &Pool, wanted: Wanted) -> Result<Option<Diag>> {
        let id = format!("{}/{}", pool.name, wanted.lease);
        let mut reservation = Reservation::new(pool.clone(), wanted, random_transaction());
        let (rows, now) = self.rows(&pool.name).await?;
        Ok(match reservation.next(Answer::Rows(rows, now)) {
            Next::Ask(_) => None,
            Next::Done(Ok(claim)) => {
                Some(Diag::warning(format!("Lease {id} exists and will be taken up")).detail(format!(
                    "The ledger has a lease of that name and owner ({}) that this state does not know; a run \
                     that was interrupted may have left it. Make sure that no other resource manages it.",
                    claim.range
                )))
            }
            Next::Done(Err(refused)) => {
                let error = explain("", pool, &refused);
                let warning = Diag::warning(format!("Lease {id} cannot be created as things are"));
                Some(warning.detail(error.detail))
            }
        })
    }

    /// Puts back the rows of a lease that are missing.
    pub(crate) async fn repair(&self, pool: &Pool, claim: Claim) -> Result<Claim> {
        let summary = format!("Unable to repair lease {}/{}", pool.name, claim.lease);
        self.drive(&summary, pool, Reservation::repair(pool.clone(), claim)).await
    }

    /// Removes all rows of a lease, the first address last. Nothing there is a success.
    pub(crate) async fn release(&self, pool: &PoolName, claim: &Claim) -> Result<()> {
        let summary = format!("Unable to release lease {pool}/{}", claim.lease);
        loop {
            let (rows, _) = self.rows(pool).await?;
            let next = next_release(&rows, &claim.lease, &claim.owner, &claim.transaction);
            let Some(address) = next else { return Ok(()) };
            self.remove_row(&summary, pool, address, rows.digest.as_deref()).await?;
            self.deadline.check().map_err(|error| diagnose::proxmox(summary.as_str(), &error))?;
        }
    }

    /// Does what a reservation asks for until it is done.
    async fn drive(
        &self,
        summary: &str,
        pool: &Pool,
        mut reservation: Reservation,
    ) -> Result<Claim> {
        let mut answer = Answer::Begin;
        loop {
            answer = match reservation.next(answer) {
                Next::Done(Ok(claim)) => return Ok(claim),
                Next::Done(Err(refused)) => return Err(explain(summary, pool, &refused).into()),
                Next::Ask(ask) => self.perform(summary, pool, ask).await?,
            };
        }
    }

    async fn perform(&self, summary: &str, pool: &Pool, ask: Ask) -> Result<Answer> {
        Ok(match ask {
            Ask::Read => {
                let (rows, now) = self.rows(&pool.name).await?;
                Answer::Rows(rows, now)
            }
            Ask::Probe(range) => Answer::Taken(self.taken(summary, pool, range).await?),
            Ask::Create(row) => self.create_row(summary, &pool.name, &row).await?,
            Ask::Delete { address, digest } => {
                self.remove_row(summary, &pool.name, address, digest.as_deref()).await?;
                Answer::Unsure
            }
            // Nothing is held here, so this is the place to obey a cancellation: nothing is left behind.
            Ask::Rest => {
                let pause = Duration::from_millis(rand::random_range(100..800));
                self.deadline
                    .sleep(pause)
                    .await
                    .map_err(|error| diagnose::proxmox(summary, &error))?;
                Answer::Rested(random_transaction())
            }
        })
    }

    async fn create_row(&self, summary: &str, pool: &PoolName, row: &Row) -> Result<Answer> {
        let (client, vmid) = (&self.context.proxmox, self.context.ledger_vmid);
        let (address, comment) = (row.address().to_string(), row.to_string());
        let made = retry(&self.deadline, || {
            client.add_ip_set_row(&self.node, vmid, pool.as_str(), &address, &comment)
        });
        match made.await {
            Ok(()) => Ok(Answer::Created),
            Err(error) if error.is_already_exists() || error.is_unknown_outcome() => {
                Ok(Answer::Unsure)
            }
            Err(error) => Err(diagnose::proxmox(summary, &error).into()),
        }
    }

    /// Removes one row if the set is still what it was. Whether it did is seen by looking again.
    async fn remove_row(
        &self,
        summary: &str,
        pool: &PoolName,
        address: Ipv4Addr,
        digest: Option<&str>,
    ) -> Result<()> {
        let (client, vmid) = (&self.context.proxmox, self.context.ledger_vmid);
        // A set with rows has a digest; without one there is nothing to remove.
        let Some(digest) = digest else { return Ok(()) };
        let cidr = address.to_string();
        let removed = retry(&self.deadline, || {
            client.delete_ip_set_row(&self.node, vmid, pool.as_str(), &cidr, digest)
        });
        match removed.await {
            Ok(()) => Ok(()),
            Err(error) if error.is_modified() || error.is_unknown_outcome() => Ok(()),
            Err(error) => Err(diagnose::proxmox(summary, &error).into()),
        }
    }

    /// The addresses whose VMID exists somewhere, whoever made it and whether we may see it or not.
    async fn taken(
        &self,
        summary: &str,
        pool: &Pool,
        range: AddressRange,
    ) -> Result<Vec<Ipv4Addr>> {
        let client = &self.context.proxmox;
        let mut taken = Vec::new();
        for address in range.addresses() {
            let Some(vmid) = pool.vmid(address) else { continue };
            let free = retry(&self.deadline, || client.vmid_is_free(vmid)).await;
            if !free.map_err(|error| diagnose::proxmox(summary, &error))? {
                taken.push(address);
            }
        }
        Ok(taken)
    }
}

fn random_transaction() -> Transaction {
    Transaction::from_bits(rand::random())
}

fn read(set: &IpSet) -> (Rows, u64) {
    let entries = set.rows.iter().map(|row| (row.cidr.as_str(), row.comment.as_str()));
    // Without a clock nothing is ever old, so nothing is swept away.
    let now = set.server_time.and_then(|time| u64::try_from(time).ok()).unwrap_or(0);
    (Rows::new(entries, set.digest.clone()), now)
}

fn unreadable(pool: &PoolName, error: &Error) -> Diag {
    let summary = format!("Unable to read address pool {pool}");
    if error.is_not_found() {
        Diag::error(summary).detail(format!(
            "The ledger has no set of that name any more, so it is not known which addresses are in use. \
             Nothing is done without it. If the pool {pool} was removed by mistake, make it again before \
             anything else is leased from it."
        ))
    } else {
        diagnose::proxmox(summary, error)
    }
}

/// Why there is no lease, and what to do.
fn explain(summary: &str, pool: &Pool, refused: &Refused) -> Diag {
    let why = diagnose::sentence(&refused.to_string());
    let (next, attribute) = match refused {
        Refused::NameTaken { owner, .. } => (
            format!(
                "Choose another name. If that lease is this state's, the provider's owner must be {owner}, \
                 and the lease can be imported."
            ),
            Some("name"),
        ),
        Refused::SizeDiffers(claim) => (
            format!(
                "It is not in this Terraform state. Import it (its id is {}/{}), or set size to {}.",
                pool.name,
                claim.lease,
                claim.range.capacity()
            ),
            Some("size"),
        ),
        Refused::Inhabited { range } => (
            format!(
                "Machines may stand on {range}. Set size to {} to take that lease up again, or destroy those machines.",
                range.capacity()
            ),
            Some("size"),
        ),
        Refused::AddressTaken { address, .. } => (
            format!(
                "{address} is part of this lease. Remove the other entry in Proxmox, or destroy the lease."
            ),
            None,
        ),
        Refused::Exhausted(_) => (
            format!(
                "Pool {} has the addresses {}. Ask for fewer, destroy a lease, or have the pool made larger.",
                pool.name, pool.range
            ),
            Some("size"),
        ),
        Refused::Contended => ("Apply again.".to_owned(), None),
    };
    let diag = Diag::error(summary).detail(format!("{why} {next}"));
    match attribute {
        Some(attribute) => diag.at(attribute),
        None => diag,
    }
}
