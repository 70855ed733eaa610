//! One's own API keys. No key makes keys: that takes a session.

use axum::extract::State;
use http::StatusCode;
use serde_json::json;

use crate::App;
use crate::audit::Note;
use crate::error::{Error, Result};
use crate::extract::{Json, Path};
use crate::people::keys::{self, Made, Wish};
use crate::rights::Actor;
use crate::store::keys::Key;

/// One's living keys.
#[utoipa::path(get, path = "/api/v1/keys", tag = "keys", responses((status = 200, body = Vec<Key>)))]
pub async fn list(State(app): State<App>, actor: Actor) -> Result<Json<Vec<Key>>> {
    Ok(Json(app.store.keys_of(&actor.person).await?))
}

/// Makes one; this is the one time that it is shown.
#[utoipa::path(post, path = "/api/v1/keys", tag = "keys", request_body = Wish, responses((status = 201, body = Made)))]
pub async fn make(
    State(app): State<App>,
    note: Note,
    actor: Actor,
    Json(wish): Json<Wish>,
) -> Result<(StatusCode, Json<Made>)> {
    let made = keys::make(&app, &actor, &wish).await?;
    note.target("key", &made.id, wish.label.trim());
    note.detail(json!({ "scopes": wish.scopes, "expires_at": made.expires_at }));
    Ok((StatusCode::CREATED, Json(made)))
}

/// Revokes one.
#[utoipa::path(delete, path = "/api/v1/keys/{key}", tag = "keys", params(("key" = String, Path)), responses((status = 204)))]
pub async fn revoke(
    State(app): State<App>,
    note: Note,
    actor: Actor,
    Path(key): Path<String>,
) -> Result<StatusCode> {
    note.target("key", &key, "");
    if app.store.revoke_key(&actor.person, &key).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::not_found())
    }
}
