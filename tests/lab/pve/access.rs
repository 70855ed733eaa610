//! Who may do what: users, tokens, roles and the access control list.
//!
//! Rights on a path are the roles granted nearest to it; a grant further down replaces those from above. A token with
//! privilege separation has what both it and its user have. Members of a pool inherit the pool's rights.

use std::collections::{BTreeMap, BTreeSet};

use super::Version;
use super::api::Refusal;
use super::roles;
use super::state::State;

/// Who asks: `user@realm`, with the token's name if it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) user: String,
    pub(crate) token: Option<String>,
}

impl Principal {
    /// As it stands in UPIDs and ACLs.
    pub(crate) fn id(&self) -> String {
        self.token
            .as_ref()
            .map_or_else(|| self.user.clone(), |token| format!("{}!{token}", self.user))
    }

    /// Reads `user@realm!token` or `user@realm`.
    pub(crate) fn parse(id: &str) -> Self {
        match id.split_once('!') {
            Some((user, token)) => Self { user: user.to_owned(), token: Some(token.to_owned()) },
            None => Self { user: id.to_owned(), token: None },
        }
    }

    /// No token is ever root: some options are for the user root@pam itself.
    pub(crate) fn is_root(&self) -> bool {
        self.user == "root@pam" && self.token.is_none()
    }
}

/// A user.
#[derive(Debug, Clone, Default)]
pub(crate) struct User {
    pub(crate) comment: Option<String>,
    pub(crate) disabled: bool,
    pub(crate) expire: u64,
    pub(crate) tokens: BTreeMap<String, Token>,
}

/// An API token.
#[derive(Debug, Clone, Default)]
pub(crate) struct Token {
    pub(crate) secret: String,
    pub(crate) separated: bool,
    pub(crate) comment: Option<String>,
    pub(crate) expire: u64,
}

/// One entry of the access control list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grant {
    pub(crate) path: String,
    /// A user or a token.
    pub(crate) to: String,
    pub(crate) role: String,
}

/// Users, roles and grants.
#[derive(Debug, Default)]
pub(crate) struct Access {
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) roles: BTreeMap<String, BTreeSet<String>>,
    /// Each grant, and whether it propagates.
    pub(crate) grants: BTreeMap<Grant, bool>,
    pub(crate) version: Version,
}

/// Privileges, and whether each propagates to paths below.
pub(crate) type Privileges = BTreeMap<String, bool>;

impl Access {
    /// Checks an `Authorization` header. Every failure looks the same, as it does since 8.4.17 and 9.1.5.
    pub(crate) fn authenticate(
        &self,
        header: Option<&str>,
        now: u64,
    ) -> Result<Principal, Refusal> {
        let failed = || Refusal::unauthenticated("Authentication failed!");
        let header = header.ok_or_else(|| Refusal::unauthenticated("No ticket"))?;
        let value = header
            .strip_prefix("PVEAPIToken")
            .ok_or_else(|| Refusal::unauthenticated("No ticket"))?;
        let value = value
            .strip_prefix(['=', ' '])
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default();
        let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
        let (id, secret) = value.split_once('=').ok_or_else(failed)?;
        let who = Principal::parse(id);
        let user = self.users.get(&who.user).ok_or_else(failed)?;
        let token =
            who.token.as_ref().and_then(|token| user.tokens.get(token)).ok_or_else(failed)?;
        let expired = |expire: u64| expire != 0 && expire <= now;
        if token.secret != secret || user.disabled || expired(user.expire) || expired(token.expire)
        {
            return Err(failed());
        }
        Ok(who)
    }

    /// The privileges of a role.
    pub(crate) fn role(&self, name: &str) -> Option<BTreeSet<String>> {
        self.roles.get(name).cloned().or_else(|| roles::built_in(name, self.version))
    }

    /// The roles that `id` (a user or a token) has on `path`, without pools.
    fn roles_on(&self, id: &str, path: &str) -> BTreeMap<String, bool> {
        let mut found = BTreeMap::new();
        for prefix in prefixes(path) {
            let here: BTreeMap<_, _> = self
                .grants
                .iter()
                .filter(|(grant, propagates)| {
                    grant.to == id && grant.path == prefix && (**propagates || prefix == path)
                })
                .map(|(grant, propagates)| (grant.role.clone(), *propagates))
                .collect();
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
            for role in self.roles_on(id, &format!("/pool/{pool}")).into_keys() {
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
mod tests {
    use super::*;

    /// A user `u@pve` with a separated token `t1` and a full one `t2`.
    fn world(grants: &[(&str, &str, &str, bool)]) -> State {
        let mut state = State::default();
        let token = |separated| Token { secret: "s".into(), separated, ..Token::default() };
        let tokens =
            BTreeMap::from([("t1".to_owned(), token(true)), ("t2".to_owned(), token(false))]);
        state.access.users.insert("u@pve".to_owned(), User { tokens, ..User::default() });
        state.access.roles.insert("Audit".to_owned(), BTreeSet::from(["VM.Audit".to_owned()]));
        state.access.roles.insert("Clone".to_owned(), BTreeSet::from(["VM.Clone".to_owned()]));
        for (path, to, role, propagates) in grants {
            let grant = Grant { path: (*path).into(), to: (*to).into(), role: (*role).into() };
            state.access.grants.insert(grant, *propagates);
        }
        state.pools.insert(
            "p".to_owned(),
            super::super::state::Pool { vms: [100].into(), ..Default::default() },
        );
        state
    }

    #[test]
    fn a_grant_holds_below_its_path_unless_it_does_not_propagate_or_a_nearer_one_replaces_it() {
        let user = Principal::parse("u@pve");
        let state = world(&[("/vms", "u@pve", "Audit", true)]);
        assert!(state.may(&user, "/vms/7", "VM.Audit"));
        let state = world(&[("/vms", "u@pve", "Audit", false)]);
        assert!(!state.may(&user, "/vms/7", "VM.Audit"));
        let state = world(&[("/vms", "u@pve", "Audit", true), ("/vms/7", "u@pve", "Clone", true)]);
        assert!(!state.may(&user, "/vms/7", "VM.Audit"));
        assert!(state.may(&user, "/vms/8", "VM.Audit"));
        let state = world(&[("/", "u@pve", "Audit", true), ("/vms/7", "u@pve", "NoAccess", true)]);
        assert!(!state.may(&user, "/vms/7", "VM.Audit"));
    }

    #[test]
    fn a_separated_token_has_only_what_both_it_and_its_user_have() {
        let (separated, full) = (Principal::parse("u@pve!t1"), Principal::parse("u@pve!t2"));
        let state =
            world(&[("/vms/7", "u@pve", "Audit", true), ("/vms/7", "u@pve!t1", "Clone", true)]);
        assert!(!state.may(&separated, "/vms/7", "VM.Audit"));
        assert!(!state.may(&separated, "/vms/7", "VM.Clone"));
        assert!(state.may(&full, "/vms/7", "VM.Audit"));
        let state =
            world(&[("/vms/7", "u@pve", "Audit", true), ("/vms/7", "u@pve!t1", "Audit", true)]);
        assert!(state.may(&separated, "/vms/7", "VM.Audit"));
    }

    #[test]
    fn members_of_a_pool_inherit_its_rights_without_propagation() {
        let user = Principal::parse("u@pve");
        let state = world(&[("/pool/p", "u@pve", "Audit", true)]);
        assert_eq!(
            state.privileges(&user, "/vms/100"),
            Privileges::from([("VM.Audit".to_owned(), false)])
        );
        assert!(!state.may(&user, "/vms/101", "VM.Audit"));
    }

    #[test]
    fn every_failure_of_a_token_looks_the_same() {
        let access = world(&[]).access;
        assert_eq!(
            access.authenticate(Some("PVEAPIToken=u@pve!t1=s"), 0).unwrap().id(),
            "u@pve!t1"
        );
        for bad in [
            "PVEAPIToken=u@pve!t1=x",
            "PVEAPIToken=u@pve!none=s",
            "PVEAPIToken=x@pve!t1=s",
            "PVEAPIToken=garbage",
        ] {
            assert_eq!(
                access.authenticate(Some(bad), 0).unwrap_err().message,
                "Authentication failed!"
            );
        }
        assert_eq!(access.authenticate(None, 0).unwrap_err().message, "No ticket");
    }
}
