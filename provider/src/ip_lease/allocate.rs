//! PURE: where in a pool a run of addresses fits. First fit from the pool's start, so that leases
//! stay together and the answer is the same for everyone who sees the same ledger.

use std::net::Ipv4Addr;

use kubesmith_spec::AddressRange;

/// No run of the wanted length is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} addresses in a row are wanted, but {}", left(*.free, .largest.as_ref()))]
pub(crate) struct Exhausted {
    /// How many addresses in a row were wanted.
    pub(crate) wanted: u32,
    /// How many are free in all.
    pub(crate) free: u64,
    /// The first of the longest free runs.
    pub(crate) largest: Option<AddressRange>,
}

fn left(free: u64, largest: Option<&AddressRange>) -> String {
    match largest {
        None => "none is free".to_owned(),
        Some(run) => {
            let length = run.capacity();
            format!("only {free} are free and the longest free run is {length} ({run})")
        }
    }
}

/// The lowest address from which `count` addresses in a row lie in `pool` and outside all `occupied`.
///
/// The occupied ranges may overlap, lie in any order and reach outside the pool.
pub(crate) fn allocate(
    pool: AddressRange,
    occupied: &[AddressRange],
    count: u32,
) -> Result<AddressRange, Exhausted> {
    let mut exhausted = Exhausted { wanted: count, free: 0, largest: None };
    for run in free_runs(pool, occupied) {
        if let Some(found) = AddressRange::starting_at(run.first(), count)
            && run.contains_range(found)
        {
            return Ok(found);
        }
        exhausted.free += run.capacity();
        if exhausted.largest.is_none_or(|largest| run.capacity() > largest.capacity()) {
            exhausted.largest = Some(run);
        }
    }
    Err(exhausted)
}

/// The free runs of the pool, ascending, each as long as it can be.
pub(crate) fn free_runs(pool: AddressRange, occupied: &[AddressRange]) -> Vec<AddressRange> {
    let mut blocks: Vec<_> = occupied.iter().filter(|block| block.overlaps(pool)).collect();
    blocks.sort_by_key(|block| block.first());

    let mut runs = Vec::new();
    // One wider than an address, so that "past the last address of all" can be said.
    let mut next = u64::from(pool.first().to_bits());
    let end = u64::from(pool.last().to_bits()) + 1;
    for block in blocks {
        runs.extend(run(next, u64::from(block.first().to_bits()).min(end)));
        next = next.max(u64::from(block.last().to_bits()) + 1);
    }
    runs.extend(run(next, end));
    runs
}

/// The addresses from `start` up to, but without, `end`.
fn run(start: u64, end: u64) -> Option<AddressRange> {
    let address = |bits: u64| u32::try_from(bits).ok().map(Ipv4Addr::from_bits);
    AddressRange::new(address(start)?, address(end.checked_sub(1)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(first: u8, last: u8) -> AddressRange {
        let address = |host| Ipv4Addr::new(10, 0, 0, host);
        AddressRange::new(address(first), address(last)).unwrap()
    }

    #[test]
    fn the_first_run_that_is_long_enough_is_taken() {
        let pool = range(10, 19);
        for (occupied, count, expected) in [
            (vec![], 4, Some(10)),
            (vec![], 10, Some(10)),
            (vec![], 11, None),
            (vec![range(10, 10)], 4, Some(11)),
            (vec![range(12, 12)], 2, Some(10)),
            (vec![range(12, 12)], 3, Some(13)),
            (vec![range(15, 15), range(12, 12)], 4, Some(16)),
            (vec![range(0, 12), range(11, 14)], 5, Some(15)),
            (vec![range(18, 40)], 8, Some(10)),
            (vec![range(0, 255)], 1, None),
        ] {
            let found = allocate(pool, &occupied, count).ok();
            let expected = expected.map(|first| Ipv4Addr::new(10, 0, 0, first));
            assert_eq!(found.map(AddressRange::first), expected, "{occupied:?} {count}");
        }
    }

    #[test]
    fn an_exhausted_pool_says_what_is_left() {
        let error = allocate(range(10, 19), &[range(12, 12), range(17, 17)], 5).unwrap_err();
        insta::assert_snapshot!(error, @"5 addresses in a row are wanted, but only 8 are free and the longest free run is 4 (10.0.0.13-10.0.0.16)");
        let error = allocate(range(10, 19), &[range(1, 30)], 1).unwrap_err();
        insta::assert_snapshot!(error, @"1 addresses in a row are wanted, but none is free");
    }

    #[test]
    fn the_edges_of_the_address_space_do_not_overflow() {
        let all = AddressRange::new(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST).unwrap();
        let top = AddressRange::new(Ipv4Addr::BROADCAST, Ipv4Addr::BROADCAST).unwrap();
        assert_eq!(allocate(all, &[], 3).unwrap().first(), Ipv4Addr::UNSPECIFIED);
        assert!(allocate(top, &[top], 1).is_err());
        assert_eq!(allocate(top, &[], 1).unwrap(), top);
    }

    proptest! {
        #[test]
        fn the_result_is_what_trying_every_address_gives(
            (first, last) in (0u8..60, 0u8..60).prop_filter("ordered", |(a, b)| a <= b),
            blocks in prop::collection::vec((0u8..70, 0u8..8), 0..8),
            count in 1u32..10,
        ) {
            let pool = range(first, last);
            let occupied: Vec<_> = blocks.iter().map(|(at, length)| range(*at, at + length)).collect();
            let free = |a: Ipv4Addr| pool.contains(a) && !occupied.iter().any(|block| block.contains(a));
            let expected = pool.addresses().find(|start| {
                (0..count).all(|i| free(Ipv4Addr::from_bits(start.to_bits() + i)))
            });
            match allocate(pool, &occupied, count) {
                Ok(found) => {
                    prop_assert_eq!(Some(found.first()), expected);
                    prop_assert_eq!(found.capacity(), u64::from(count));
                }
                Err(exhausted) => {
                    prop_assert_eq!(expected, None);
                    prop_assert_eq!(exhausted.free, pool.addresses().filter(|a| free(*a)).count() as u64);
                    prop_assert!(exhausted.largest.is_none_or(|run| run.capacity() < u64::from(count)));
                }
            }
        }
    }
}
