//! Whoever holds a token of the ledger can write anything into it. What we make of that, held
//! for any text: the seeds are tested here, the rest is found by fuzzing (`tests/fuzz`).

use super::pool::Pool;
use super::row::Row;
use super::rows::Rows;
use crate::ip_lease::allocate::allocate;

/// More addresses than this are never listed, whatever a comment says.
const LONGEST_LIST: usize = 1000;

/// Reads a whole set: the first line is its comment, each other one an entry and its comment.
pub(crate) fn texts(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut lines = text.lines();
    let comment = lines.next().unwrap_or_default();
    let entries: Vec<_> = lines.filter_map(|line| line.split_once(' ')).collect();
    let rows = Rows::new(entries.iter().copied(), None);
    for (address, comment) in &entries {
        let Ok(address) = address.parse() else { continue };
        let Some(row) = Row::parse(address, comment) else { continue };
        assert_eq!(row.address(), address);
        assert_eq!(Row::parse(address, &row.to_string()).as_ref(), Some(&row));
    }
    for claim in rows.claims() {
        assert!(claim.held.iter().all(|address| claim.range.contains(*address)));
        let missing = claim.missing();
        assert!(missing.len() <= LONGEST_LIST, "{} addresses", missing.len());
        assert_eq!(claim.is_complete(), missing.is_empty());
        assert_eq!(rows.claim(&claim.transaction).is_some(), !claim.held.is_empty());
        let _ = claim.is_abandoned(claim.time.saturating_add(1));
    }
    let _ = rows.describe();

    let name = "lab".parse().expect("a name");
    let Some(pool) = Pool::parse(name, comment) else { return };
    assert_eq!(Pool::parse(pool.name.clone(), &pool.comment()).as_ref(), Some(&pool));
    let sound = pool.problems().is_empty();
    assert!(!sound || pool.vmid(pool.range.last()).is_some());
    let mut occupied = rows.occupied(u64::MAX);
    occupied.extend(pool.reserved());
    if let Ok(found) = allocate(pool.range, &occupied, 6) {
        assert!(pool.range.contains_range(found) && found.capacity() == 6);
        assert!(occupied.iter().all(|block| !block.overlaps(found)));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_are_harmless() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/seeds/addresses");
        let mut count = 0;
        for seed in std::fs::read_dir(seeds).unwrap() {
            super::texts(&std::fs::read(seed.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 3, "the seeds are missing");
    }
}
