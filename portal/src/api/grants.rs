//! What single people may do with single clusters.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::App;
use crate::audit::Note;
use crate::error::{Error, Result};
use crate::extract::{Json, Path};
use crate::ids::{ClusterId, PersonId};
use crate::rights::{Actor, Level};
use crate::store::grants::Grant;

/// The grants on a cluster, by login.
#[utoipa::path(get, path = "/api/v1/clusters/{cluster}/grants", tag = "grants", params(("cluster" = String, Path)), responses((status = 200, body = Vec<Grant>)))]
pub async fn list(State(app): State<App>, Path(id): Path<ClusterId>) -> Result<Json<Vec<Grant>>> {
    Ok(Json(app.store.grants_on(&id).await?))
}

/// What somebody may do.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// view, use, edit or own; their role may allow less.
    pub level: Level,
}

/// Grants, or changes what was granted.
#[utoipa::path(put, path = "/api/v1/clusters/{cluster}/grants/{person}", tag = "grants", params(("cluster" = String, Path), ("person" = String, Path)), request_body = NewGrant, responses((status = 204)))]
pub async fn set(
    State(app): State<App>,
    note: Note,
    actor: Actor,
    Path((id, person)): Path<(ClusterId, PersonId)>,
    Json(NewGrant { level }): Json<NewGrant>,
) -> Result<StatusCode> {
    let found = app.store.person(&person).await?;
    note.detail(json!({ "to": found.login, "level": level }));
    app.store.set_grant(&id, &person, level, &actor.person).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a grant back; it counts at once.
#[utoipa::path(delete, path = "/api/v1/clusters/{cluster}/grants/{person}", tag = "grants", params(("cluster" = String, Path), ("person" = String, Path)), responses((status = 204)))]
pub async fn remove(
    State(app): State<App>,
    note: Note,
    Path((id, person)): Path<(ClusterId, PersonId)>,
) -> Result<StatusCode> {
    note.detail(json!({ "from": person }));
    if app.store.remove_grant(&id, &person).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::not_found())
    }
}
