//! PURE: an address pool, and the comment of its set that makes its name enough to lease from it:
//!
//! `ks1 pool first=.. last=.. prefix=24 gw=.. dns=a,b vmid=19201 excl=a,b-c`

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use kubesmith_spec::{AddressRange, Cidr, PoolName};

use super::fields::Fields;

/// The VMIDs that Proxmox accepts.
const VMIDS: std::ops::RangeInclusive<u64> = 100..=999_999_999;
/// The most addresses a pool may have: a set is one file that is rewritten at each change, and past this it becomes slow.
pub(super) const LARGEST_POOL: u64 = 1000;

/// A pool of addresses and how machines on them reach the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pool {
    /// Its name, which is the name of its set.
    pub(crate) name: PoolName,
    /// The addresses that may be leased.
    pub(crate) range: AddressRange,
    /// The prefix length of the network they lie in.
    pub(crate) prefix_length: u8,
    /// The default gateway.
    pub(crate) gateway: Ipv4Addr,
    /// The name servers.
    pub(crate) nameservers: Vec<Ipv4Addr>,
    /// The VMID that belongs to the first address.
    pub(crate) first_vmid: u32,
    /// Addresses inside the range that are never leased.
    pub(crate) excluded: Vec<Exclusion>,
}

/// An excluded address, or a range of them: `10.40.19.210` or `10.40.19.210-10.40.19.215`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exclusion(pub(crate) AddressRange);

impl Pool {
    /// Reads the comment of the set with that name; `None` if it does not describe a pool.
    pub(crate) fn parse(name: PoolName, comment: &str) -> Option<Self> {
        let mut fields = Fields::parse(comment.strip_prefix("ks1 pool ")?)?;
        Some(Self {
            name,
            range: AddressRange::new(fields.take("first")?, fields.take("last")?)?,
            prefix_length: fields.take("prefix").filter(|length| *length <= 32)?,
            gateway: fields.take("gw")?,
            nameservers: fields.take_list("dns")?,
            first_vmid: fields.take("vmid")?,
            excluded: fields.take_list("excl")?,
        })
    }

    /// The comment of the pool's set.
    pub(crate) fn comment(&self) -> String {
        let Self { name: _, range, prefix_length, gateway, nameservers, first_vmid, excluded } =
            self;
        format!(
            "ks1 pool first={} last={} prefix={prefix_length} gw={gateway} dns={} vmid={first_vmid} excl={}",
            range.first(),
            range.last(),
            join(nameservers),
            join(excluded),
        )
    }

    /// The VMID that belongs to an address of the pool.
    pub(crate) fn vmid(&self, address: Ipv4Addr) -> Option<u32> {
        self.first_vmid.checked_add(self.range.offset(address)?)
    }

    /// The address that a VMID stands for.
    pub(crate) fn address(&self, vmid: u32) -> Option<Ipv4Addr> {
        self.range.nth(vmid.checked_sub(self.first_vmid)?)
    }

    /// What is never leased although it lies in the range.
    pub(crate) fn reserved(&self) -> Vec<AddressRange> {
        let single = |address| AddressRange::new(address, address);
        let network = Cidr::containing(self.gateway, self.prefix_length).map(Cidr::range);
        let edges =
            network.iter().flat_map(|net| [single(net.first()), single(net.last())]).flatten();
        let excluded = self.excluded.iter().map(|exclusion| exclusion.0);
        excluded.chain(single(self.gateway)).chain(edges).collect()
    }

    /// What is wrong with the pool: the attribute at fault, and why.
    pub(crate) fn problems(&self) -> Vec<(&'static str, String)> {
        let Self { name: _, range, prefix_length, gateway, nameservers: _, first_vmid, excluded } =
            self;
        let mut found = Vec::new();
        match Cidr::containing(range.first(), *prefix_length) {
            None => {
                let reason = format!("{prefix_length} is above 32");
                found.push(("prefix_length", reason));
            }
            Some(network) => {
                if !network.contains(range.last()) {
                    let reason =
                        format!("{} lies outside {network}, the network of first", range.last());
                    found.push(("last", reason));
                }
                if !network.contains(*gateway) {
                    let reason = format!("{gateway} lies outside the network {network}");
                    found.push(("gateway", reason));
                }
            }
        }
        if range.contains(*gateway) && !excluded.iter().any(|e| e.0.contains(*gateway)) {
            let reason = format!(
                "{gateway} lies inside the range {range}; list it in excluded if that is meant"
            );
            found.push(("gateway", reason));
        }
        if let Some(outside) = excluded.iter().find(|exclusion| !range.contains_range(exclusion.0))
        {
            let reason = format!("{outside} lies outside the range {range}");
            found.push(("excluded", reason));
        }
        let last_vmid = u64::from(*first_vmid) + range.capacity() - 1;
        if !VMIDS.contains(&u64::from(*first_vmid)) || !VMIDS.contains(&last_vmid) {
            let reason = format!(
                "the pool would use the VMIDs {first_vmid} to {last_vmid}, but Proxmox accepts {} to {}",
                VMIDS.start(),
                VMIDS.end()
            );
            found.push(("first_vmid", reason));
        }
        if range.capacity() > LARGEST_POOL {
            let reason =
                format!("the range has {} addresses; at most {LARGEST_POOL}", range.capacity());
            found.push(("last", reason));
        }
        found
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.first() == self.0.last() { self.0.first().fmt(f) } else { self.0.fmt(f) }
    }
}

impl FromStr for Exclusion {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) => AddressRange::new(first, last)
                .map(Self)
                .ok_or_else(|| format!("{text:?} ends before it begins")),
            _ => Err(format!(
                "{text:?} is neither an IPv4 address nor a range such as 10.0.0.5-10.0.0.9"
            )),
        }
    }
}

fn join<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn lab() -> Pool {
        let comment = "ks1 pool first=10.40.19.201 last=10.40.19.250 prefix=24 gw=10.40.19.254 \
                       dns=10.40.19.254,1.1.1.1 vmid=19201 excl=10.40.19.210,10.40.19.220-10.40.19.222";
        Pool::parse("lab".parse().unwrap(), comment).unwrap()
    }

    #[test]
    fn a_pool_survives_its_comment() {
        let pool = lab();
        assert_eq!(Pool::parse(pool.name.clone(), &pool.comment()), Some(pool.clone()));
        assert_eq!(pool.vmid(Ipv4Addr::new(10, 40, 19, 207)), Some(19207));
        let bare = Pool { nameservers: vec![], excluded: vec![], ..pool };
        assert_eq!(Pool::parse(bare.name.clone(), &bare.comment()), Some(bare));
        assert_eq!(Pool::parse("lab".parse().unwrap(), "the printers"), None);
    }

    #[test]
    fn a_sound_pool_has_no_problems_and_a_bad_one_has_all_of_them() {
        assert_eq!(lab().problems(), []);
        let mut pool = lab();
        pool.range =
            AddressRange::new(Ipv4Addr::new(10, 40, 19, 201), Ipv4Addr::new(10, 40, 29, 250))
                .unwrap();
        pool.gateway = Ipv4Addr::new(10, 40, 20, 1);
        pool.first_vmid = 99;
        pool.excluded = vec!["10.40.19.1".parse().unwrap()];
        let problems: Vec<_> =
            pool.problems().iter().map(|(at, why)| format!("{at}: {why}")).collect();
        let problems = problems.join("\n");
        insta::assert_snapshot!(problems, @r"
        last: 10.40.29.250 lies outside 10.40.19.0/24, the network of first
        gateway: 10.40.20.1 lies outside the network 10.40.19.0/24
        gateway: 10.40.20.1 lies inside the range 10.40.19.201-10.40.29.250; list it in excluded if that is meant
        excluded: 10.40.19.1 lies outside the range 10.40.19.201-10.40.29.250
        first_vmid: the pool would use the VMIDs 99 to 2708, but Proxmox accepts 100 to 999999999
        last: the range has 2610 addresses; at most 1000
        ");
    }

    #[test]
    fn the_edges_of_the_network_are_never_leased() {
        let mut pool = lab();
        pool.range =
            AddressRange::new(Ipv4Addr::new(10, 40, 19, 0), Ipv4Addr::new(10, 40, 19, 255))
                .unwrap();
        let reserved = pool.reserved();
        for host in [0, 255, 254, 210, 221] {
            let address = Ipv4Addr::new(10, 40, 19, host);
            assert!(reserved.iter().any(|range| range.contains(address)), "{address}");
        }
    }
}
