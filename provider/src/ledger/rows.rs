//! PURE: a pool's set as it was read: who holds what, and what must be taken for occupied.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use kubesmith_spec::{AddressRange, Cidr, LeaseName, OwnerName, Transaction};

use super::row::Row;

/// How long an incomplete lease counts as being made. After that its maker is taken for dead.
pub(crate) const GRACE_SECONDS: u64 = 600;

/// The rows of one set, all read at one instant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    entries: Vec<Entry>,
    /// Names this very content; a delete that carries it fails if anything has changed since.
    pub(crate) digest: Option<String>,
}

/// One entry of the set: an address or a network, and our row if it is one.
#[derive(Debug, Clone)]
struct Entry {
    range: AddressRange,
    comment: String,
    row: Option<Row>,
}

/// All rows of one transaction: a lease, or what there is of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The lease.
    pub(crate) lease: LeaseName,
    /// Whose it is.
    pub(crate) owner: OwnerName,
    /// The mark of the allocation.
    pub(crate) transaction: Transaction,
    /// The addresses that the lease has, or was meant to have.
    pub(crate) range: AddressRange,
    /// When the allocation began.
    pub(crate) time: u64,
    /// The addresses whose rows exist, ascending.
    pub(crate) held: Vec<Ipv4Addr>,
}

impl Rows {
    /// From the set's entries: address or network, and comment.
    pub(crate) fn new<'a>(
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
        digest: Option<String>,
    ) -> Self {
        let entries = entries.into_iter().filter_map(|(cidr, comment)| {
            let range = parse_entry(cidr)?;
            let single = range.first() == range.last();
            let row = single.then(|| Row::parse(range.first(), comment)).flatten();
            Some(Entry { range, comment: comment.to_owned(), row })
        });
        Self { entries: entries.collect(), digest }
    }

    /// Every lease in the set, complete or not.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        let mut claims: BTreeMap<_, Claim> = BTreeMap::new();
        for row in self.entries.iter().filter_map(|entry| entry.row.as_ref()) {
            let Some(range) = row.range() else { continue };
            let key = (row.transaction.clone(), row.first, row.count, &row.lease, &row.owner);
            let claim = claims.entry(key).or_insert_with(|| Claim {
                lease: row.lease.clone(),
                owner: row.owner.clone(),
                transaction: row.transaction.clone(),
                range,
                time: row.time,
                held: Vec::new(),
            });
            claim.held.push(row.address());
        }
        let mut claims: Vec<_> = claims.into_values().collect();
        for claim in &mut claims {
            claim.held.sort();
            // An address may stand there a second time, as a network of one.
            claim.held.dedup();
        }
        claims.sort_by_key(|claim| claim.range.first());
        claims
    }

    /// The rows of one transaction, or `None` if there are none.
    pub(crate) fn claim(&self, transaction: &Transaction) -> Option<Claim> {
        self.claims().into_iter().find(|claim| claim.transaction == *transaction)
    }

    /// What may not be handed out: everything that stands there, and the whole range of each lease
    /// that is being made or that somebody has taken rows out of.
    pub(crate) fn occupied(&self, now: u64) -> Vec<AddressRange> {
        let intended = self
            .claims()
            .into_iter()
            .filter(|claim| !claim.is_complete() && !claim.is_abandoned(now))
            .map(|claim| claim.range);
        self.entries.iter().map(|entry| entry.range).chain(intended).collect()
    }

    /// Everything that stands there, in words: leases, and the entries of people.
    pub(crate) fn describe(&self) -> Vec<String> {
        let leases = self.claims().into_iter().map(|claim| {
            format!("lease {} of owner {} ({})", claim.lease, claim.owner, claim.range)
        });
        let people = self.entries.iter().filter(|entry| entry.row.is_none()).map(Entry::describe);
        leases.chain(people).collect()
    }

    /// Who, other than this transaction, holds an address: in words, for people.
    pub(crate) fn other_holder(&self, address: Ipv4Addr, ours: &Transaction) -> Option<String> {
        let entry = self.entries.iter().find(|entry| {
            entry.range.contains(address)
                && entry.row.as_ref().is_none_or(|row| row.transaction != *ours)
        })?;
        Some(match &entry.row {
            Some(row) => format!("lease {} of owner {}", row.lease, row.owner),
            None => entry.describe(),
        })
    }
}

impl Entry {
    fn describe(&self) -> String {
        let single = self.range.first() == self.range.last();
        let what = if single { self.range.first().to_string() } else { self.range.to_string() };
        if self.comment.is_empty() {
            format!("an entry for {what}")
        } else {
            format!("an entry for {what} ({:?})", self.comment)
        }
    }
}

impl Claim {
    /// Whether every address has its row: only then the lease exists.
    pub(crate) fn is_complete(&self) -> bool {
        self.held.len() as u64 == self.range.capacity()
    }

    /// The addresses whose rows are missing, ascending.
    pub(crate) fn missing(&self) -> Vec<Ipv4Addr> {
        self.range.addresses().filter(|address| !self.held.contains(address)).collect()
    }

    /// Whether this is what a dead create or release leaves behind: old, and without its end.
    ///
    /// Rows are made ascending and removed descending. A hole or a missing head means that somebody
    /// has taken rows out of a lease that is in use.
    pub(crate) fn is_abandoned(&self, now: u64) -> bool {
        let from_the_start = self.range.addresses().zip(&self.held).all(|(a, held)| a == *held);
        !self.is_complete() && from_the_start && now.saturating_sub(self.time) > GRACE_SECONDS
    }

    /// The row of an address of this lease.
    pub(crate) fn row(&self, address: Ipv4Addr) -> Option<Row> {
        Some(Row {
            lease: self.lease.clone(),
            owner: self.owner.clone(),
            transaction: self.transaction.clone(),
            first: self.range.first(),
            count: u32::try_from(self.range.capacity()).ok()?,
            index: self.range.offset(address)?,
            time: self.time,
        })
    }
}

/// An address or a network, as the firewall writes it. Other entries (IPv6, aliases) hold none of ours.
fn parse_entry(text: &str) -> Option<AddressRange> {
    match text.split_once('/') {
        None => text.parse().ok().and_then(|address| AddressRange::new(address, address)),
        Some((address, length)) => {
            Cidr::containing(address.parse().ok()?, length.parse().ok()?).map(Cidr::range)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_stands_there_twice_does_not_make_up_for_one_that_is_missing() {
        let comment = |index: u32| {
            format!("ks1 l=demo o=me x=00000000000000ff b=10.40.19.201 n=3 i={index} t=1795350926")
        };
        let (head, twice) = (comment(0), comment(1));
        let entries =
            [("10.40.19.201", &head), ("10.40.19.202", &twice), ("10.40.19.202/32", &twice)];
        let rows = Rows::new(entries.map(|(cidr, comment)| (cidr, comment.as_str())), None);
        let [claim] = &rows.claims()[..] else { panic!("{rows:?}") };
        assert!(!claim.is_complete());
        assert_eq!(claim.missing(), [Ipv4Addr::new(10, 40, 19, 203)]);
    }
}
