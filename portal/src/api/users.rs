//! People, for administrators and auditors.

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::App;
use crate::audit::Note;
use crate::error::{Error, Result};
use crate::extract::{Json, Path};
use crate::ids::PersonId;
use crate::pages::people::{last_administrator, set_disabled};
use crate::people::accounts::{self, OneTimeLink, Wish};
use crate::rights::Role;
use crate::store::people::Person;
use crate::text;

/// A person who was invited, and the link through which they set a password.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Invited {
    /// The new account.
    pub user: Person,
    /// Shown this once.
    pub link: OneTimeLink,
}

/// What of an account is to change; what is left out stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserChange)]
pub struct Change {
    /// What they are called.
    pub name: Option<String>,
    /// Their role on the site.
    pub role: Option<Role>,
    /// Whether they may look at everything.
    pub auditor: Option<bool>,
    /// `true` ends sessions and refuses keys at once.
    pub disabled: Option<bool>,
}

/// Everybody, by login.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", responses((status = 200, body = Vec<Person>)))]
pub async fn list(State(app): State<App>) -> Result<Json<Vec<Person>>> {
    Ok(Json(app.store.people().await?))
}

/// Invites somebody.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = Wish, responses((status = 201, body = Invited)))]
pub async fn invite(
    State(app): State<App>,
    note: Note,
    Json(wish): Json<Wish>,
) -> Result<(StatusCode, Json<Invited>)> {
    let (id, link) = accounts::invite(&app, &wish).await?;
    note.target("person", &id, wish.login.trim());
    note.detail(json!({ "role": wish.role, "auditor": wish.auditor }));
    Ok((StatusCode::CREATED, Json(Invited { user: app.store.person(&id).await?, link })))
}

/// One of them.
#[utoipa::path(get, path = "/api/v1/users/{person}", tag = "users", params(("person" = String, Path)), responses((status = 200, body = Person)))]
pub async fn show(State(app): State<App>, Path(id): Path<PersonId>) -> Result<Json<Person>> {
    Ok(Json(app.store.person(&id).await?))
}

/// Changes an account.
#[utoipa::path(patch, path = "/api/v1/users/{person}", tag = "users", params(("person" = String, Path)), request_body = Change, responses((status = 200, body = Person)))]
pub async fn change(
    State(app): State<App>,
    note: Note,
    Path(id): Path<PersonId>,
    Json(change): Json<Change>,
) -> Result<Json<Person>> {
    let before = app.store.person(&id).await?;
    note.target("person", &id, &before.login);
    let Change { name, role, auditor, disabled } = change;
    let name = name.map(|name| text::line("name", &name, 80)).transpose();
    let name = name.map_err(|field| Error::invalid(vec![field]))?.unwrap_or(before.name);
    let (role, auditor) = (role.unwrap_or(before.role), auditor.unwrap_or(before.auditor));
    if !app.store.change_person(&id, &name, role, auditor).await? {
        return Err(last_administrator());
    }
    if let Some(disabled) = disabled {
        set_disabled(&app, &note, &id, disabled).await?;
    }
    note.detail(json!({ "role": [before.role, role], "auditor": [before.auditor, auditor], "disabled": disabled }));
    Ok(Json(app.store.person(&id).await?))
}

/// A new link to set the password through; earlier ones are void.
#[utoipa::path(post, path = "/api/v1/users/{person}/link", tag = "users", params(("person" = String, Path)), responses((status = 201, body = OneTimeLink)))]
pub async fn link(
    State(app): State<App>,
    note: Note,
    Path(id): Path<PersonId>,
) -> Result<(StatusCode, Json<OneTimeLink>)> {
    note.target("person", &id, app.store.person(&id).await?.login);
    Ok((StatusCode::CREATED, Json(accounts::link_for(&app, &id).await?)))
}
