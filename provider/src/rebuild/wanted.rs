//! PURE: what the ledger must hold, by the states of those who lease from it.

use std::fmt;
use std::net::Ipv4Addr;

use kubesmith_spec::{AddressRange, LeaseName, OwnerName, PoolName, Transaction};
use serde::Deserialize;

use crate::ledger::pool::{Exclusion, Pool};
use crate::ledger::rows::Claim;
use crate::stamp::Stamp;
use crate::states::{self, Managed, Unreadable};

/// Pools and leases.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) pools: Vec<Pool>,
    pub(super) leases: Vec<Lease>,
}

/// A lease of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) pool: PoolName,
    pub(super) claim: Claim,
}

/// The attributes of a `kubesmith_ip_pool`.
#[derive(Deserialize)]
struct PoolAttributes {
    name: PoolName,
    first: Ipv4Addr,
    last: Ipv4Addr,
    prefix_length: u8,
    gateway: Ipv4Addr,
    nameservers: Vec<Ipv4Addr>,
    first_vmid: u32,
    excluded: Option<Vec<String>>,
}

/// The attributes of a `kubesmith_ip_lease`. Without a transaction no run has finished it, and nothing stands on it.
#[derive(Deserialize)]
struct LeaseAttributes {
    name: LeaseName,
    pool: PoolName,
    addresses: Option<Vec<Ipv4Addr>>,
    transaction: Option<Transaction>,
}

impl Wanted {
    /// Adds what one owner's state holds.
    pub(super) fn add(&mut self, owner: &OwnerName, text: &str) -> Result<(), Unreadable> {
        for resource in states::resources(text)? {
            match resource.kind.as_str() {
                "kubesmith_ip_pool" => self.pools.push(pool(&resource)?),
                "kubesmith_ip_lease" => self.leases.extend(lease(owner, &resource)?),
                _ => {}
            }
        }
        Ok(())
    }

    /// Why these states cannot all be true, or are not all.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (index, lease) in self.leases.iter().enumerate() {
            let Lease { pool, claim } = lease;
            match self.pools.iter().find(|known| known.name == *pool) {
                None => faults.push(format!(
                    "{lease} is of a pool that no state has: give the state with kubesmith_ip_pool {pool} as well"
                )),
                Some(known) if !known.range.contains_range(claim.range) => {
                    faults.push(format!("{lease} lies outside its pool's range, {}", known.range));
                }
                Some(_) => {}
            }
            let others = self.leases[..index].iter().filter(|other| other.pool == *pool);
            for other in others.filter(|other| other.claim.range.overlaps(claim.range)) {
                faults.push(format!("{lease} and {other} hold the same addresses"));
            }
        }
        for (index, pool) in self.pools.iter().enumerate() {
            if self.pools[..index].iter().any(|other| other.name == pool.name) {
                faults.push(format!("two states have a pool {}", pool.name));
            }
        }
        faults
    }

    /// Whether one of these leases is the one that a machine stands on.
    pub(super) fn has(&self, stamp: &Stamp) -> bool {
        self.leases.iter().any(|Lease { pool, claim }| {
            *pool == stamp.pool
                && claim.lease == stamp.lease
                && claim.transaction == stamp.transaction
        })
    }
}

fn pool(resource: &Managed) -> Result<Pool, Unreadable> {
    let PoolAttributes {
        name,
        first,
        last,
        prefix_length,
        gateway,
        nameservers,
        first_vmid,
        excluded,
    } = resource.read()?;
    let range = AddressRange::new(first, last);
    let excluded = excluded.unwrap_or_default();
    let excluded: Result<Vec<Exclusion>, String> =
        excluded.iter().map(|text| text.parse()).collect();
    let pool = Pool {
        name,
        range: range.ok_or_else(|| resource.unreadable("last comes before first"))?,
        prefix_length,
        gateway,
        nameservers,
        first_vmid,
        excluded: excluded.map_err(|reason| resource.unreadable(&reason))?,
    };
    match pool.problems().first() {
        None => Ok(pool),
        Some((attribute, reason)) => Err(resource.unreadable(&format!("{attribute}: {reason}"))),
    }
}

fn lease(owner: &OwnerName, resource: &Managed) -> Result<Option<Lease>, Unreadable> {
    let LeaseAttributes { name, pool, addresses, transaction } = resource.read()?;
    let (Some(addresses), Some(transaction)) = (addresses, transaction) else { return Ok(None) };
    let ends = addresses.first().zip(addresses.last());
    let range = ends.and_then(|(first, last)| AddressRange::new(*first, *last));
    let range = range.filter(|range| range.addresses().eq(addresses.iter().copied()));
    let range =
        range.ok_or_else(|| resource.unreadable("its addresses are not a row without gaps"))?;
    let owner = owner.clone();
    let claim = Claim { lease: name, owner, transaction, range, time: 0, held: Vec::new() };
    Ok(Some(Lease { pool, claim }))
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, claim } = self;
        write!(f, "lease {pool}/{} of owner {} ({})", claim.lease, claim.owner, claim.range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn state(resources: &[(&str, Value)]) -> String {
        let resources: Vec<Value> = resources
            .iter()
            .map(|(kind, attributes)| {
                json!({"mode": "managed", "type": kind, "name": "x", "instances": [{"attributes": attributes}]})
            })
            .collect();
        json!({"version": 4, "lineage": "b0e7", "resources": resources}).to_string()
    }

    fn pool() -> (&'static str, Value) {
        let pool = json!({
            "id": "lab", "name": "lab", "first": "10.40.19.201", "last": "10.40.19.253", "prefix_length": 24,
            "gateway": "10.40.19.254", "nameservers": ["10.40.2.1"], "first_vmid": 19201, "excluded": ["10.40.19.210"],
        });
        ("kubesmith_ip_pool", pool)
    }

    fn lease(name: &str, addresses: &[&str]) -> (&'static str, Value) {
        let lease = json!({
            "id": format!("lab/{name}"), "name": name, "pool": "lab", "addresses": addresses, "size": addresses.len(),
            "transaction": "00000000000000ff",
        });
        ("kubesmith_ip_lease", lease)
    }

    fn wanted(states: &[(&str, String)]) -> Wanted {
        let mut wanted = Wanted::default();
        for (owner, text) in states {
            wanted.add(&owner.parse().unwrap(), text).unwrap();
        }
        wanted
    }

    #[test]
    fn what_states_hold_together_is_what_the_ledger_must_hold() {
        let admin = state(&[pool(), ("local_file", json!({}))]);
        let course = state(&[lease("demo", &["10.40.19.201", "10.40.19.202"])]);
        let wanted = wanted(&[("admin", admin), ("course", course)]);
        assert_eq!(wanted.faults(), Vec::<String>::new());
        assert_eq!(
            wanted.pools[0].comment(),
            "ks1 pool first=10.40.19.201 last=10.40.19.253 prefix=24 gw=10.40.19.254 dns=10.40.2.1 vmid=19201 excl=10.40.19.210"
        );
        assert_eq!(
            wanted.leases[0].to_string(),
            "lease lab/demo of owner course (10.40.19.201-10.40.19.202)"
        );
    }

    #[test]
    fn states_that_contradict_each_other_are_refused() {
        let low = || state(&[lease("a", &["10.40.19.201", "10.40.19.202"])]);
        let high = || state(&[lease("b", &["10.40.19.202", "10.40.19.203"])]);
        let outside = || state(&[lease("c", &["10.40.20.1"])]);
        for (states, said) in [
            (vec![("x", low())], "no state has"),
            (vec![("x", state(&[pool()])), ("y", state(&[pool()]))], "two states have a pool lab"),
            (vec![("x", state(&[pool()])), ("y", low()), ("z", high())], "the same addresses"),
            (vec![("x", state(&[pool()])), ("y", outside())], "outside its pool's range"),
        ] {
            let faults = wanted(&states).faults();
            assert!(faults.iter().any(|fault| fault.contains(said)), "{said}: {faults:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_lease_is_refused_and_an_unfinished_one_is_nothing() {
        let mut wanted = Wanted::default();
        let owner = "x".parse().unwrap();
        let gap = state(&[lease("a", &["10.40.19.201", "10.40.19.203"])]);
        let refused = wanted.add(&owner, &gap).unwrap_err().to_string();
        assert!(refused.contains("without gaps"), "{refused}");
        let begun = json!({"name": "a", "pool": "lab", "addresses": null, "transaction": null});
        wanted.add(&owner, &state(&[("kubesmith_ip_lease", begun)])).unwrap();
        assert_eq!(wanted.leases, []);
    }
}
