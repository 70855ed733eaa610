//! `data "kubesmith_ip_pool"` and `data "kubesmith_ip_pools"`: pools as the ledger has them.

use std::net::Ipv4Addr;

use kubesmith_spec::{AddressRange, PoolName};
use kubesmith_tfplugin::{Cx, DataSource, Model, Result, Text, Value};

use crate::ip_lease::allocate::free_runs;
use crate::ledger::Ledger;
use crate::ledger::pool::Pool;
use crate::ledger::rows::Rows;
use crate::provider::{Context, deadline};

/// One pool of addresses, with what is leased of it and what is free.
#[derive(Debug, Model)]
#[tf(type_name = "kubesmith_ip_pool", timeouts(read = "2m"))]
pub(crate) struct OnePool {
    /// Name of the pool.
    #[tf(required)]
    name: Text<PoolName>,
    /// First address that may be leased.
    #[tf(computed)]
    first: Value<Ipv4Addr>,
    /// Last address that may be leased.
    #[tf(computed)]
    last: Value<Ipv4Addr>,
    /// Prefix length of the network that the addresses lie in.
    #[tf(computed)]
    prefix_length: Value<u8>,
    /// Default gateway of machines in this network.
    #[tf(computed)]
    gateway: Value<Ipv4Addr>,
    /// Name servers of machines in this network.
    #[tf(computed)]
    nameservers: Value<Vec<Ipv4Addr>>,
    /// VMID that belongs to the first address; every next address has the next VMID.
    #[tf(computed)]
    first_vmid: Value<u32>,
    /// What is never leased: single addresses, or ranges such as `10.40.19.210-10.40.19.215`.
    #[tf(computed)]
    excluded: Value<Vec<String>>,
    /// How many addresses nobody holds in the ledger. A lease passes over one whose VMID is in use all the same.
    #[tf(computed)]
    free: Value<u64>,
    /// How many of them lie in a row at most: no single lease can have more.
    #[tf(computed)]
    longest_free_run: Value<u64>,
    /// The leases that there are, lowest address first.
    #[tf(computed)]
    leases: Value<Vec<LeaseInPool>>,
}

/// A lease, whoever owns it.
#[derive(Debug, Model)]
#[tf(computed)]
pub(crate) struct LeaseInPool {
    /// Its name.
    name: String,
    /// The Terraform state that owns it.
    owner: String,
    /// Its first address.
    first: Ipv4Addr,
    /// Its last address.
    last: Ipv4Addr,
    /// Whether all of its addresses stand in the ledger: not while it is being made, or if somebody
    /// has removed entries.
    complete: bool,
}

/// All pools of addresses that the ledger has.
#[derive(Debug, Model)]
#[tf(type_name = "kubesmith_ip_pools", timeouts(read = "2m"))]
pub(crate) struct AllPools {
    /// The pools, by name.
    #[tf(computed)]
    pools: Value<Vec<PoolInLedger>>,
}

/// A pool.
#[derive(Debug, Model)]
#[tf(computed)]
pub(crate) struct PoolInLedger {
    /// Its name.
    name: String,
    /// First address that may be leased.
    first: Ipv4Addr,
    /// Last address that may be leased.
    last: Ipv4Addr,
    /// How many addresses nobody holds in the ledger. A lease passes over one whose VMID is in use all the same.
    free: u64,
    /// How many of them lie in a row at most.
    longest_free_run: u64,
}

/// Looks up one pool.
pub(crate) struct PoolLookup;

impl DataSource for PoolLookup {
    type Model = OnePool;
    type Client = Context;

    async fn read(&self, cx: &Cx<Context>, config: OnePool) -> Result<OnePool> {
        let ledger = Ledger::open(cx.client()?, &deadline(cx)).await?;
        let pool = ledger.pool(&config.name).await?;
        let (rows, now) = ledger.rows(&pool.name).await?;
        Ok(OnePool::of(&pool, &rows, now))
    }
}

/// Looks up all pools.
pub(crate) struct PoolList;

impl DataSource for PoolList {
    type Model = AllPools;
    type Client = Context;

    async fn read(&self, cx: &Cx<Context>, _config: AllPools) -> Result<AllPools> {
        let ledger = Ledger::open(cx.client()?, &deadline(cx)).await?;
        let mut pools = Vec::new();
        for pool in ledger.pools().await? {
            let (rows, now) = ledger.rows(&pool.name).await?;
            let Room { free, longest } = Room::of(&pool, &rows, now);
            pools.push(PoolInLedger {
                name: pool.name.to_string(),
                first: pool.range.first(),
                last: pool.range.last(),
                free,
                longest_free_run: longest,
            });
        }
        pools.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(AllPools { pools: pools.into() })
    }
}

impl OnePool {
    fn of(pool: &Pool, rows: &Rows, now: u64) -> Self {
        let Room { free, longest } = Room::of(pool, rows, now);
        let Pool { name, range, prefix_length, gateway, nameservers, first_vmid, excluded } = pool;
        let leases = rows.claims().into_iter().map(|claim| LeaseInPool {
            complete: claim.is_complete(),
            name: claim.lease.to_string(),
            owner: claim.owner.to_string(),
            first: claim.range.first(),
            last: claim.range.last(),
        });
        Self {
            name: Text(name.clone()),
            first: range.first().into(),
            last: range.last().into(),
            prefix_length: (*prefix_length).into(),
            gateway: (*gateway).into(),
            nameservers: nameservers.clone().into(),
            first_vmid: (*first_vmid).into(),
            excluded: excluded.iter().map(ToString::to_string).collect::<Vec<_>>().into(),
            free: free.into(),
            longest_free_run: longest.into(),
            leases: leases.collect::<Vec<_>>().into(),
        }
    }
}

/// What is free in a pool.
struct Room {
    free: u64,
    longest: u64,
}

impl Room {
    fn of(pool: &Pool, rows: &Rows, now: u64) -> Self {
        let occupied = [pool.reserved(), rows.occupied(now)].concat();
        let runs = free_runs(pool.range, &occupied);
        let lengths = runs.into_iter().map(AddressRange::capacity);
        let (free, longest) =
            lengths.fold((0, 0_u64), |(sum, longest), length| (sum + length, longest.max(length)));
        Self { free, longest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::pool::tests::lab;

    #[test]
    fn reserved_and_taken_addresses_are_not_free() {
        // 50 addresses without .210 and .220 to .222.
        let Room { free, longest } = Room::of(&lab(), &Rows::default(), 0);
        assert_eq!((free, longest), (46, 28));
        let rows = Rows::new([("10.40.19.230", "the printer")], None);
        let Room { free, longest } = Room::of(&lab(), &rows, 0);
        assert_eq!((free, longest), (45, 20));
    }
}
