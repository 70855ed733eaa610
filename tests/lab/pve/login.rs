//! `/access/domains` and `/access/ticket`: logging in with a password.
//!
//! root@pam has no password here, so that the privileged token is the only way to begin.

use serde_json::{Value, json};

use super::access::{Principal, Ticket};
use super::api::{Answer, Call, Refusal};
use super::random;
use super::world::unix_time;

/// `GET /access/domains`.
pub(crate) fn domains(_call: &Call) -> Answer {
    Ok(json!([
        {"realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication"},
        {"realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server"},
    ])
    .into())
}

/// `POST /access/ticket`. A ticket that still holds may stand in for the password. Every failure looks the same.
pub(crate) fn ticket(call: &Call) -> Answer {
    let mut state = call.state();
    let access = &mut state.access;
    let name = call.params.text("username");
    let user = match call.params.get("realm") {
        Some(realm) if !name.contains('@') => format!("{name}@{realm}"),
        _ => name.to_owned(),
    };
    let now = unix_time();
    let password = call.params.text("password");
    let known = access.users.get(&user).filter(|user| user.is_active(now));
    let by_password = known.is_some_and(|user| user.password.as_deref() == Some(password));
    let by_ticket = access
        .tickets
        .get(password)
        .is_some_and(|ticket| known.is_some() && ticket.user == user && ticket.holds(now));
    if !by_password && !by_ticket {
        return Err(Refusal::bad_login());
    }
    let text = format!("PVE:{user}:{now:08X}::{}", random::secret());
    let csrf = format!("{now:08X}:{}", random::secret());
    let ticket = Ticket { user: user.clone(), csrf: csrf.clone(), issued: now };
    access.tickets.insert(text.clone(), ticket);
    let who = Principal::parse(&user);
    let areas = ["vms", "access", "storage", "nodes", "sdn", "dc", "mapping"];
    let rights = state.effective_permissions(&who);
    let cap = areas.map(|area| {
        let below = rights.iter().filter(|(path, _)| match area {
            "dc" => path.as_str() == "/",
            _ => path.trim_start_matches('/').split('/').next() == Some(area),
        });
        let held = below.flat_map(|(_, held)| held.keys().map(|name| (name.clone(), 1.into())));
        (area.to_owned(), Value::Object(held.collect()))
    });
    let cap = Value::Object(cap.into_iter().collect());
    Ok(json!({"username": user, "ticket": text, "CSRFPreventionToken": csrf, "cap": cap}).into())
}
