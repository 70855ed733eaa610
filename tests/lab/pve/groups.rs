//! `/access/groups`: users who share rights.

use serde_json::{Value, json};

use super::access::Group;
use super::api::{Answer, Call, Refusal, done};

fn missing(name: &str) -> String {
    format!("group '{name}' does not exist")
}

/// `GET /access/groups`: those whose users one may see.
pub(crate) fn list(call: &Call) -> Answer {
    let state = call.state();
    let privileges = ["User.Modify", "Sys.Audit", "Group.Allocate"];
    let may = |path: &str| state.may_any(&call.who, path, &privileges);
    let visible = state
        .access
        .groups
        .iter()
        .filter(|(name, _)| may("/access/groups") || may(&format!("/access/groups/{name}")));
    let rows = visible.map(|(name, group)| {
        let members: Vec<_> = group.members.iter().map(String::as_str).collect();
        let mut row = json!({"groupid": name, "users": members.join(",")});
        if let Some(comment) = &group.comment {
            row["comment"] = comment.as_str().into();
        }
        row
    });
    Ok(rows.collect::<Value>().into())
}

/// `POST /access/groups`.
pub(crate) fn create(call: &Call) -> Answer {
    let name = call.params.text("groupid");
    let groups = &mut call.state().access.groups;
    if groups.contains_key(name) {
        return Err(Refusal::failed(format!("create group failed: group '{name}' already exists")));
    }
    let comment = call.params.get("comment").map(str::to_owned);
    groups.insert(name.to_owned(), Group { comment, ..Group::default() });
    done()
}

/// `GET /access/groups/{groupid}`.
pub(crate) fn read(call: &Call) -> Answer {
    let name = call.params.text("groupid");
    let state = call.state();
    let group = state.access.groups.get(name).ok_or_else(|| Refusal::failed(missing(name)))?;
    let mut row = json!({"members": group.members});
    if let Some(comment) = &group.comment {
        row["comment"] = comment.as_str().into();
    }
    Ok(row.into())
}

/// `PUT /access/groups/{groupid}`.
pub(crate) fn update(call: &Call) -> Answer {
    let name = call.params.text("groupid");
    let failed = || Refusal::failed(format!("update group failed: {}", missing(name)));
    let groups = &mut call.state().access.groups;
    let group = groups.get_mut(name).ok_or_else(failed)?;
    if let Some(comment) = call.params.get("comment") {
        group.comment = Some(comment.to_owned());
    }
    done()
}

/// `DELETE /access/groups/{groupid}`: its rights go with it.
pub(crate) fn delete(call: &Call) -> Answer {
    let name = call.params.text("groupid");
    let failed = || Refusal::failed(format!("delete group failed: {}", missing(name)));
    let access = &mut call.state().access;
    access.groups.remove(name).ok_or_else(failed)?;
    let to = format!("@{name}");
    access.grants.retain(|grant, _| grant.to != to);
    done()
}
