//! The attributes of `kubesmith_ip_pool`, and their way to and from [`Pool`].

use std::net::Ipv4Addr;

use kubesmith_spec::{AddressRange, PoolName};
use kubesmith_tfplugin::{Diag, Diags, Model, Text, Value, string_leaf};

use crate::diagnose::sentence;
use crate::ledger::pool::{Exclusion, Pool};

/// A range of IPv4 addresses that leases are taken from.
///
/// The pool lives in Proxmox VE itself, as an IP set on a small virtual machine that is never started
/// (the ledger), so that everybody who may use it shares one book. The first pool makes that machine,
/// the destruction of the last one removes it.
#[derive(Debug, Model)]
#[tf(type_name = "kubesmith_ip_pool", timeouts(create = "5m", update = "5m", delete = "5m"))]
pub(crate) struct IpPool {
    /// Identifier of the pool: its name.
    #[tf(computed, keep)]
    pub(crate) id: Value<String>,
    /// Name of the pool: 2 to 40 lower-case letters, digits and hyphens, beginning with a letter.
    #[tf(required, replace)]
    pub(crate) name: Text<PoolName>,
    /// First address that may be leased.
    #[tf(required)]
    pub(crate) first: Ipv4Addr,
    /// Last address that may be leased. It may change as long as all leases stay inside.
    #[tf(required)]
    pub(crate) last: Ipv4Addr,
    /// Prefix length of the network that the addresses lie in.
    #[tf(required)]
    pub(crate) prefix_length: u8,
    /// Default gateway of machines in this network.
    #[tf(required)]
    pub(crate) gateway: Ipv4Addr,
    /// Name servers of machines in this network.
    #[tf(required)]
    pub(crate) nameservers: Vec<Ipv4Addr>,
    /// VMID that belongs to the first address; every next address has the next VMID. All of them must
    /// be kept free for this pool.
    #[tf(required)]
    pub(crate) first_vmid: u32,
    /// Addresses of the range that are never leased: single ones (`10.40.19.210`) or ranges
    /// (`10.40.19.210-10.40.19.215`).
    #[tf(optional)]
    pub(crate) excluded: Option<Vec<Exclusion>>,
}

string_leaf!(Exclusion);

impl IpPool {
    /// The pool that is described, or every fault of the description.
    pub(crate) fn pool(&self) -> Result<Pool, Diags> {
        let range = AddressRange::new(self.first, self.last).ok_or_else(|| {
            invalid("last", &format!("{} comes before first, {}", self.last, self.first))
        })?;
        let pool = Pool {
            name: (*self.name).clone(),
            range,
            prefix_length: self.prefix_length,
            gateway: self.gateway,
            nameservers: self.nameservers.clone(),
            first_vmid: self.first_vmid,
            excluded: self.excluded.clone().unwrap_or_default(),
        };
        let mut faults = Diags::none();
        faults.extend(pool.problems().iter().map(|(attribute, reason)| invalid(attribute, reason)));
        faults.into_result(pool)
    }

    /// The state of a pool as the ledger has it. `before` tells an empty list from none at all,
    /// which the ledger does not.
    pub(crate) fn of(pool: &Pool, before: Option<Vec<Exclusion>>) -> Self {
        let Pool { name, range, prefix_length, gateway, nameservers, first_vmid, excluded } = pool;
        let none = before.filter(Vec::is_empty);
        let excluded = if excluded.is_empty() { none } else { Some(excluded.clone()) };
        Self {
            id: name.to_string().into(),
            name: Text(name.clone()),
            first: range.first(),
            last: range.last(),
            prefix_length: *prefix_length,
            gateway: *gateway,
            nameservers: nameservers.clone(),
            first_vmid: *first_vmid,
            excluded,
        }
    }
}

fn invalid(attribute: &str, reason: &str) -> Diag {
    Diag::error("The address pool is not possible").detail(sentence(reason)).at(attribute)
}
