//! `/access/users`: users and their API tokens.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::access::{Access, Principal, Token, User};
use super::api::{Answer, Call, Refusal, done};
use super::state::State;

/// Names and addresses, which the lab only keeps.
const DETAILS: &[&str] = &["firstname", "lastname", "email", "comment", "keys"];

/// `GET /access/users`: those whom one may see, oneself included.
pub(crate) fn list(call: &Call) -> Answer {
    let state = call.state();
    let privileges = ["User.Modify", "Sys.Audit"];
    let sees_all = state.may_any(&call.who, "/access/groups", &privileges);
    let by_group = |id: &str| {
        state.access.groups.iter().any(|(name, group)| {
            let path = format!("/access/groups/{name}");
            group.members.contains(id) && state.may_any(&call.who, &path, &privileges)
        })
    };
    let visible = state.access.users.iter().filter(|(id, user)| {
        (sees_all || **id == call.who.id() || by_group(id))
            && call.params.get("enabled").is_none_or(|wanted| (wanted == "1") != user.disabled)
    });
    let rows = visible.map(|(id, user)| {
        let mut row = details(user);
        row["userid"] = id.as_str().into();
        row["realm-type"] = id.rsplit('@').next().unwrap_or_default().into();
        if call.params.flag("full") {
            row["groups"] = groups_of(&state.access, id).join(",").into();
            row["tokens"] = token_rows(user);
        }
        row
    });
    Ok(rows.collect::<Value>().into())
}

fn details(user: &User) -> Value {
    let mut row = json!({"enable": u8::from(!user.disabled), "expire": user.expire});
    for (name, value) in &user.details {
        row[name] = value.as_str().into();
    }
    row
}

fn groups_of(access: &Access, id: &str) -> Vec<String> {
    let groups = access.groups.iter().filter(|(_, group)| group.members.contains(id));
    groups.map(|(name, _)| name.clone()).collect()
}

fn leave_groups(access: &mut Access, id: &str) {
    for group in access.groups.values_mut() {
        group.members.remove(id);
    }
}

/// Takes over what a request says about a user, the groups included.
fn set_details(call: &Call, access: &mut Access, id: &str) -> Result<(), String> {
    for group in call.params.list("groups") {
        let known = access.groups.get_mut(group);
        known.ok_or_else(|| format!("no such group '{group}'"))?.members.insert(id.to_owned());
    }
    let user = access.users.entry(id.to_owned()).or_default();
    if let Some(enable) = call.params.get("enable") {
        user.disabled = enable == "0";
    }
    if call.params.get("expire").is_some() {
        user.expire = call.params.number("expire");
    }
    for name in DETAILS {
        if let Some(value) = call.params.get(name) {
            user.details.insert((*name).to_owned(), value.to_owned());
        }
    }
    Ok(())
}

/// `POST /access/users`.
pub(crate) fn create(call: &Call) -> Answer {
    let id = call.params.text("userid");
    let failed = |text: String| Refusal::failed(format!("create user failed: {text}"));
    let realm = id.rsplit('@').next().unwrap_or_default();
    let access = &mut call.state().access;
    if access.users.contains_key(id) {
        return Err(failed(format!("user '{id}' already exists")));
    }
    let password = call.params.get("password").map(str::to_owned);
    if password.is_some() && !["pam", "pve"].contains(&realm) {
        return Err(failed(format!("auth domain '{realm}' does not exist")));
    }
    set_details(call, access, id).map_err(failed)?;
    access.users.entry(id.to_owned()).or_default().password = password;
    done()
}

/// `GET /access/users/{userid}`.
pub(crate) fn read(call: &Call) -> Answer {
    let id = call.params.text("userid");
    let state = call.state();
    let user = state.access.users.get(id).ok_or_else(|| Refusal::no_such_user(id))?;
    let mut row = details(user);
    row["groups"] = groups_of(&state.access, id).into();
    let tokens = user.tokens.iter().map(|(name, token)| (name.clone(), token_row(token)));
    row["tokens"] = tokens.collect::<Map<_, _>>().into();
    Ok(row.into())
}

/// `PUT /access/users/{userid}`.
pub(crate) fn update(call: &Call) -> Answer {
    let id = call.params.text("userid");
    let access = &mut call.state().access;
    if !access.users.contains_key(id) {
        return Err(Refusal::failed(format!("update user failed: no such user ('{id}')")));
    }
    if call.params.get("groups").is_some() && !call.params.flag("append") {
        leave_groups(access, id);
    }
    set_details(call, access, id)
        .map_err(|text| Refusal::failed(format!("update user failed: {text}")))?;
    done()
}

/// `DELETE /access/users/{userid}`: its tokens and grants go with it.
pub(crate) fn delete(call: &Call) -> Answer {
    let id = call.params.text("userid");
    let access = &mut call.state().access;
    access.users.remove(id).ok_or_else(|| Refusal::no_such_user(id))?;
    leave_groups(access, id);
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

fn token_rows(user: &User) -> Value {
    let rows = user.tokens.iter().map(|(name, token)| {
        let mut row = token_row(token);
        row["tokenid"] = name.as_str().into();
        row
    });
    rows.collect()
}

fn find_user<'a>(state: &'a mut State, call: &Call) -> Result<&'a mut User, Refusal> {
    let id = call.params.text("userid");
    state.access.users.get_mut(id).ok_or_else(|| Refusal::no_such_user(id))
}

fn no_such_token(call: &Call) -> Refusal {
    let (user, token) = (call.params.text("userid"), call.params.text("tokenid"));
    Refusal::failed(format!("no such token '{token}' for user '{user}'"))
}

/// `GET /access/users/{userid}/token`.
pub(crate) fn tokens(call: &Call) -> Answer {
    Ok(token_rows(find_user(&mut call.state(), call)?).into())
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
    let comment = call.params.get("comment").map(str::to_owned).filter(|text| !text.is_empty());
    let mut info = BTreeMap::from([("privsep", if separated { "1" } else { "0" }.to_owned())]);
    info.extend(call.params.get("expire").map(|expire| ("expire", expire.to_owned())));
    info.extend(comment.clone().map(|comment| ("comment", comment)));
    let expire = call.params.number("expire");
    user.tokens
        .insert(name.to_owned(), Token { secret: secret.clone(), separated, comment, expire });
    let full = format!("{}!{name}", call.params.text("userid"));
    Ok(json!({"full-tokenid": full, "value": secret, "info": info}).into())
}

/// `PUT /access/users/{userid}/token/{tokenid}`.
pub(crate) fn update_token(call: &Call) -> Answer {
    let mut state = call.state();
    let token = find_user(&mut state, call)?.tokens.get_mut(call.params.text("tokenid"));
    let token = token.ok_or_else(|| no_such_token(call))?;
    if let Some(separated) = call.params.get("privsep") {
        token.separated = separated == "1";
    }
    if call.params.get("expire").is_some() {
        token.expire = call.params.number("expire");
    }
    if let Some(comment) = call.params.get("comment").filter(|comment| !comment.is_empty()) {
        token.comment = Some(comment.to_owned());
    }
    Ok(token_row(token).into())
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
