//! The attributes of `kubesmith_ip_lease`, and how they are filled from the ledger.

use std::net::Ipv4Addr;

use kubesmith_spec::{LeaseName, PoolName, Transaction};
use kubesmith_tfplugin::{Model, Text, Value};

use crate::ledger::pool::Pool;
use crate::ledger::rows::Claim;

/// Addresses in a row, taken from a pool and held until the lease is destroyed.
///
/// A lease is the root of ownership: the machines of a cluster stand on its addresses, and it cannot be
/// released while a finished machine carries one of them. Its size is a capacity (control plane and room
/// for workers) that is fixed at creation; for more room give the cluster a second lease.
#[derive(Debug, Model)]
#[tf(type_name = "kubesmith_ip_lease", timeouts(create = "10m", update = "10m", delete = "20m"))]
pub(crate) struct IpLease {
    /// Identifier of the lease: `<pool>/<name>`.
    #[tf(computed, keep)]
    pub(crate) id: Value<String>,
    /// Name of the lease, unique in its pool: 1 to 40 lower-case letters, digits and hyphens.
    #[tf(required, replace)]
    pub(crate) name: Text<LeaseName>,
    /// Name of the pool to take the addresses from.
    #[tf(required, replace)]
    pub(crate) pool: Text<PoolName>,
    /// How many addresses, 1 to 250.
    #[tf(required, replace, validate = check_size)]
    pub(crate) size: u32,
    /// The leased addresses, ascending and without gaps.
    #[tf(computed, keep)]
    pub(crate) addresses: Value<Vec<Ipv4Addr>>,
    /// The mark under which the addresses stand in the ledger.
    #[tf(computed, keep)]
    pub(crate) transaction: Value<String>,
    /// Prefix length of the network that the addresses lie in.
    #[tf(computed, keep)]
    pub(crate) prefix_length: Value<u8>,
    /// Default gateway of machines on these addresses.
    #[tf(computed, keep)]
    pub(crate) gateway: Value<Ipv4Addr>,
    /// Name servers of machines on these addresses.
    #[tf(computed, keep)]
    pub(crate) nameservers: Value<Vec<Ipv4Addr>>,
    /// VMID that belongs to the first leased address; every next address has the next VMID.
    #[tf(computed, keep)]
    pub(crate) first_vmid: Value<u32>,
    /// Addresses of the lease whose entry in the ledger is missing, because somebody has removed it.
    /// Normally empty; the next apply puts the entries back.
    #[tf(computed)]
    pub(crate) missing: Value<Vec<Ipv4Addr>>,
}

impl IpLease {
    /// The state of a lease as the ledger has it.
    pub(crate) fn of(pool: &Pool, claim: &Claim) -> Self {
        Self {
            id: format!("{}/{}", pool.name, claim.lease).into(),
            name: Text(claim.lease.clone()),
            pool: Text(pool.name.clone()),
            size: u32::try_from(claim.range.capacity()).unwrap_or(u32::MAX),
            addresses: claim.range.addresses().collect::<Vec<_>>().into(),
            transaction: claim.transaction.to_string().into(),
            prefix_length: pool.prefix_length.into(),
            gateway: pool.gateway.into(),
            nameservers: pool.nameservers.clone().into(),
            first_vmid: pool.vmid(claim.range.first()).into(),
            missing: claim.missing().into(),
        }
    }

    /// The mark under which the lease stands in the ledger; `None` in a state that no run has finished.
    pub(crate) fn known_transaction(&self) -> Option<Transaction> {
        self.transaction.as_ref().and_then(|text| text.parse().ok())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "validators are given references")]
fn check_size(size: &u32) -> Result<(), &'static str> {
    if (1..=250).contains(size) { Ok(()) } else { Err("A lease has 1 to 250 addresses.") }
}
