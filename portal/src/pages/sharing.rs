//! Who may do what with a cluster.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::App;
use crate::audit::Note;
use crate::error::{Error, Field, Result};
use crate::extract::{Form, Path};
use crate::gate::About;
use crate::ids::{ClusterId, PersonId};
use crate::rights::{Action, Actor, Level, level_on};
use crate::ui::{Ui, done, errors};

/// The grants on a cluster.
pub async fn show(
    State(app): State<App>,
    ui: Ui,
    about: About,
    actor: Actor,
    Path(id): Path<ClusterId>,
) -> Result<Response> {
    page(&app, &ui, &about, &actor, &id, StatusCode::OK, None).await
}

async fn page(
    app: &App,
    ui: &Ui,
    about: &About,
    actor: &Actor,
    id: &ClusterId,
    status: StatusCode,
    error: Option<&Error>,
) -> Result<Response> {
    let crate::rights::Scope::Cluster { member, grant, .. } = &about.scope else {
        return Err(Error::not_found());
    };
    let with = json!({
        "cluster": { "id": id, "name": about.target.name },
        "grants": app.store.grants_on(id).await?,
        "yours": level_on(actor, *member, *grant),
        "errors": error.map(errors).unwrap_or_default(),
        "why_not": ui.why_not(Action::ShareCluster, &about.scope),
    });
    ui.answer(status, "sharing.html", with)
}

/// What the form sends.
#[derive(Deserialize)]
pub struct NewGrant {
    login: String,
    level: Level,
}

/// Grants, or changes what was granted.
pub async fn grant(
    State(app): State<App>,
    ui: Ui,
    note: Note,
    about: About,
    actor: Actor,
    Path(id): Path<ClusterId>,
    Form(NewGrant { login, level }): Form<NewGrant>,
) -> Result<Response> {
    let Some(person) = app.store.person_by_login(login.trim()).await? else {
        let error = Error::invalid(vec![Field::new("login", "Nobody has this login.")]);
        return page(
            &app,
            &ui,
            &about,
            &actor,
            &id,
            StatusCode::UNPROCESSABLE_ENTITY,
            Some(&error),
        )
        .await;
    };
    note.detail(json!({ "to": person.login, "level": level }));
    app.store.set_grant(&id, &person.id, level, &actor.person).await?;
    Ok(done(
        &format!("/clusters/{id}/sharing"),
        &format!("{} may {level} this cluster.", person.name),
    ))
}

/// Takes a grant back. It counts at once, for streams that are open as well.
pub async fn revoke(
    State(app): State<App>,
    note: Note,
    Path((id, person)): Path<(ClusterId, PersonId)>,
) -> Result<Response> {
    note.detail(json!({ "from": person }));
    if !app.store.remove_grant(&id, &person).await? {
        return Err(Error::not_found());
    }
    Ok(done(
        &format!("/clusters/{id}/sharing"),
        "Taken back. What they held of kubeconfigs is taken back too.",
    ))
}
