//! One's own password, sessions and keys.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::App;
use crate::audit::Note;
use crate::error::{Error, Field, Result};
use crate::extract::{Form, Path};
use crate::ids::{ClusterId, SessionId};
use crate::people::{keys, passwords, proof, sessions};
use crate::rights::{Actor, KeyScope, Via};
use crate::ui::{Ui, done, errors};

/// The page.
pub async fn show(State(app): State<App>, ui: Ui, actor: Actor) -> Result<Response> {
    ui.page("profile.html", everything(&app, &actor, json!({}), json!({})).await?)
}

async fn everything(app: &App, actor: &Actor, errors: Value, form: Value) -> Result<Value> {
    let current = match &actor.via {
        Via::Session(session) => session.as_str(),
        _ => "",
    };
    let sessions = app.store.sessions_of(&actor.person, proof::idle_since(app)).await?;
    let sessions: Vec<_> = sessions
        .into_iter()
        .map(|session| {
            json!({
                "id": session.id,
                "agent": sessions::spoken_agent(&session.agent),
                "address": session.address,
                "created_at": session.created_at,
                "seen_at": session.seen_at,
                "current": session.id.as_str() == current,
            })
        })
        .collect();
    let scopes: Vec<_> = KeyScope::ALL
        .into_iter()
        .map(|scope| json!({ "name": scope.as_str(), "meaning": scope.meaning() }))
        .collect();
    Ok(json!({
        "sessions": sessions,
        "keys": app.store.keys_of(&actor.person).await?,
        "scopes": scopes,
        "days": app.config.people.key_days,
        "days_max": app.config.people.key_days_max,
        "errors": errors,
        "form": form,
    }))
}

/// What the password form sends.
#[derive(Deserialize)]
pub struct Change {
    current: Zeroizing<String>,
    password: Zeroizing<String>,
    again: Zeroizing<String>,
}

/// Changes the password; every other session ends.
pub async fn password(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    crate::gate::From(from): crate::gate::From,
    Form(form): Form<Change>,
) -> Result<Response> {
    let Change { current, password, again } = form;
    let mut wrong = Vec::new();
    if let Some(problem) = passwords::problem(&password, &actor.login) {
        wrong.push(Field::new("password", problem));
    } else if *password != *again {
        wrong.push(Field::new("again", "This differs from the first one."));
    }
    // Guessing it from a session that was left open is braked like guessing it at the door.
    if let Err(error) = sessions::check(&app, &actor.login, current, &from).await {
        let sentence = if error.problem().retry_after.is_some() {
            error.to_string()
        } else {
            "This is not your password.".to_owned()
        };
        wrong.insert(0, Field::new("current", sentence));
    }
    if !wrong.is_empty() {
        let error = Error::invalid(wrong);
        let with = everything(&app, &actor, json!(errors(&error)), json!({})).await?;
        return ui.answer(StatusCode::UNPROCESSABLE_ENTITY, "profile.html", with);
    }
    let hash = app.passwords.hash(password).await?;
    let session = if let Via::Session(session) = &actor.via { Some(session) } else { None };
    app.store.set_password(&actor.person, &hash, session).await?;
    Ok(done("/profile", "Your password is changed, and every other session has ended."))
}

/// Ends one of one's sessions.
pub async fn end_session(
    State(app): State<App>,
    actor: Actor,
    Path(session): Path<SessionId>,
) -> Result<Response> {
    if !app.store.end_session(&actor.person, &session).await? {
        return Err(Error::not_found());
    }
    Ok(done("/profile", "The session has ended."))
}

/// What the key form sends.
#[derive(Deserialize)]
pub struct NewKey {
    label: String,
    #[serde(default)]
    scopes: Vec<KeyScope>,
    #[serde(default)]
    days: String,
    #[serde(default)]
    cluster: String,
}

/// Makes a key and shows it, this once.
pub async fn add_key(
    State(app): State<App>,
    ui: Ui,
    note: Note,
    actor: Actor,
    Form(form): Form<NewKey>,
) -> Result<Response> {
    let NewKey { label, scopes, days, cluster } = form;
    let chosen = json!({ "label": label, "scopes": scopes, "days": days, "cluster": cluster });
    let made = match wish(label, scopes, &days, &cluster) {
        Ok(wish) => keys::make(&app, &actor, &wish).await.map(|made| (wish, made)),
        Err(field) => Err(Error::invalid(vec![field])),
    };
    match made {
        Ok((wish, made)) => {
            note.target("key", &made.id, &wish.label);
            note.detail(json!({ "scopes": wish.scopes, "expires_at": made.expires_at }));
            ui.page("key.html", json!({ "label": wish.label.trim(), "made": made }))
        }
        Err(error) if error.problem().status == StatusCode::UNPROCESSABLE_ENTITY => {
            let with = everything(&app, &actor, json!(errors(&error)), chosen).await?;
            ui.answer(StatusCode::UNPROCESSABLE_ENTITY, "profile.html", with)
        }
        Err(error) => Err(error),
    }
}

fn wish(
    label: String,
    scopes: Vec<KeyScope>,
    days: &str,
    cluster: &str,
) -> Result<keys::Wish, Field> {
    let optional = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let days = optional(days).map(|text| text.parse()).transpose();
    let cluster = optional(cluster).map(|text| text.parse::<ClusterId>()).transpose();
    Ok(keys::Wish {
        label,
        scopes,
        days: days.map_err(|_| Field::new("days", "Give a number of days."))?,
        cluster: cluster.map_err(|_| {
            Field::new("cluster", "Give the cluster's identifier, as it stands on its page.")
        })?,
    })
}

/// Revokes one of one's keys.
pub async fn revoke_key(
    State(app): State<App>,
    note: Note,
    actor: Actor,
    Path(key): Path<String>,
) -> Result<Response> {
    note.target("key", &key, "");
    if !app.store.revoke_key(&actor.person, &key).await? {
        return Err(Error::not_found());
    }
    Ok(done("/profile", "The key is revoked. Whatever used it is refused from now on."))
}
