//! The people of the site, for administrators.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::App;
use crate::audit::Note;
use crate::error::{Error, Result};
use crate::extract::{Form, Path};
use crate::ids::PersonId;
use crate::people::accounts::{self, Wish};
use crate::rights::{Action, Role, Scope};
use crate::text;
use crate::ui::{Ui, done, errors};

/// Everybody.
pub async fn list(State(app): State<App>, ui: Ui) -> Result<Response> {
    let why_not = ui.why_not(Action::ChangePeople, &Scope::Site);
    ui.page("people/list.html", json!({ "people": app.store.people().await?, "why_not": why_not }))
}

/// The form for one more.
pub async fn new(ui: Ui) -> Result<Response> {
    ui.page("people/new.html", json!({ "form": { "login": "", "name": "", "role": "developer", "auditor": false }, "errors": {} }))
}

/// What it sends: a box that is not ticked is not sent at all.
#[derive(Deserialize)]
pub struct NewPerson {
    login: String,
    name: String,
    role: Role,
    auditor: Option<String>,
}

/// Invites somebody and shows the link, this once.
pub async fn invite(
    State(app): State<App>,
    ui: Ui,
    note: Note,
    Form(form): Form<NewPerson>,
) -> Result<Response> {
    let NewPerson { login, name, role, auditor } = form;
    let wish = Wish { login, name, role, auditor: auditor.is_some() };
    match accounts::invite(&app, &wish).await {
        Ok((person, link)) => {
            note.target("person", &person, wish.login.trim());
            note.detail(json!({ "role": wish.role, "auditor": wish.auditor }));
            ui.page(
                "people/link.html",
                json!({ "login": wish.login.trim(), "person": person, "link": link, "new": true }),
            )
        }
        Err(error) if !error.fields().is_empty() => {
            let Wish { login, name, role, auditor } = wish;
            let form = json!({ "login": login, "name": name, "role": role, "auditor": auditor });
            ui.answer(
                StatusCode::UNPROCESSABLE_ENTITY,
                "people/new.html",
                json!({ "form": form, "errors": errors(&error) }),
            )
        }
        Err(error) => Err(error),
    }
}

/// One person.
pub async fn show(
    State(app): State<App>,
    ui: Ui,
    Path(person): Path<PersonId>,
) -> Result<Response> {
    page(&app, &ui, &person, StatusCode::OK, None).await
}

async fn page(
    app: &App,
    ui: &Ui,
    id: &PersonId,
    status: StatusCode,
    error: Option<&Error>,
) -> Result<Response> {
    let with = json!({
        "person": app.store.person(id).await?,
        "environments": app.store.memberships_of(id).await?,
        "errors": error.map(errors).unwrap_or_default(),
        "why_not": ui.why_not(Action::ChangePeople, &Scope::Site),
    });
    ui.answer(status, "people/one.html", with)
}

/// What its form sends.
#[derive(Deserialize)]
pub struct Change {
    name: String,
    role: Role,
    auditor: Option<String>,
}

/// Changes name and role.
pub async fn change(
    State(app): State<App>,
    ui: Ui,
    note: Note,
    Path(id): Path<PersonId>,
    Form(form): Form<Change>,
) -> Result<Response> {
    let before = app.store.person(&id).await?;
    note.target("person", &id, &before.login);
    let Change { name, role, auditor } = form;
    let name = match text::line("name", &name, 80) {
        Ok(name) => name,
        Err(field) => {
            let error = Error::invalid(vec![field]);
            return page(&app, &ui, &id, StatusCode::UNPROCESSABLE_ENTITY, Some(&error)).await;
        }
    };
    note.detail(
        json!({ "role": [before.role, role], "auditor": [before.auditor, auditor.is_some()] }),
    );
    if !app.store.change_person(&id, &name, role, auditor.is_some()).await? {
        return Err(last_administrator());
    }
    Ok(done(&format!("/people/{id}"), "Saved."))
}

/// A new link for somebody who has lost their password, or never used the first one.
pub async fn link(
    State(app): State<App>,
    ui: Ui,
    note: Note,
    Path(id): Path<PersonId>,
) -> Result<Response> {
    let person = app.store.person(&id).await?;
    note.target("person", &id, &person.login);
    let link = accounts::link_for(&app, &id).await?;
    ui.page(
        "people/link.html",
        json!({ "login": person.login, "person": id, "link": link, "new": false }),
    )
}

/// Ends all sessions; keys and links are good no longer.
pub async fn disable(
    State(app): State<App>,
    note: Note,
    Path(id): Path<PersonId>,
) -> Result<Response> {
    set_disabled(&app, &note, &id, true).await?;
    Ok(done(
        &format!("/people/{id}"),
        "Disabled: sessions have ended and keys are refused. Clusters stay.",
    ))
}

/// Lets somebody in again.
pub async fn enable(
    State(app): State<App>,
    note: Note,
    Path(id): Path<PersonId>,
) -> Result<Response> {
    set_disabled(&app, &note, &id, false).await?;
    Ok(done(&format!("/people/{id}"), "Enabled."))
}

/// For the page and the API.
pub(crate) async fn set_disabled(
    app: &App,
    note: &Note,
    id: &PersonId,
    disabled: bool,
) -> Result<()> {
    let person = app.store.person(id).await?;
    note.target("person", id, &person.login);
    note.detail(json!({ "disabled": disabled }));
    if app.store.set_disabled(id, disabled).await? { Ok(()) } else { Err(last_administrator()) }
}

pub(crate) fn last_administrator() -> Error {
    Error::conflict(
        "last_administrator",
        "Nobody would be left to administer the site. Make somebody else an administrator first.",
    )
}
