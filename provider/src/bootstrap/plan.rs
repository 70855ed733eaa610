//! From what should be and what is to the list of what is done. PURE.
//!
//! The same list is shown to a person first and carried out after. Whatever is not ours is never in it: roles that do not
//! begin with our name, users of other names, pools with other machines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::tenant::{Site, Tenant};
use super::wanted::{self, Grant, PREFIX, TOKEN};

/// The part of the access control that concerns us.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Roles with our prefix, and their privileges.
    pub(super) roles: BTreeMap<String, BTreeSet<String>>,
    pub(super) users: BTreeSet<String>,
    /// Users of tenants that have a token of our name.
    pub(super) tokens: BTreeSet<String>,
    pub(super) grants: BTreeSet<Grant>,
    /// Pools, and how many machines and storages each has.
    pub(super) pools: BTreeMap<String, usize>,
    pub(super) ledger: bool,
    /// Where the networks of the templates' own cards stand in the access list.
    pub(super) cards: BTreeSet<String>,
}

/// One change of the datacentre. Its `Display` is what the administrator reads beforehand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    CreateRole {
        role: String,
        privileges: BTreeSet<String>,
    },
    SetRole {
        role: String,
        privileges: BTreeSet<String>,
    },
    CreatePool {
        pool: String,
    },
    CreateUser {
        user: String,
    },
    Grant(Grant),
    CreateLedger {
        vmid: u32,
    },
    /// Last, because its secret is shown once: what it may do is complete by then.
    CreateToken {
        user: String,
    },
    Revoke(Grant),
    /// Its tokens go with it.
    DeleteUser {
        user: String,
    },
    DeletePool {
        pool: String,
    },
    DeleteRole {
        role: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |privileges: &BTreeSet<String>| {
            privileges.iter().cloned().collect::<Vec<_>>().join(" ")
        };
        match self {
            Self::CreateRole { role, privileges } => {
                write!(out, "create role {role}: {}", list(privileges))
            }
            Self::SetRole { role, privileges } => {
                write!(out, "set role {role} to: {}", list(privileges))
            }
            Self::CreatePool { pool } => write!(out, "create pool {pool}"),
            Self::CreateUser { user } => write!(out, "create user {user}, without a password"),
            Self::Grant(Grant { path, user, role, .. }) => {
                write!(out, "grant {role} on {path} to {user}")
            }
            Self::CreateLedger { vmid } => write!(
                out,
                "create the address ledger, a machine without a disk that never runs (VMID {vmid})"
            ),
            Self::CreateToken { user } => write!(out, "create token {user}!{TOKEN}"),
            Self::Revoke(Grant { path, user, role, .. }) => {
                write!(out, "revoke {role} on {path} from {user}")
            }
            Self::DeleteUser { user } => write!(out, "delete user {user} and its tokens"),
            Self::DeletePool { pool } => write!(out, "delete pool {pool}, which is empty"),
            Self::DeleteRole { role } => write!(out, "delete role {role}"),
        }
    }
}

/// Everything that is missing, or other than it should be, for these tenants.
pub(super) fn make(site: &Site, tenants: &[Tenant], seen: &Seen) -> Vec<Action> {
    let mut actions = Vec::new();
    for (role, privileges) in wanted::roles() {
        let privileges: BTreeSet<String> = privileges.into_iter().map(str::to_owned).collect();
        let role = role.to_owned();
        match seen.roles.get(&role) {
            None => actions.push(Action::CreateRole { role, privileges }),
            Some(held) if *held != privileges => actions.push(Action::SetRole { role, privileges }),
            Some(_) => {}
        }
    }
    // Before the grants on it, so that nobody else takes its number in between.
    if !seen.ledger {
        actions.push(Action::CreateLedger { vmid: site.ledger_vmid });
    }
    for tenant in tenants {
        let (pool, user) = (tenant.name.to_string(), tenant.user());
        if !seen.pools.contains_key(&pool) {
            actions.push(Action::CreatePool { pool });
        }
        if !seen.users.contains(&user) {
            actions.push(Action::CreateUser { user: user.clone() });
        }
        let wanted = wanted::grants(site, &seen.cards, tenant);
        let held = held_by(seen, &user);
        actions.extend(held.difference(&wanted).cloned().map(Action::Revoke));
        actions.extend(wanted.difference(&held).cloned().map(Action::Grant));
        if !seen.tokens.contains(&user) {
            actions.push(Action::CreateToken { user });
        }
    }
    actions
}

/// The way back for these tenants; the roles go when nobody else holds one. A pool with machines in it stays, and so does
/// the ledger, which the last address pool takes along.
pub(super) fn remove(tenants: &[Tenant], seen: &Seen) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut left = seen.grants.clone();
    for tenant in tenants {
        let (pool, user) = (tenant.name.to_string(), tenant.user());
        for grant in held_by(seen, &user) {
            left.remove(&grant);
            actions.push(Action::Revoke(grant));
        }
        if seen.users.contains(&user) {
            actions.push(Action::DeleteUser { user });
        }
        if seen.pools.get(&pool) == Some(&0) {
            actions.push(Action::DeletePool { pool });
        }
    }
    let unused = seen.roles.keys().filter(|role| !left.iter().any(|grant| grant.role == **role));
    actions.extend(unused.map(|role| Action::DeleteRole { role: role.clone() }));
    actions
}

/// A tenant's rows with roles of ours. What an administrator gave it beside them is the administrator's affair.
fn held_by(seen: &Seen, user: &str) -> BTreeSet<Grant> {
    let ours = |grant: &&Grant| grant.user == user && grant.role.starts_with(PREFIX);
    seen.grants.iter().filter(ours).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::tenant;

    fn site() -> Site {
        Site { templates: vec![9000], storages: vec!["shared".parse().unwrap()], ledger_vmid: 9990 }
    }

    fn tenants(text: &[&str]) -> Vec<Tenant> {
        text.iter().map(|tenant| tenant.parse().unwrap()).collect()
    }

    /// What a datacentre looks like after these actions.
    fn done(mut seen: Seen, actions: &[Action]) -> Seen {
        for action in actions.iter().cloned() {
            match action {
                Action::CreateRole { role, privileges } | Action::SetRole { role, privileges } => {
                    seen.roles.insert(role, privileges);
                }
                Action::CreatePool { pool } => drop(seen.pools.insert(pool, 0)),
                Action::CreateUser { user } => drop(seen.users.insert(user)),
                Action::Grant(grant) => drop(seen.grants.insert(grant)),
                Action::CreateLedger { .. } => seen.ledger = true,
                Action::CreateToken { user } => drop(seen.tokens.insert(user)),
                Action::Revoke(grant) => drop(seen.grants.remove(&grant)),
                Action::DeleteUser { user } => {
                    seen.users.remove(&user);
                    seen.tokens.remove(&user);
                }
                Action::DeletePool { pool } => drop(seen.pools.remove(&pool)),
                Action::DeleteRole { role } => drop(seen.roles.remove(&role)),
            }
        }
        seen
    }

    #[test]
    fn what_an_administrator_reads_beforehand() {
        let card = tenant::path("vmbr0", None);
        let seen = Seen { cards: [card].into(), ..Seen::default() };
        let actions = make(&site(), &tenants(&["net1=vmbr0/119"]), &seen);
        let text: Vec<_> = actions.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        create role KubesmithLedger: VM.Audit VM.Config.Network
        create role KubesmithMachines: VM.Allocate VM.Audit VM.Config.CPU VM.Config.Disk VM.Config.Memory VM.Config.Network VM.Config.Options VM.PowerMgmt
        create role KubesmithNetwork: SDN.Use
        create role KubesmithNodes: Sys.Audit
        create role KubesmithStorage: Datastore.AllocateSpace
        create role KubesmithTemplates: VM.Audit VM.Clone
        create the address ledger, a machine without a disk that never runs (VMID 9990)
        create pool net1
        create user kubesmith-net1@pve, without a password
        grant KubesmithNodes on /nodes to kubesmith-net1@pve
        grant KubesmithMachines on /pool/net1 to kubesmith-net1@pve
        grant KubesmithNetwork on /sdn/zones/localnetwork/vmbr0 to kubesmith-net1@pve
        grant KubesmithNetwork on /sdn/zones/localnetwork/vmbr0/119 to kubesmith-net1@pve
        grant KubesmithStorage on /storage/shared to kubesmith-net1@pve
        grant KubesmithTemplates on /vms/9000 to kubesmith-net1@pve
        grant KubesmithLedger on /vms/9990 to kubesmith-net1@pve
        create token kubesmith-net1@pve!terraform
        ");
    }

    #[test]
    fn a_second_run_does_nothing_and_the_way_back_leaves_nothing() {
        let two = tenants(&["net1=vmbr0/119", "net2=vmbr0/120"]);
        let made = done(Seen::default(), &make(&site(), &two, &Seen::default()));
        assert_eq!(make(&site(), &two, &made), []);

        let one_left = done(made.clone(), &remove(&two[..1], &made));
        assert_eq!(make(&site(), &two[1..], &one_left), [], "the other tenant lost something");
        assert!(!one_left.users.contains("kubesmith-net1@pve"));

        let nothing = done(one_left.clone(), &remove(&two[1..], &one_left));
        assert!(nothing.roles.is_empty() && nothing.users.is_empty() && nothing.pools.is_empty());
        assert!(nothing.grants.is_empty() && nothing.ledger, "only the ledger stays");
    }

    #[test]
    fn a_run_that_was_stopped_anywhere_is_finished_by_the_next() {
        let tenants = tenants(&["net1=vmbr0/119"]);
        let all = make(&site(), &tenants, &Seen::default());
        let end = done(Seen::default(), &all);
        for stopped in 0..all.len() {
            let half = done(Seen::default(), &all[..stopped]);
            let rest = make(&site(), &tenants, &half);
            assert_eq!(rest, all[stopped..], "after {stopped} steps");
            assert_eq!(make(&site(), &tenants, &done(half, &rest)), []);
        }
        assert_eq!(make(&site(), &tenants, &end), []);
    }

    #[test]
    fn rights_that_are_too_many_are_taken_and_others_grants_are_left() {
        let tenants = tenants(&["net1=vmbr0/119"]);
        let mut seen = done(Seen::default(), &make(&site(), &tenants, &Seen::default()));
        let user = tenants[0].user();
        let grant = |path: &str, role: &str, user: &str| Grant {
            path: path.into(),
            role: role.into(),
            user: user.into(),
            propagates: true,
        };
        let (ours, theirs) =
            (grant("/vms/9001", "KubesmithTemplates", &user), grant("/", "PVEAuditor", &user));
        seen.grants.extend([ours.clone(), theirs.clone(), grant("/", "KubesmithNodes", "ada@pam")]);
        seen.roles.get_mut("KubesmithNodes").unwrap().insert("Sys.Modify".into());
        let actions = make(&site(), &tenants, &seen);
        assert_eq!(actions.len(), 2, "{actions:?}");
        assert!(matches!(&actions[0], Action::SetRole { role, .. } if role == "KubesmithNodes"));
        assert_eq!(actions[1], Action::Revoke(ours));
    }

    #[test]
    fn a_pool_with_machines_stays() {
        let tenants = tenants(&["net1=vmbr0/119"]);
        let mut seen = done(Seen::default(), &make(&site(), &tenants, &Seen::default()));
        seen.pools.insert("net1".into(), 3);
        let actions = remove(&tenants, &seen);
        assert!(
            !actions.iter().any(|action| matches!(action, Action::DeletePool { .. })),
            "{actions:?}"
        );
    }

    #[test]
    fn a_right_that_reaches_too_far_is_taken_and_given_anew_and_its_role_is_in_use_meanwhile() {
        let tenants = tenants(&["net1=vmbr0/119"]);
        let mut seen = done(Seen::default(), &make(&site(), &tenants, &Seen::default()));
        let narrow = seen.grants.iter().find(|grant| !grant.propagates).unwrap().clone();
        let wide = Grant { propagates: true, ..narrow.clone() };
        seen.grants.remove(&narrow);
        seen.grants.insert(wide.clone());
        let mend = [Action::Revoke(wide.clone()), Action::Grant(narrow)];
        assert_eq!(make(&site(), &tenants, &seen), mend);
        seen.grants = [Grant { user: "ada@pam".into(), ..wide.clone() }].into();
        let kept = Action::DeleteRole { role: wide.role };
        assert!(!remove(&tenants, &seen).contains(&kept), "somebody holds it");
    }
}
