//! Quotas: what an environment, a person and the site may hold, and what they hold now.

use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::App;
use crate::audit::Note;
use crate::error::Result;
use crate::extract::{Json, Path};
use crate::ids::{EnvironmentId, PersonId};
use crate::quota::{Amount, Gauge, Limit, Scope};

/// One quota.
#[derive(Debug, Serialize, ToSchema)]
pub struct Quota {
    /// How much may be held; what is not given is not limited.
    pub limit: Limit,
    /// What is held now.
    pub held: Amount,
}

/// The quotas that nobody has of their own.
#[derive(Debug, Serialize, ToSchema)]
pub struct SiteQuotas {
    /// Everybody's together.
    pub site: Quota,
    /// Of every environment without one of its own.
    pub environment: Limit,
    /// Of every person without one of their own.
    pub person: Limit,
}

async fn quota(app: &App, scope: Scope, id: &str) -> Result<Json<Quota>> {
    let Gauge { limit, held, .. } = app.store.gauge(scope, id).await?;
    Ok(Json(Quota { limit, held }))
}

async fn set(app: &App, note: &Note, scope: Scope, id: &str, limit: Limit) -> Result<Json<Quota>> {
    note.detail(
        json!({ "scope": scope, "before": app.store.limit(scope, id).await?, "after": limit }),
    );
    app.store.set_limit(scope, id, limit).await?;
    quota(app, scope, id).await
}

/// An environment's; the default's limit if it has none of its own.
#[utoipa::path(get, path = "/api/v1/environments/{environment}/quota", tag = "quotas", params(("environment" = String, Path)), responses((status = 200, body = Quota)))]
pub async fn of_environment(
    State(app): State<App>,
    Path(id): Path<EnvironmentId>,
) -> Result<Json<Quota>> {
    quota(&app, Scope::Environment, id.as_str()).await
}

/// Sets an environment's; without any number, the default counts again. What is held already stays; nothing new is let in past
/// it.
#[utoipa::path(put, path = "/api/v1/environments/{environment}/quota", tag = "quotas", params(("environment" = String, Path)), request_body = Limit, responses((status = 200, body = Quota)))]
pub async fn limit_environment(
    State(app): State<App>,
    note: Note,
    Path(id): Path<EnvironmentId>,
    Json(limit): Json<Limit>,
) -> Result<Json<Quota>> {
    set(&app, &note, Scope::Environment, id.as_str(), limit).await
}

/// A person's; the default's limit if they have none of their own.
#[utoipa::path(get, path = "/api/v1/users/{person}/quota", tag = "quotas", params(("person" = String, Path)), responses((status = 200, body = Quota)))]
pub async fn of_person(State(app): State<App>, Path(id): Path<PersonId>) -> Result<Json<Quota>> {
    app.store.person(&id).await?;
    quota(&app, Scope::Person, id.as_str()).await
}

/// Sets a person's; without any number, the default counts again.
#[utoipa::path(put, path = "/api/v1/users/{person}/quota", tag = "quotas", params(("person" = String, Path)), request_body = Limit, responses((status = 200, body = Quota)))]
pub async fn limit_person(
    State(app): State<App>,
    note: Note,
    Path(id): Path<PersonId>,
    Json(limit): Json<Limit>,
) -> Result<Json<Quota>> {
    let person = app.store.person(&id).await?;
    note.target("person", &id, person.login);
    set(&app, &note, Scope::Person, id.as_str(), limit).await
}

/// The site's, and the defaults.
#[utoipa::path(get, path = "/api/v1/quotas", tag = "quotas", responses((status = 200, body = SiteQuotas)))]
pub async fn of_site(State(app): State<App>) -> Result<Json<SiteQuotas>> {
    let Json(site) = quota(&app, Scope::Site, "").await?;
    let environment = app.store.limit(Scope::Environment, "").await?;
    Ok(Json(SiteQuotas { site, environment, person: app.store.limit(Scope::Person, "").await? }))
}

/// Sets the site's (`site`), or what counts for everyone without a quota of their own (`environment`, `person`).
#[utoipa::path(put, path = "/api/v1/quotas/{scope}", tag = "quotas", params(("scope" = String, Path, description = "site, environment or person")), request_body = Limit, responses((status = 200, body = SiteQuotas)))]
pub async fn limit_site(
    State(app): State<App>,
    note: Note,
    Path(scope): Path<Scope>,
    Json(limit): Json<Limit>,
) -> Result<Json<SiteQuotas>> {
    set(&app, &note, scope, "", limit).await?;
    of_site(State(app)).await
}
