//! `/access`: users, tokens, roles, grants.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::access::{Grant, Principal, Token, User};
use super::api::{Answer, Call, Refusal, done};
use super::roles;
use super::state::State;

/// `POST /access/ticket`: the lab keeps no passwords, so that nobody logs in this way.
pub(crate) fn ticket(_call: &Call) -> Answer {
    Err(Refusal::bad_login())
}

/// `GET /access/permissions`: one's own, or all of a user's for those who may look.
pub(crate) fn permissions(call: &Call) -> Answer {
    let state = call.state();
    let who = match call.params.get("userid") {
        Some(id) if id != call.who.id() => {
            state.require(&call.who, "/access", "Sys.Audit")?;
            Principal::parse(id)
        }
        _ => call.who.clone(),
    };
    let paths = match call.params.get("path") {
        Some(path) => {
            check_path(path)?;
            BTreeMap::from([(path.to_owned(), state.privileges(&who, path))])
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

fn no_such_user(id: &str) -> Refusal {
    Refusal::failed(format!("no such user ('{id}')"))
}

/// `GET /access/users`: those whom one may see.
pub(crate) fn list(call: &Call) -> Answer {
    let state = call.state();
    let sees_all = state.may_any(&call.who, "/access/groups", &["User.Modify", "Sys.Audit"]);
    let rows = state.access.users.iter().filter(|(id, _)| sees_all || **id == call.who.id()).map(|(id, user)| {
        let realm = id.rsplit('@').next().unwrap_or_default();
        let mut row = json!({"userid": id, "enable": u8::from(!user.disabled), "expire": user.expire, "realm-type": realm});
        if let Some(comment) = &user.comment {
            row["comment"] = comment.as_str().into();
        }
        row
    });
    Ok(rows.collect::<Value>().into())
}

/// `POST /access/users`.
pub(crate) fn create(call: &Call) -> Answer {
    let id = call.params.text("userid");
    let users = &mut call.state().access.users;
    if users.contains_key(id) {
        return Err(Refusal::failed(format!("create user failed: user '{id}' already exists")));
    }
    let user = User {
        comment: call.params.get("comment").map(str::to_owned),
        disabled: call.params.get("enable") == Some("0"),
        expire: call.params.number("expire"),
        tokens: BTreeMap::new(),
    };
    users.insert(id.to_owned(), user);
    done()
}

/// `GET /access/users/{userid}`.
pub(crate) fn read(call: &Call) -> Answer {
    let id = call.params.text("userid");
    let state = call.state();
    let user = state.access.users.get(id).ok_or_else(|| no_such_user(id))?;
    let tokens: Map<_, _> =
        user.tokens.iter().map(|(name, token)| (name.clone(), token_row(token))).collect();
    let mut row = json!({"enable": u8::from(!user.disabled), "expire": user.expire, "groups": [], "tokens": tokens});
    if let Some(comment) = &user.comment {
        row["comment"] = comment.as_str().into();
    }
    Ok(row.into())
}

/// `DELETE /access/users/{userid}`: its tokens and grants go with it.
pub(crate) fn delete(call: &Call) -> Answer {
    let id = call.params.text("userid");
    let access = &mut call.state().access;
    access.users.remove(id).ok_or_else(|| no_such_user(id))?;
    access.grants.retain(|grant, _| Principal::parse(&grant.to).user != id);
    done()
}

fn token_row(token: &Token) -> Value {
    let mut row = json!({"privsep": u8::from(token.separated), "expire": token.expire});
    if let Some(comment) = &token.comment {
        row["comment"] = comment.as_str().into();
    }
    row
}

fn find_user<'a>(state: &'a mut State, call: &Call) -> Result<&'a mut User, Refusal> {
    let id = call.params.text("userid");
    state.access.users.get_mut(id).ok_or_else(|| no_such_user(id))
}

fn no_such_token(call: &Call) -> Refusal {
    let (user, token) = (call.params.text("userid"), call.params.text("tokenid"));
    Refusal::failed(format!("no such token '{token}' for user '{user}'"))
}

/// `GET /access/users/{userid}/token`.
pub(crate) fn tokens(call: &Call) -> Answer {
    let mut state = call.state();
    let rows = find_user(&mut state, call)?.tokens.iter().map(|(name, token)| {
        let mut row = token_row(token);
        row["tokenid"] = name.as_str().into();
        row
    });
    Ok(rows.collect::<Value>().into())
}

/// `GET /access/users/{userid}/token/{tokenid}`.
pub(crate) fn token(call: &Call) -> Answer {
    let mut state = call.state();
    let token = find_user(&mut state, call)?.tokens.get(call.params.text("tokenid"));
    token.map(|token| token_row(token).into()).ok_or_else(|| no_such_token(call))
}

/// `POST /access/users/{userid}/token/{tokenid}`: the secret is shown this once.
pub(crate) fn create_token(call: &Call) -> Answer {
    let name = call.params.text("tokenid");
    let separated = call.params.get("privsep") != Some("0");
    let secret = super::random::uuid();
    let mut state = call.state();
    let user = find_user(&mut state, call)?;
    if user.tokens.contains_key(name) {
        return Err(Refusal::parameter("tokenid", "Token already exists."));
    }
    let token = Token {
        secret: secret.clone(),
        separated,
        comment: call.params.get("comment").map(str::to_owned),
        expire: call.params.number("expire"),
    };
    user.tokens.insert(name.to_owned(), token);
    let full = format!("{}!{name}", call.params.text("userid"));
    let info = json!({"privsep": if separated { "1" } else { "0" }});
    Ok(json!({"full-tokenid": full, "value": secret, "info": info}).into())
}

/// `DELETE /access/users/{userid}/token/{tokenid}`.
pub(crate) fn delete_token(call: &Call) -> Answer {
    let mut state = call.state();
    find_user(&mut state, call)?
        .tokens
        .remove(call.params.text("tokenid"))
        .ok_or_else(|| no_such_token(call))?;
    let full = format!("{}!{}", call.params.text("userid"), call.params.text("tokenid"));
    state.access.grants.retain(|grant, _| grant.to != full);
    done()
}

fn privileges_given(call: &Call) -> Result<Vec<String>, Refusal> {
    let known = roles::privileges(call.world.version);
    let given = call.params.list("privs");
    match given.iter().find(|privilege| !known.contains(**privilege)) {
        Some(bad) => Err(Refusal::parameter(
            "privs",
            format!("invalid format - invalid privilege '{bad}'\n"),
        )),
        None => Ok(given.into_iter().map(str::to_owned).collect()),
    }
}

/// `GET /access/roles`.
pub(crate) fn role_list(call: &Call) -> Answer {
    let state = call.state();
    let names =
        roles::BUILT_IN.iter().copied().chain(state.access.roles.keys().map(String::as_str));
    let rows = names.map(|name| {
        let privileges: Vec<_> = state.access.role(name).unwrap_or_default().into_iter().collect();
        json!({"roleid": name, "privs": privileges.join(","), "special": u8::from(roles::BUILT_IN.contains(&name))})
    });
    Ok(rows.collect::<Value>().into())
}

/// `POST /access/roles`.
pub(crate) fn create_role(call: &Call) -> Answer {
    let name = call.params.text("roleid");
    let privileges = privileges_given(call)?;
    let access = &mut call.state().access;
    if access.role(name).is_some() {
        return Err(Refusal::failed(format!("create role failed: role '{name}' already exists")));
    }
    access.roles.insert(name.to_owned(), privileges.into_iter().collect());
    done()
}

/// `GET /access/roles/{roleid}`.
pub(crate) fn role(call: &Call) -> Answer {
    let name = call.params.text("roleid");
    let role = call.state().access.role(name);
    let role = role.ok_or_else(|| Refusal::failed(format!("role '{name}' does not exist")))?;
    Ok(Value::from(role.into_iter().map(|privilege| (privilege, 1.into())).collect::<Map<_, _>>())
        .into())
}

/// `PUT /access/roles/{roleid}`.
pub(crate) fn update_role(call: &Call) -> Answer {
    let name = call.params.text("roleid");
    let privileges = privileges_given(call)?;
    let access = &mut call.state().access;
    let role = access
        .roles
        .get_mut(name)
        .ok_or_else(|| Refusal::failed(format!("role '{name}' does not exist")))?;
    if !call.params.flag("append") {
        role.clear();
    }
    role.extend(privileges);
    done()
}

/// `DELETE /access/roles/{roleid}`.
pub(crate) fn delete_role(call: &Call) -> Answer {
    let name = call.params.text("roleid");
    let access = &mut call.state().access;
    let removed = access.roles.remove(name);
    removed.ok_or_else(|| {
        Refusal::failed(format!("delete role failed: role '{name}' does not exist"))
    })?;
    access.grants.retain(|grant, _| grant.role != name);
    done()
}

/// `GET /access/acl`.
pub(crate) fn grants(call: &Call) -> Answer {
    let state = call.state();
    let rows = state
        .access
        .grants
        .iter()
        .filter(|(grant, _)| state.may(&call.who, &grant.path, "Permissions.Modify"));
    let rows = rows.map(|(grant, propagates)| {
        let kind = if grant.to.contains('!') { "token" } else { "user" };
        json!({"path": grant.path, "ugid": grant.to, "roleid": grant.role, "type": kind, "propagate": u8::from(*propagates)})
    });
    Ok(rows.collect::<Value>().into())
}

/// `PUT /access/acl`.
pub(crate) fn update_grants(call: &Call) -> Answer {
    let failed = |text: String| Refusal::failed(format!("ACL update failed: {text}"));
    let path = call.params.text("path");
    check_path(path)?;
    let remove = call.params.flag("delete");
    let propagates = call.params.get("propagate") != Some("0");
    let mut state = call.state();
    let access = &mut state.access;
    for role in call.params.list("roles") {
        if access.role(role).is_none() {
            return Err(failed(format!("role '{role}' does not exist")));
        }
        let (users, tokens) = (call.params.list("users"), call.params.list("tokens"));
        for to in users.into_iter().chain(tokens) {
            let who = Principal::parse(to);
            let user = access
                .users
                .get(&who.user)
                .ok_or_else(|| failed(format!("user '{}' does not exist", who.user)))?;
            if let Some(token) = who.token.filter(|token| !user.tokens.contains_key(token)) {
                return Err(failed(format!("no such token '{token}' for user '{}'", who.user)));
            }
            let grant = Grant { path: path.to_owned(), to: to.to_owned(), role: role.to_owned() };
            if remove {
                access.grants.remove(&grant);
            } else {
                access.grants.insert(grant, propagates);
            }
        }
    }
    done()
}

fn check_path(path: &str) -> Result<(), Refusal> {
    let parts: Vec<_> = path.split('/').skip(1).collect();
    let good = path == "/"
        || path.starts_with('/')
            && parts.iter().all(|part| !part.is_empty())
            && match parts.as_slice() {
                ["access" | "mapping" | "nodes" | "pool" | "sdn" | "storage" | "vms"]
                | ["nodes" | "storage", _] => true,
                ["vms", vmid] => vmid.parse::<u32>().is_ok(),
                ["pool", ..] => parts.len() <= 4,
                ["mapping", ..] | ["access", "groups" | "realm", ..] => parts.len() <= 3,
                ["sdn", "zones" | "controllers" | "dns" | "ipams" | "fabrics", ..] => {
                    parts.len() <= 5
                }
                _ => false,
            };
    if good {
        Ok(())
    } else {
        Err(Refusal::parameter("path", format!("invalid ACL path '{path}'")))
    }
}
