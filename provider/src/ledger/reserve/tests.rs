//! Several allocators on one simulated set: every request is atomic, their order is up to chance,
//! replies get lost and processes die.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::ledger::pool::tests::lab;
use crate::ledger::rows::GRACE_SECONDS;

/// What the set does in Proxmox: create if absent, delete if unchanged.
#[derive(Default)]
struct Set {
    rows: BTreeMap<String, String>,
    vms: BTreeSet<Ipv4Addr>,
    now: u64,
    transactions: u64,
}

impl Set {
    fn read(&self) -> Rows {
        let entries = self.rows.iter().map(|(cidr, comment)| (cidr.as_str(), comment.as_str()));
        Rows::new(entries, Some(format!("{:?}", self.rows)))
    }

    fn transaction(&mut self) -> Transaction {
        self.transactions += 1;
        Transaction::from_bits(self.transactions)
    }

    /// Does what is asked. Of a write, the request or its reply may be lost.
    fn answer(&mut self, ask: Ask, loss: Loss) -> Answer {
        match ask {
            Ask::Read => Answer::Rows(self.read(), self.now),
            Ask::Probe(range) => {
                Answer::Taken(range.addresses().filter(|a| self.vms.contains(a)).collect())
            }
            Ask::Rest => Answer::Rested(self.transaction()),
            _ if loss == Loss::Request => Answer::Unsure,
            Ask::Create(row) => {
                let address = row.address().to_string();
                let absent = !self.rows.contains_key(&address);
                self.rows.entry(address).or_insert_with(|| row.to_string());
                if absent && loss == Loss::Nothing { Answer::Created } else { Answer::Unsure }
            }
            Ask::Delete { address, digest } => {
                if digest == self.read().digest {
                    self.rows.remove(&address.to_string());
                }
                Answer::Unsure
            }
        }
    }

    fn reserve(&mut self, lease: &str, owner: &str, count: u32) -> Result<Claim, Refused> {
        let mut process = self.process(lease, owner, count);
        loop {
            if let Some(result) = process.step(self, Loss::Nothing) {
                return result;
            }
        }
    }

    fn process(&mut self, lease: &str, owner: &str, count: u32) -> Process {
        let wanted = Wanted { lease: lease.parse().unwrap(), owner: owner.parse().unwrap(), count };
        let transaction = self.transaction();
        Process {
            reservation: Reservation::new(lab(), wanted, transaction),
            ask: None,
            result: None,
        }
    }

    /// All leases in the set, as "lease first count" with "..." for an incomplete one.
    fn leases(&self) -> Vec<String> {
        let claims = self.read().claims();
        claims
            .iter()
            .map(|c| {
                format!("{} {} {}/{}", c.lease, c.range.first(), c.held.len(), c.range.capacity())
            })
            .collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Loss {
    Nothing,
    Request,
    Reply,
}

struct Process {
    reservation: Reservation,
    ask: Option<Ask>,
    result: Option<Result<Claim, Refused>>,
}

impl Process {
    /// One request and its answer.
    fn step(&mut self, set: &mut Set, loss: Loss) -> Option<Result<Claim, Refused>> {
        let answer = self.ask.take().map_or(Answer::Begin, |ask| set.answer(ask, loss));
        match self.reservation.next(answer) {
            Next::Ask(ask) => self.ask = Some(ask),
            Next::Done(result) => self.result = Some(result),
        }
        self.result.clone()
    }
}

#[test]
fn leases_follow_each_other_and_respect_people_and_machines() {
    let mut set = Set::default();
    set.rows.insert("10.40.19.203".into(), "the printer".into());
    set.rows.insert("10.40.19.212/30".into(), String::new());
    set.vms.insert(Ipv4Addr::new(10, 40, 19, 206));
    for (lease, count) in [("a", 2), ("b", 3), ("c", 2), ("d", 4)] {
        set.reserve(lease, "x", count).unwrap();
    }
    insta::assert_debug_snapshot!(set.leases(), @r#"
    [
        "a 10.40.19.201 2/2",
        "c 10.40.19.204 2/2",
        "b 10.40.19.207 3/3",
        "d 10.40.19.216 4/4",
    ]
    "#);
}

#[test]
fn a_lease_that_a_killed_run_has_left_is_taken_up_by_its_owner_only() {
    let mut set = Set::default();
    let made = set.reserve("demo", "me", 3).unwrap();
    assert_eq!(set.reserve("demo", "me", 3), Ok(made.clone()));
    let error = set.reserve("demo", "you", 3).unwrap_err();
    assert_eq!(error.to_string(), "the name demo is in use in this pool by owner me");
    let error = set.reserve("demo", "me", 4).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the lease exists already with 3 addresses (10.40.19.201-10.40.19.203)"
    );

    set.rows.remove("10.40.19.202");
    assert_eq!(set.reserve("demo", "me", 3), Ok(made));
    assert_eq!(set.leases(), ["demo 10.40.19.201 3/3"]);
}

#[test]
fn an_incomplete_lease_is_swept_away_only_if_it_is_old_in_the_way_and_empty() {
    let mut set = Set::default();
    set.reserve("dead", "me", 6).unwrap();
    set.reserve("middle", "you", 9).unwrap();
    set.reserve("end", "you", 28).unwrap();
    set.rows.remove("10.40.19.206");
    let dead_and = |set: &Set| set.leases().into_iter().take(2).collect::<Vec<_>>();

    assert!(matches!(set.reserve("new", "you", 5), Err(Refused::Exhausted(_))), "it is young");
    set.now = GRACE_SECONDS + 1;
    set.reserve("small", "you", 3).unwrap();
    assert_eq!(
        dead_and(&set),
        ["dead 10.40.19.201 5/6", "small 10.40.19.206 3/3"],
        "not in the way"
    );

    set.vms.insert(Ipv4Addr::new(10, 40, 19, 204));
    assert!(
        matches!(set.reserve("new", "you", 5), Err(Refused::Exhausted(_))),
        "a machine is there"
    );
    let range = AddressRange::starting_at(Ipv4Addr::new(10, 40, 19, 201), 6).unwrap();
    assert_eq!(set.reserve("dead", "me", 2), Err(Refused::Inhabited { range }));

    set.vms.clear();
    set.reserve("new", "you", 5).unwrap();
    assert_eq!(dead_and(&set), ["new 10.40.19.201 5/5", "small 10.40.19.206 3/3"]);
}

#[test]
fn whoever_is_beaten_again_and_again_gives_up() {
    let mut set = Set::default();
    let lease = set.reserve("live", "me", 2).unwrap();
    set.rows.remove("10.40.19.202");
    let reservation = Reservation::repair(lab(), lease);
    let mut process = Process { reservation, ask: Some(Ask::Read), result: None };
    let refused = loop {
        if let Some(result) = process.step(&mut set, Loss::Request) {
            break result.unwrap_err();
        }
    };
    assert_eq!(refused.to_string(), "other allocations kept taking the same addresses");
}

#[test]
fn a_lease_with_a_hole_is_in_use_and_is_mended_exactly_there() {
    let mut set = Set::default();
    let lease = set.reserve("live", "me", 4).unwrap();
    set.rows.remove("10.40.19.201");
    set.rows.remove("10.40.19.203");
    set.now = 10 * GRACE_SECONDS;
    assert_eq!(
        set.reserve("other", "you", 2).unwrap().range.first(),
        Ipv4Addr::new(10, 40, 19, 205)
    );

    let mend = |set: &mut Set| {
        let reservation = Reservation::repair(lab(), lease.clone());
        let mut process = Process { reservation, ask: Some(Ask::Read), result: None };
        loop {
            if let Some(result) = process.step(set, Loss::Nothing) {
                return result;
            }
        }
    };
    assert_eq!(mend(&mut set), Ok(lease.clone()));
    set.rows.insert("10.40.19.203".into(), "the printer".into());
    let error = mend(&mut set).unwrap_err();
    assert_eq!(
        error.to_string(),
        "10.40.19.203 is held by an entry for 10.40.19.203 (\"the printer\")"
    );
}

#[test]
fn two_owners_who_want_one_name_at_once_end_with_one_lease() {
    let mut set = Set::default();
    let mut both = [set.process("demo", "me", 2), set.process("demo", "you", 2)];
    while both.iter().any(|process| process.result.is_none()) {
        for process in both.iter_mut().filter(|process| process.result.is_none()) {
            process.step(&mut set, Loss::Nothing);
        }
        // In lockstep they would yield to each other for ever: that is what the random rest is for.
        if both[1].result.is_none() {
            both[1].step(&mut set, Loss::Nothing);
        }
    }
    let won = both.iter().filter(|process| matches!(process.result, Some(Ok(_)))).count();
    assert_eq!((won, set.leases().len()), (1, 1), "{:?}", set.leases());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Eight allocators in any order, with lost requests and replies, and some killed on the way.
    #[test]
    fn no_address_is_ever_given_twice_and_none_is_lost(
        counts in prop::collection::vec(1u32..7, 8),
        deaths in prop::collection::vec(prop::option::weighted(0.2, 0usize..12), 8),
        order in prop::collection::vec((0usize..8, 0u8..20), 200..1200),
    ) {
        let mut set = Set::default();
        set.rows.insert("10.40.19.204".into(), "the printer".into());
        let mut processes: Vec<_> =
            (0..8).map(|i| set.process(&format!("l{i}"), &format!("o{i}"), counts[i])).collect();
        let mut steps = [0usize; 8];
        let alive = |i: usize, steps: &[usize; 8]| deaths[i].is_none_or(|death| steps[i] < death);

        let fair = (0..4000).map(|step| (step % 8, 19));
        for (i, chance) in order.into_iter().chain(fair) {
            if processes[i].result.is_some() || !alive(i, &steps) {
                continue;
            }
            let loss = match chance { 0 => Loss::Request, 1 => Loss::Reply, _ => Loss::Nothing };
            processes[i].step(&mut set, loss);
            steps[i] += 1;
        }

        let mut given = BTreeSet::new();
        for (i, process) in processes.iter().enumerate().filter(|(i, _)| alive(*i, &steps)) {
            let lease = match &process.result {
                Some(Ok(lease)) => lease,
                Some(Err(Refused::Exhausted(_))) => continue,
                other => return Err(TestCaseError::fail(format!("{i}: {other:?}"))),
            };
            prop_assert!(set.read().claim(&lease.transaction).unwrap().is_complete());
            for address in lease.range.addresses() {
                prop_assert!(given.insert(address), "{} twice", address);
                prop_assert!(!lab().reserved().iter().any(|range| range.contains(address)));
            }
        }
        prop_assert_eq!(&set.rows["10.40.19.204"], "the printer");

        // Later, somebody who needs it gets the room of the dead.
        set.now = GRACE_SECONDS + 1;
        match set.reserve("last", "late", 20) {
            Ok(lease) => prop_assert!(lease.range.addresses().all(|a| !given.contains(&a))),
            Err(refused) => prop_assert!(matches!(refused, Refused::Exhausted(_)), "{}", refused),
        }
    }

    #[test]
    fn a_release_removes_its_own_rows_from_the_top_and_nothing_else(counts in prop::collection::vec(1u32..5, 3)) {
        let mut set = Set::default();
        let leases: Vec<_> =
            counts.iter().enumerate().map(|(i, n)| set.reserve(&format!("l{i}"), "me", *n).unwrap()).collect();
        let mut removed = Vec::new();
        while let Some(address) = next_release(&set.read(), &leases[1].lease, &leases[1].owner, &leases[1].transaction) {
            set.rows.remove(&address.to_string());
            removed.push(address);
        }
        let mut expected: Vec<_> = leases[1].range.addresses().collect();
        expected.reverse();
        prop_assert_eq!(removed, expected);
        prop_assert_eq!(set.read().claims().len(), 2);
    }
}
