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
    /// Names, addresses, the comment.
    pub(crate) details: BTreeMap<String, String>,
    pub(crate) disabled: bool,
    /// Seconds since 1970; 0 means never.
    pub(crate) expire: u64,
    pub(crate) password: Option<String>,
    pub(crate) tokens: BTreeMap<String, Token>,
}

impl User {
    /// Whether it may log in.
    pub(crate) fn is_active(&self, now: u64) -> bool {
        !self.disabled && !has_expired(self.expire, now)
    }
}

fn has_expired(expire: u64, now: u64) -> bool {
    expire != 0 && expire <= now
}

/// Users who share rights.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub(crate) comment: Option<String>,
    pub(crate) members: BTreeSet<String>,
}

/// What somebody got who logged in with a password.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) user: String,
    /// Must come with everything but GET.
    pub(crate) csrf: String,
    pub(crate) issued: u64,
}

impl Ticket {
    /// Tickets hold for two hours.
    pub(crate) fn holds(&self, now: u64) -> bool {
        now < self.issued + 7200
    }
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
    /// Checks a token. Every failure looks the same, as it does since 8.4.17 and 9.1.5.
    pub(crate) fn by_token(&self, value: &str, now: u64) -> Option<Principal> {
        let value = value.split(';').next().unwrap_or_default();
        let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
        let (id, secret) = value.split_once('=')?;
        let who = Principal::parse(id);
        let user = self.users.get(&who.user)?;
        let token = user.tokens.get(who.token.as_ref()?)?;
        let holds = token.secret == secret && !has_expired(token.expire, now);
        (holds && user.is_active(now)).then_some(who)
    }

    /// Checks a ticket, and the token against forged requests that everything but GET must carry.
    pub(crate) fn by_ticket(
        &self,
        ticket: &str,
        csrf: Option<&str>,
        is_get: bool,
        now: u64,
    ) -> Result<Principal, Refusal> {
        let failed = || Refusal::unauthenticated("Authentication failed!");
        let ticket = percent_encoding::percent_decode_str(ticket).decode_utf8_lossy().into_owned();
        let ticket =
            self.tickets.get(&ticket).filter(|ticket| ticket.holds(now)).ok_or_else(failed)?;
        self.users.get(&ticket.user).filter(|user| user.is_active(now)).ok_or_else(failed)?;
        if !is_get && csrf != Some(ticket.csrf.as_str()) {
            return Err(Refusal::unauthenticated("Permission denied - invalid csrf token"));
        }
        Ok(Principal { user: ticket.user.clone(), token: None })
    }

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
    fn a_group_gives_what_is_not_granted_to_its_member_itself() {
        let user = Principal::parse("u@pve");
        let mut state = world(&[("/vms", "@g", "Clone", true), ("/vms/7", "u@pve", "Audit", true)]);
        assert!(!state.may(&user, "/vms/8", "VM.Clone"));
        let members = BTreeSet::from(["u@pve".to_owned()]);
        state.access.groups.insert("g".to_owned(), Group { members, ..Group::default() });
        assert!(state.may(&user, "/vms/8", "VM.Clone"));
        assert!(!state.may(&user, "/vms/7", "VM.Clone"));
    }

    #[test]
    fn every_failure_of_a_token_looks_the_same() {
        let access = world(&[]).access;
        let by_token = |value: &str| access.by_token(value, 0).map(|who| who.id());
        assert_eq!(by_token("u@pve!t1=s").as_deref(), Some("u@pve!t1"));
        assert_eq!(by_token("u%40pve!t1=s;more").as_deref(), Some("u@pve!t1"));
        for bad in ["u@pve!t1=x", "u@pve!none=s", "x@pve!t1=s", "garbage"] {
            assert_eq!(by_token(bad), None, "{bad}");
        }
    }
}
