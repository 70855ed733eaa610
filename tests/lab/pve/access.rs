//! Who may do what: users, tokens, roles and the access control list.
//!
//! Rights on a path are the roles granted nearest to it; a grant further down replaces those from above. A token with
//! privilege separation has what both it and its user have. Members of a pool inherit the pool's rights.

mod who;

use std::collections::{BTreeMap, BTreeSet};

use super::Version;
use super::api::Refusal;
use super::roles;
use super::state::State;

pub(crate) use self::who::{Group, Principal, Ticket, Token, User};

/// One entry of the access control list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grant {
    pub(crate) path: String,
    /// A user, a token, or a group with an `@` before it.
    pub(crate) to: String,
    pub(crate) role: String,
}

/// Users, roles and grants.
#[derive(Debug, Default)]
pub(crate) struct Access {
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) tickets: BTreeMap<String, Ticket>,
    pub(crate) roles: BTreeMap<String, BTreeSet<String>>,
    /// Each grant, and whether it propagates.
    pub(crate) grants: BTreeMap<Grant, bool>,
    pub(crate) version: Version,
}

/// Privileges, and whether each propagates to paths below.
pub(crate) type Privileges = BTreeMap<String, bool>;

impl Access {
    /// The privileges of a role.
    pub(crate) fn role(&self, name: &str) -> Option<BTreeSet<String>> {
        self.roles.get(name).cloned().or_else(|| roles::built_in(name, self.version))
    }

    /// The roles that `id` (a user or a token) has on `path`, without pools. What is granted to a user itself counts
    /// before what its groups have.
    fn roles_on(&self, id: &str, path: &str) -> BTreeMap<String, bool> {
        let mut found = BTreeMap::new();
        for prefix in prefixes(path) {
            let granted = |to: &dyn Fn(&str) -> bool| -> BTreeMap<String, bool> {
                let here = self.grants.iter().filter(|(grant, propagates)| {
                    grant.path == prefix && (**propagates || prefix == path) && to(&grant.to)
                });
                here.map(|(grant, propagates)| (grant.role.clone(), *propagates)).collect()
            };
            let mut here = granted(&|to| to == id);
            if here.is_empty() {
                let is_in =
                    |group: &str| self.groups.get(group).is_some_and(|it| it.members.contains(id));
                here = granted(&|to| to.strip_prefix('@').is_some_and(&is_in));
            }
            if !here.is_empty() {
                found = here;
            }
        }
        if found.contains_key("NoAccess") {
            found.retain(|role, _| role == "NoAccess");
        }
        found
    }

    fn token(&self, who: &Principal) -> Option<&Token> {
        self.users.get(&who.user)?.tokens.get(who.token.as_ref()?)
    }

    /// What `id` may do on `path`, given the pool that the path's object is in.
    fn privileges_of(&self, id: &str, path: &str, pool: Option<&str>) -> Privileges {
        let mut roles = if id == "root@pam" {
            BTreeMap::from([("Administrator".to_owned(), true)])
        } else {
            self.roles_on(id, path)
        };
        if !roles.contains_key("NoAccess")
            && let Some(pool) = pool
        {
            // A pool's rights hold for its members and no further: they never propagate.
            let of_pool = self.roles_on(id, &format!("/pool/{pool}"));
            if of_pool.contains_key("NoAccess") {
                roles.clear();
            }
            for role in of_pool.into_keys() {
                roles.entry(role).or_insert(false);
            }
        }
        let mut privileges = Privileges::new();
        for (role, propagates) in roles {
            for privilege in self.role(&role).unwrap_or_default() {
                let entry = privileges.entry(privilege).or_insert(propagates);
                *entry = *entry || propagates;
            }
        }
        privileges
    }
}

/// `/`, `/vms`, `/vms/100` for `/vms/100`.
fn prefixes(path: &str) -> Vec<&str> {
    let mut prefixes = vec!["/"];
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
    prefixes.extend(ends.map(|end| &path[..end]).filter(|prefix| prefix.len() > 1));
    prefixes
}

impl State {
    /// What somebody may do on `path`.
    pub(crate) fn privileges(&self, who: &Principal, path: &str) -> Privileges {
        let pool = if let Some(vmid) = path.strip_prefix("/vms/") {
            vmid.parse().ok().and_then(|vmid| self.pool_of(vmid))
        } else if let Some(storage) = path.strip_prefix("/storage/") {
            self.pools
                .iter()
                .find(|(_, pool)| pool.storages.contains(storage))
                .map(|(name, _)| name.as_str())
        } else {
            None
        };
        let of_user = self.access.privileges_of(&who.user, path, pool);
        match self.access.token(who) {
            Some(token) if token.separated => {
                let mut both = self.access.privileges_of(&who.id(), path, pool);
                both.retain(|privilege, _| of_user.contains_key(privilege));
                // A token of root@pam has what it was granted; everybody else's propagates only if both do.
                for (privilege, spreads) in &mut both {
                    *spreads = *spreads && of_user.get(privilege).is_some_and(|spreads| *spreads);
                }
                both
            }
            _ => of_user,
        }
    }

    /// Whether somebody has any one of `privileges` on `path`.
    pub(crate) fn may_any(&self, who: &Principal, path: &str, privileges: &[&str]) -> bool {
        let held = self.privileges(who, path);
        privileges.iter().any(|privilege| held.contains_key(*privilege))
    }

    /// Whether somebody has `privilege` on `path`.
    pub(crate) fn may(&self, who: &Principal, path: &str, privilege: &str) -> bool {
        self.may_any(who, path, &[privilege])
    }

    /// Refuses, naming path and privilege, unless `may`.
    pub(crate) fn require(
        &self,
        who: &Principal,
        path: &str,
        privilege: &str,
    ) -> Result<(), Refusal> {
        self.require_any(who, path, &[privilege])
    }

    /// Refuses unless `may_any`, naming all that would do.
    pub(crate) fn require_any(
        &self,
        who: &Principal,
        path: &str,
        privileges: &[&str],
    ) -> Result<(), Refusal> {
        if self.may_any(who, path, privileges) {
            Ok(())
        } else {
            Err(Refusal::forbidden(&format!("{path}, {}", privileges.join("|"))))
        }
    }

    /// Refuses unless somebody may grant rights on `path`. A path that cannot be is refused for what it is, later.
    pub(crate) fn require_modify(&self, who: &Principal, path: &str) -> Result<(), Refusal> {
        let Some(path) = super::grants::normalized(path) else { return Ok(()) };
        let (area, below) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let owner = match area {
            _ if below.is_empty() => None,
            "storage" => Some("Datastore.Allocate"),
            "vms" => Some("VM.Allocate"),
            "pool" => Some("Pool.Allocate"),
            _ => None,
        };
        let privileges: Vec<_> = ["Permissions.Modify"].into_iter().chain(owner).collect();
        self.require_any(who, &path, &privileges)
    }

    /// A right on a machine that may come from the pool it is about to join.
    pub(crate) fn require_vm_any(
        &self,
        who: &Principal,
        vmid: u32,
        pool: Option<&str>,
        privileges: &[&str],
    ) -> Result<(), Refusal> {
        if pool.is_some_and(|pool| self.may_any(who, &format!("/pool/{pool}"), privileges)) {
            return Ok(());
        }
        self.require_any(who, &format!("/vms/{vmid}"), privileges)
    }

    /// Every path on which somebody has rights, with them.
    pub(crate) fn effective_permissions(&self, who: &Principal) -> BTreeMap<String, Privileges> {
        let fixed =
            ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"];
        let mut paths: BTreeSet<String> = fixed.map(str::to_owned).into();
        paths.extend(self.access.grants.keys().map(|grant| grant.path.clone()));
        for pool in self.pools.values() {
            paths.extend(pool.vms.iter().map(|vmid| format!("/vms/{vmid}")));
            paths.extend(pool.storages.iter().map(|storage| format!("/storage/{storage}")));
        }
        let permissions = paths.into_iter().map(|path| (self.privileges(who, &path), path));
        permissions.filter(|(held, _)| !held.is_empty()).map(|(held, path)| (path, held)).collect()
    }
}

#[cfg(test)]
mod tests;
