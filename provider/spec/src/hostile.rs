//! Texts that somebody else wrote, and what must hold whatever they say. The seeds are tested here,
//! the rest is found by fuzzing (`tests/fuzz`).

use crate::{AddressRange, Cidr, ClusterSpec, KubernetesVersion, NodeName, events::Event};

/// A line of the event stream.
pub fn event(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Event>(bytes) else { return };
    let line = serde_json::to_string(&event).expect("an event has only string keys");
    assert!(!line.contains('\n'), "{line}");
    assert_eq!(serde_json::from_str::<Event>(&line).expect("what was written is read"), event);
}

/// A network, a range, a name, a version, or a whole cluster.
pub fn addresses(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(cidr) = Cidr::parse(text) {
        assert_eq!(cidr.to_string(), text);
        assert!(cidr.contains(cidr.network()) && cidr.overlaps(cidr));
    }
    let mut words = text.split_whitespace();
    if let (Some(Ok(first)), Some(Ok(count))) =
        (words.next().map(str::parse), words.next().map(str::parse::<u32>))
        && let Some(range) = AddressRange::starting_at(first, count)
    {
        assert_eq!(range.capacity(), u64::from(count));
        assert_eq!(range.offset(range.last()), Some(count - 1));
        assert_eq!(range.nth(count - 1), Some(range.last()));
        assert_eq!(range.nth(count), None);
    }
    if let Ok(version) = KubernetesVersion::parse(text) {
        assert_eq!(version.to_string(), text);
    }
    if let Ok(name) = NodeName::parse(text) {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(spec) = serde_json::from_str::<ClusterSpec>(text) {
        let enough = spec.problems().is_empty();
        let machines = spec.machines();
        assert!(machines.len() as u64 <= spec.machine_count());
        assert!(!enough || machines.len() as u64 == spec.machine_count());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_are_harmless() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds");
        for (kind, check) in
            [("events", super::event as fn(&[u8])), ("addresses", super::addresses)]
        {
            let mut count = 0;
            for seed in std::fs::read_dir(format!("{seeds}/{kind}")).unwrap() {
                check(&std::fs::read(seed.unwrap().path()).unwrap());
                count += 1;
            }
            assert!(count > 3, "the seeds of {kind} are missing");
        }
    }
}
