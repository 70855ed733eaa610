//! Courses, groups and their members.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::App;
use crate::audit::Note;
use crate::environments::Wish;
use crate::error::{Error, Result};
use crate::extract::{Json, Path};
use crate::gate::About;
use crate::ids::{EnvironmentId, PersonId};
use crate::pages::environments::{add, set_member};
use crate::rights::{Actor, Role};
use crate::store::environments::{Environment, Member};

/// Those that one may see.
#[utoipa::path(get, path = "/api/v1/environments", tag = "environments", responses((status = 200, body = Vec<Environment>)))]
pub async fn list(State(app): State<App>, actor: Actor) -> Result<Json<Vec<Environment>>> {
    Ok(Json(app.store.environments_for(&actor).await?))
}

/// Makes one.
#[utoipa::path(post, path = "/api/v1/environments", tag = "environments", request_body = Wish, responses((status = 201, body = Environment)))]
pub async fn create(
    State(app): State<App>,
    note: Note,
    Json(wish): Json<Wish>,
) -> Result<(StatusCode, Json<Environment>)> {
    let (id, name) = add(&app, &wish).await?;
    note.target("environment", &id, name);
    Ok((StatusCode::CREATED, Json(app.store.environment(&id).await?)))
}

/// One of them.
#[utoipa::path(get, path = "/api/v1/environments/{environment}", tag = "environments", params(("environment" = String, Path)), responses((status = 200, body = Environment)))]
pub async fn show(
    State(app): State<App>,
    Path(id): Path<EnvironmentId>,
) -> Result<Json<Environment>> {
    Ok(Json(app.store.environment(&id).await?))
}

/// Replaces its settings; the name stays. Clusters that exist keep what they were made with.
#[utoipa::path(put, path = "/api/v1/environments/{environment}", tag = "environments", params(("environment" = String, Path)), request_body = Wish, responses((status = 200, body = Environment)))]
pub async fn change(
    State(app): State<App>,
    note: Note,
    Path(id): Path<EnvironmentId>,
    Json(wish): Json<Wish>,
) -> Result<Json<Environment>> {
    let before = app.store.environment(&id).await?;
    let (name, settings) = wish.check()?;
    if name != before.name {
        return Err(Error::conflict("name_stays", "The name of an environment can't be changed."));
    }
    note.detail(
        json!({ "bridge": [before.bridge, settings.bridge], "vlan": [before.vlan, settings.vlan] }),
    );
    app.store.change_environment(&id, &settings).await?;
    Ok(Json(app.store.environment(&id).await?))
}

/// Its members, by login.
#[utoipa::path(get, path = "/api/v1/environments/{environment}/members", tag = "environments", params(("environment" = String, Path)), responses((status = 200, body = Vec<Member>)))]
pub async fn members(
    State(app): State<App>,
    Path(id): Path<EnvironmentId>,
) -> Result<Json<Vec<Member>>> {
    Ok(Json(app.store.members_of(&id).await?))
}

/// As what somebody is a member.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// viewer, developer or `team_lead`; never more than one has oneself.
    pub role: Role,
}

/// Adds a member, or changes their role.
#[utoipa::path(put, path = "/api/v1/environments/{environment}/members/{person}", tag = "environments", params(("environment" = String, Path), ("person" = String, Path)), request_body = Membership, responses((status = 204)))]
pub async fn set(
    State(app): State<App>,
    note: Note,
    actor: Actor,
    about: About,
    Path((id, person)): Path<(EnvironmentId, PersonId)>,
    Json(membership): Json<Membership>,
) -> Result<StatusCode> {
    set_member(&app, &note, &actor, &about, &id, &person, membership.role).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a member. What they own stays theirs.
#[utoipa::path(delete, path = "/api/v1/environments/{environment}/members/{person}", tag = "environments", params(("environment" = String, Path), ("person" = String, Path)), responses((status = 204)))]
pub async fn remove(
    State(app): State<App>,
    note: Note,
    Path((id, person)): Path<(EnvironmentId, PersonId)>,
) -> Result<StatusCode> {
    note.detail(json!({ "removed": person }));
    if app.store.remove_member(&id, &person).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::not_found())
    }
}
