//! PURE: what stands in the ledger. A row is one leased address; its comment says whose it is:
//!
//! `ks1 l=<lease> o=<owner> x=<transaction> b=<first address> n=<count> i=<index> t=<unix time>`
//!
//! Whatever does not read exactly like this belongs to people: always occupied, never changed.

use std::fmt;
use std::net::Ipv4Addr;

use kubesmith_spec::{AddressRange, LeaseName, OwnerName, Transaction};

use super::fields::Fields;
use super::pool::LARGEST_POOL;

/// The claim that one row makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The lease it is part of.
    pub(crate) lease: LeaseName,
    /// Whose lease that is.
    pub(crate) owner: OwnerName,
    /// The allocation that made it.
    pub(crate) transaction: Transaction,
    /// The first address of the whole lease.
    pub(crate) first: Ipv4Addr,
    /// How many addresses the whole lease has.
    pub(crate) count: u32,
    /// Which of them this row is, from 0.
    pub(crate) index: u32,
    /// When the allocation began, in seconds, by the server's clock.
    pub(crate) time: u64,
}

impl Row {
    /// Reads a row; `None` if it is not one of ours, or contradicts itself.
    pub(crate) fn parse(address: Ipv4Addr, comment: &str) -> Option<Self> {
        let mut fields = Fields::parse(comment.strip_prefix("ks1 ")?)?;
        let row = Self {
            lease: fields.take("l")?,
            owner: fields.take("o")?,
            transaction: fields.take("x")?,
            first: fields.take("b")?,
            count: fields.take("n")?,
            index: fields.take("i")?,
            time: fields.take("t")?,
        };
        // Whoever can write to the ledger must not make a reader list millions of addresses.
        let range = row.range().filter(|_| u64::from(row.count) <= LARGEST_POOL)?;
        (range.nth(row.index) == Some(address)).then_some(row)
    }

    /// The addresses of the whole lease; `None` if the numbers cannot be.
    pub(crate) fn range(&self) -> Option<AddressRange> {
        AddressRange::starting_at(self.first, self.count)
    }

    /// The address of this row.
    pub(crate) fn address(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first.to_bits().saturating_add(self.index))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lease, owner, transaction, first, count, index, time } = self;
        write!(f, "ks1 l={lease} o={owner} x={transaction} b={first} n={count} i={index} t={time}")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROW: &str =
        "ks1 l=demo o=course-42 x=00000000000000ff b=10.40.19.201 n=6 i=2 t=1795350926";

    #[test]
    fn a_row_says_whose_address_it_is() {
        let row = Row::parse(Ipv4Addr::new(10, 40, 19, 203), ROW).unwrap();
        assert_eq!((row.lease.as_str(), row.owner.as_str(), row.index), ("demo", "course-42", 2));
        assert_eq!(row.address(), Ipv4Addr::new(10, 40, 19, 203));
        assert_eq!(row.to_string(), ROW);
    }

    #[test]
    fn anything_else_belongs_to_people() {
        let address = Ipv4Addr::new(10, 40, 19, 203);
        for (from, to) in [
            ("ks1 ", "ks2 "),
            ("i=2", "i=3"),
            ("i=2", "i=7"),
            ("n=6", "n=0"),
            ("n=6", "n=1001"),
            ("n=6", "n=2147483648"),
            (" o=course-42", ""),
            ("o=course-42", "o=Course"),
            ("x=00000000000000ff", "x=ff"),
            ("t=1795350926", "t=soon"),
            ("t=1795350926", "t=1795350926 t=2"),
            ("t=1795350926", "t=1795350926 and more"),
        ] {
            let comment = ROW.replace(from, to);
            assert_ne!(comment, ROW);
            assert_eq!(Row::parse(address, &comment), None, "{comment}");
        }
    }

    prop_compose! {
        pub(crate) fn any_row()(
            lease in "[a-z0-9-]{1,40}", owner in "[a-z0-9-]{1,40}", bits in any::<u64>(),
            first in any::<u32>(), count in 1u32..200, at in any::<prop::sample::Index>(), time in any::<u64>(),
        ) -> Row {
            let first = Ipv4Addr::from_bits(first.min(u32::MAX - 200));
            Row {
                lease: lease.parse().unwrap(), owner: owner.parse().unwrap(),
                transaction: Transaction::from_bits(bits), first, count,
                index: u32::try_from(at.index(count as usize)).unwrap(), time,
            }
        }
    }

    proptest! {
        #[test]
        fn a_row_survives_the_ledger(row in any_row()) {
            let comment = row.to_string();
            prop_assert!(comment.chars().all(|c| (' '..='~').contains(&c)), "printable ASCII only");
            prop_assert_eq!(Row::parse(row.address(), &comment), Some(row));
        }

        #[test]
        fn reading_a_comment_never_panics(comment in "(ks1 )?.{0,80}", address in any::<u32>()) {
            let _ = Row::parse(Ipv4Addr::from_bits(address), &comment);
        }
    }
}
