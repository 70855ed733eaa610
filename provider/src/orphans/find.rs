//! PURE: which machines and leases no given state knows, and which of them `--remove` must leave alone.

use std::net::Ipv4Addr;

use kubesmith_spec::{ClusterName, OwnerName, PoolName};

use super::known::Known;
use crate::ledger::pool::Pool;
use crate::ledger::rows::Claim;
use crate::stamp::Stamp;

/// What there is in the datacentre.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) machines: Vec<Machine>,
    /// The pools, each with its leases.
    pub(super) pools: Vec<(Pool, Vec<Claim>)>,
}

/// A machine with a stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) vmid: u32,
    /// The Proxmox node it lies on.
    pub(super) host: String,
    pub(super) stamp: Stamp,
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) owner: OwnerName,
    /// Only this cluster.
    pub(super) cluster: Option<ClusterName>,
    /// What the states know; without any state only things of the owner are of interest.
    pub(super) known: Option<Known>,
}

/// What no state knows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Orphans {
    pub(super) machines: Vec<OrphanMachine>,
    pub(super) leases: Vec<OrphanLease>,
}

/// A machine that no state knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OrphanMachine {
    pub(super) machine: Machine,
    /// The address that its VMID stands for.
    pub(super) address: Option<Ipv4Addr>,
    pub(super) stays: Option<Stays>,
}

/// A lease that no state knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OrphanLease {
    pub(super) pool: Pool,
    pub(super) claim: Claim,
    pub(super) stays: Option<Stays>,
}

/// Why something is only listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stays {
    /// Whoever runs this may not speak for another owner.
    OtherOwner,
    /// The ledger has no such pool, so the stamp has nothing to agree with.
    NoPool,
    /// Its VMID is not one of its lease: a copy that somebody has made, stamp and all.
    Copy,
    /// One cluster was asked for; its lease may serve others.
    OneCluster,
}

/// The answer.
pub(super) fn orphans(survey: &Survey, question: &Question) -> Orphans {
    let machines: Vec<_> = survey
        .machines
        .iter()
        .filter(|machine| question.is_about_owner(&machine.stamp.owner))
        .filter(|machine| {
            question.cluster.as_ref().is_none_or(|only| *only == machine.stamp.cluster)
        })
        .filter(|machine| {
            question.known.as_ref().is_none_or(|known| !known.has_machine(&machine.stamp))
        })
        .map(|machine| judge(survey, question, machine))
        .collect();

    let mut leases = Vec::new();
    for (pool, claims) in &survey.pools {
        let unknown = claims
            .iter()
            .filter(|claim| question.is_about_owner(&claim.owner))
            .filter(|claim| {
                question.known.as_ref().is_none_or(|known| !known.has_lease(&pool.name, claim))
            })
            // A lease does not say whose cluster it is for; its machines do.
            .filter(|claim| {
                question.cluster.is_none()
                    || machines
                        .iter()
                        .any(|orphan| stands_on(&orphan.machine.stamp, &pool.name, claim))
            });
        leases.extend(unknown.map(|claim| OrphanLease {
            pool: pool.clone(),
            claim: claim.clone(),
            stays: if claim.owner == question.owner {
                question.cluster.is_some().then_some(Stays::OneCluster)
            } else {
                Some(Stays::OtherOwner)
            },
        }));
    }
    Orphans { machines, leases }
}

fn judge(survey: &Survey, question: &Question, machine: &Machine) -> OrphanMachine {
    let stamp = &machine.stamp;
    let pool = survey.pools.iter().find(|(pool, _)| pool.name == stamp.pool);
    let address = pool.and_then(|(pool, claims)| {
        let address = pool.address(machine.vmid)?;
        let lease = claims.iter().find(|claim| stands_on(stamp, &pool.name, claim));
        lease.is_none_or(|claim| claim.range.contains(address)).then_some(address)
    });
    let stays = if stamp.owner != question.owner {
        Some(Stays::OtherOwner)
    } else if pool.is_none() {
        Some(Stays::NoPool)
    } else {
        address.is_none().then_some(Stays::Copy)
    };
    OrphanMachine { machine: machine.clone(), address, stays }
}

fn stands_on(stamp: &Stamp, pool: &PoolName, claim: &Claim) -> bool {
    stamp.pool == *pool && stamp.lease == claim.lease && stamp.transaction == claim.transaction
}

impl Question {
    fn is_about_owner(&self, owner: &OwnerName) -> bool {
        self.known.is_some() || *owner == self.owner
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use kubesmith_spec::{AddressRange, Transaction};

    pub(in crate::orphans) fn claim(owner: &str) -> Claim {
        let range = AddressRange::starting_at(Ipv4Addr::new(10, 40, 19, 201), 6).unwrap();
        Claim {
            lease: "demo".parse().unwrap(),
            owner: owner.parse().unwrap(),
            transaction: Transaction::from_bits(0xff),
            range,
            time: 1_795_350_926,
            held: range.addresses().collect(),
        }
    }

    pub(in crate::orphans) fn machine(vmid: u32, change: (&str, &str)) -> Machine {
        let line = "kubesmith:v1 cluster=demo node=demo-cp-1 role=control-plane owner=me lease=lab/demo \
                    x=00000000000000ff nonce=0badcafe made=1";
        let stamp = Stamp::parse(&line.replace(change.0, change.1)).unwrap();
        Machine { vmid, host: "pve1".to_owned(), stamp }
    }

    pub(in crate::orphans) fn survey(machines: Vec<Machine>, claims: Vec<Claim>) -> Survey {
        Survey { machines, pools: vec![(crate::ledger::pool::tests::lab(), claims)] }
    }

    pub(in crate::orphans) fn question(cluster: Option<&str>, with_state: bool) -> Question {
        Question {
            owner: "me".parse().unwrap(),
            cluster: cluster.map(|name| name.parse().unwrap()),
            known: with_state.then(Known::default),
        }
    }

    #[test]
    fn what_may_be_removed_is_of_the_owner_and_on_its_own_address() {
        let same = ("", "");
        for (case, vmid, change, expected) in [
            ("on its address", 19201, same, None),
            ("unfinished", 19206, ("made=1", "made=0"), None),
            ("its lease is gone", 19220, ("x=00000000000000ff", "x=0000000000000001"), None),
            ("of another owner", 19201, ("owner=me", "owner=you"), Some(Stays::OtherOwner)),
            ("outside its lease", 19207, same, Some(Stays::Copy)),
            ("before the pool", 19200, same, Some(Stays::Copy)),
            ("after the pool", 19251, same, Some(Stays::Copy)),
            (
                "of a pool that is not there",
                19201,
                ("lease=lab/", "lease=old/"),
                Some(Stays::NoPool),
            ),
        ] {
            let survey = survey(vec![machine(vmid, change)], vec![claim("me")]);
            let found = orphans(&survey, &question(None, true));
            assert_eq!(found.machines[0].stays, expected, "{case}");
            let has_address = matches!(expected, None | Some(Stays::OtherOwner));
            assert_eq!(found.machines[0].address.is_some(), has_address, "{case}");
        }
    }

    #[test]
    fn without_a_state_only_the_owner_s_own_things_are_listed() {
        let machines = || vec![machine(19201, ("", "")), machine(19230, ("owner=me", "owner=you"))];
        let survey = || survey(machines(), vec![claim("me"), claim("you")]);
        let count = |cluster, with_state| {
            let found = orphans(&survey(), &question(cluster, with_state));
            (found.machines.len(), found.leases.len())
        };
        assert_eq!(count(None, false), (1, 1));
        assert_eq!(count(None, true), (2, 2));
        assert_eq!(count(Some("other"), true), (0, 0));
    }

    #[test]
    fn a_lease_goes_with_the_owner_but_not_with_one_cluster() {
        let survey = survey(vec![machine(19201, ("", ""))], vec![claim("me"), claim("you")]);
        let stays = |cluster| -> Vec<_> {
            let found = orphans(&survey, &question(cluster, true));
            found.leases.into_iter().map(|lease| lease.stays).collect()
        };
        assert_eq!(stays(None), [None, Some(Stays::OtherOwner)]);
        assert_eq!(stays(Some("demo")), [Some(Stays::OneCluster), Some(Stays::OtherOwner)]);
    }

    #[test]
    fn what_a_state_knows_is_no_orphan() {
        let state = r#"{"version":4,"lineage":"b0e7","resources":[{"mode":"managed","type":"kubesmith_cluster",
            "name":"demo","instances":[{"attributes":{"name":"demo","leases":[
            {"name":"demo","pool":"lab","transaction":"00000000000000ff"}]}}]}]}"#;
        let mut known = Known::default();
        known.add(state).unwrap();
        let question = Question { known: Some(known), ..question(None, true) };
        let survey = survey(vec![machine(19201, ("", ""))], vec![claim("me")]);
        assert_eq!(orphans(&survey, &question), Orphans::default());
    }
}
