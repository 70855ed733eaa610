//! `/access/permissions` and `/access/acl`: who may do what.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::access::{Grant, Principal};
use super::api::{Answer, Call, Refusal, done};

/// `GET /access/permissions`: one's own, or all of somebody's for those who may look.
pub(crate) fn permissions(call: &Call) -> Answer {
    let state = call.state();
    let who = match call.params.get("userid") {
        Some(id) if id != call.who.id() => {
            let who = Principal::parse(id);
            // Whoever owns a token may look at what it may do.
            if who.user != call.who.id() {
                state.require(&call.who, "/access", "Sys.Audit")?;
            }
            who
        }
        _ => call.who.clone(),
    };
    let paths = match call.params.get("path") {
        Some(path) => {
            let path = normalized(path)
                .ok_or_else(|| Refusal::parameter("path", format!("invalid ACL path '{path}'")))?;
            let held = state.privileges(&who, &path);
            BTreeMap::from([(path, held)])
        }
        None => state.effective_permissions(&who),
    };
    let shown = paths.into_iter().map(|(path, held)| {
        let held: Map<_, _> = held
            .into_iter()
            .map(|(privilege, spreads)| (privilege, u8::from(spreads).into()))
            .collect();
        (path, Value::from(held))
    });
    Ok(Value::from(shown.collect::<Map<_, _>>()).into())
}

/// `GET /access/acl`: all of it for auditors, otherwise the paths on which one may grant.
pub(crate) fn list(call: &Call) -> Answer {
    let state = call.state();
    let sees_all = state.may(&call.who, "/access", "Sys.Audit");
    let visible = state
        .access
        .grants
        .iter()
        .filter(|(grant, _)| sees_all || state.require_modify(&call.who, &grant.path).is_ok());
    let rows = visible.map(|(grant, propagates)| {
        let (kind, id) = match grant.to.strip_prefix('@') {
            Some(group) => ("group", group),
            None if grant.to.contains('!') => ("token", grant.to.as_str()),
            None => ("user", grant.to.as_str()),
        };
        json!({"path": grant.path, "ugid": id, "roleid": grant.role, "type": kind, "propagate": u8::from(*propagates)})
    });
    Ok(rows.collect::<Value>().into())
}

/// `PUT /access/acl`.
pub(crate) fn update(call: &Call) -> Answer {
    let failed = |text: String| Refusal::failed(format!("ACL update failed: {text}"));
    let kinds = ["users", "groups", "tokens"];
    if kinds.iter().all(|kind| call.params.text(kind).is_empty()) {
        let text = "either 'users', 'groups' or 'tokens' is required.";
        let errors = kinds.map(|kind| (kind.to_owned(), text.to_owned()));
        return Err(Refusal::parameters(BTreeMap::from(errors)));
    }
    let remove = call.params.flag("delete");
    let given = call.params.text("path");
    let path = normalized(given)
        .filter(|path| remove || is_known(path))
        .ok_or_else(|| Refusal::parameter("path", format!("invalid ACL path '{given}'")))?;
    let propagates = call.params.get("propagate") != Some("0");
    let mut state = call.state();
    let access = &mut state.access;
    for role in call.params.list("roles") {
        if access.role(role).is_none() {
            return Err(failed(format!("role '{role}' does not exist")));
        }
        let mut to = Vec::new();
        for group in call.params.list("groups") {
            if !access.groups.contains_key(group) {
                return Err(failed(format!("group '{group}' does not exist")));
            }
            to.push(format!("@{group}"));
        }
        for user in call.params.list("users") {
            if !access.users.contains_key(user) {
                return Err(failed(format!("user '{user}' does not exist")));
            }
            to.push(user.to_owned());
        }
        for token in call.params.list("tokens") {
            let who = Principal::parse(token);
            let name = who.token.unwrap_or_default();
            let user = access.users.get(&who.user);
            let user = user.ok_or_else(|| failed(format!("no such user ('{}')", who.user)))?;
            if !user.tokens.contains_key(&name) {
                return Err(failed(format!("no such token '{name}' for user '{}'", who.user)));
            }
            to.push(token.to_owned());
        }
        for to in to {
            let grant = Grant { path: path.clone(), to, role: role.to_owned() };
            if remove {
                access.grants.remove(&grant);
            } else {
                access.grants.insert(grant, propagates);
            }
        }
    }
    done()
}

/// A path with one slash between its parts; nothing if there is something in it that no path has.
pub(crate) fn normalized(path: &str) -> Option<String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/".contains(&byte);
    if path.is_empty() || !path.bytes().all(good) {
        return None;
    }
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    Some(format!("/{}", parts.join("/")))
}

/// Whether there is such a place in the tree of permissions.
fn is_known(path: &str) -> bool {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        []
        | ["access" | "mapping" | "nodes" | "pool" | "sdn" | "storage" | "vms"]
        | ["nodes" | "storage", _]
        | ["access", "groups" | "realm"]
        | ["access", "groups" | "realm", _]
        | ["sdn", "zones" | "controllers" | "dns" | "ipams" | "fabrics"]
        | ["sdn", "zones" | "controllers" | "dns" | "ipams" | "fabrics", _]
        | ["sdn", "zones", _, _] => true,
        ["mapping", ..] => parts.len() <= 3,
        ["pool", ..] => parts.len() <= 4,
        ["sdn", "zones", _, _, vlan] => {
            vlan.len() <= 4 && vlan.parse::<u16>().is_ok_and(|vlan| vlan > 0)
        }
        ["vms", vmid] => {
            vmid.len() >= 3 && !vmid.starts_with('0') && vmid.bytes().all(|it| it.is_ascii_digit())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_can_carry_rights_are_told_from_others() {
        for good in
            ["/", "/vms/100", "vms//100/", "/pool/a/b/c", "/sdn/zones/localnetwork/vmbr0/19"]
        {
            assert!(normalized(good).is_some_and(|path| is_known(&path)), "{good}");
        }
        for bad in [
            "",
            "/nonsense",
            "/vms/x",
            "/vms/99",
            "/vms/0100",
            "/pool/a/b/c/d",
            "/a b",
            "/storage/x/y",
        ] {
            assert!(!normalized(bad).is_some_and(|path| is_known(&path)), "{bad}");
        }
    }
}
