//! Courses and groups: who is in them, and what of Proxmox is theirs.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::App;
use crate::audit::Note;
use crate::environments::{Kind, Wish};
use crate::error::{Error, Field, Result};
use crate::extract::{Form, Path};
use crate::gate::About;
use crate::ids::{EnvironmentId, PersonId};
use crate::pages::clusters::list::cards;
use crate::pages::limits::meters;
use crate::quota;
use crate::rights::{Action, Actor, Role, Scope};
use crate::store::clusters::Search;
use crate::store::is_taken;
use crate::ui::{Ui, done, errors};

/// Those that one may see.
pub async fn list(State(app): State<App>, ui: Ui, actor: Actor) -> Result<Response> {
    let environments = app.store.environments_for(&actor).await?;
    let why_not = ui.why_not(Action::CreateEnvironment, &Scope::Site);
    ui.page("environments/list.html", json!({ "environments": environments, "why_not": why_not }))
}

/// The form for one more.
pub async fn new(ui: Ui) -> Result<Response> {
    let wish = Wish {
        name: String::new(),
        title: String::new(),
        kind: Kind::Course,
        proxmox_pool: String::new(),
        bridge: "vmbr0".to_owned(),
        vlan: String::new(),
        address_pool: String::new(),
    };
    ui.page("environments/new.html", json!({ "form": wish, "errors": {} }))
}

/// Makes one.
pub async fn create(
    State(app): State<App>,
    ui: Ui,
    note: Note,
    Form(wish): Form<Wish>,
) -> Result<Response> {
    match add(&app, &wish).await {
        Ok((id, name)) => {
            note.target("environment", &id, name);
            Ok(done(
                &format!("/environments/{id}"),
                "Made. Now add the people who lead it, and its members.",
            ))
        }
        Err(error) if !error.fields().is_empty() => {
            let with = json!({ "form": wish, "errors": errors(&error) });
            ui.answer(StatusCode::UNPROCESSABLE_ENTITY, "environments/new.html", with)
        }
        Err(error) => Err(error),
    }
}

/// For the page and the API.
pub(crate) async fn add(app: &App, wish: &Wish) -> Result<(EnvironmentId, String)> {
    let (name, settings) = wish.check()?;
    match app.store.add_environment(&name, &settings).await {
        Ok(id) => Ok((id, name)),
        Err(error) if is_taken(&error) => Err(Error::invalid(vec![Field::new(
            "name",
            format!("There is an environment {name} already."),
        )])),
        Err(error) => Err(error.into()),
    }
}

/// One of them, with its members.
pub async fn show(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    about: About,
    Path(id): Path<EnvironmentId>,
) -> Result<Response> {
    page(&app, &ui, &actor, &about, &id, StatusCode::OK, None).await
}

async fn page(
    app: &App,
    ui: &Ui,
    actor: &Actor,
    about: &About,
    id: &EnvironmentId,
    status: StatusCode,
    error: Option<&Error>,
) -> Result<Response> {
    let search = Search { environment: id.as_str(), ..Search::default() };
    let clusters = cards(app, &app.store.briefs_for(actor, search).await?).await?;
    let with = json!({
        "environment": app.store.environment(id).await?,
        "clusters": clusters,
        "meters": meters(&[app.store.gauge(quota::Scope::Environment, id.as_str()).await?]),
        "members": app.store.members_of(id).await?,
        "errors": error.map(errors).unwrap_or_default(),
        "change": ui.why_not(Action::ChangeEnvironment, &about.scope),
        "members_why_not": ui.why_not(Action::ChangeMembers, &about.scope),
        "create_why_not": ui.why_not(Action::CreateCluster, &about.scope),
    });
    ui.answer(status, "environments/one.html", with)
}

/// Changes its settings.
pub async fn change(
    State(app): State<App>,
    ui: Ui,
    note: Note,
    actor: Actor,
    about: About,
    Path(id): Path<EnvironmentId>,
    Form(wish): Form<Wish>,
) -> Result<Response> {
    let before = app.store.environment(&id).await?;
    match (Wish { name: before.name.clone(), ..wish }).check() {
        Ok((_, settings)) => {
            note.detail(json!({
                "bridge": [before.bridge, settings.bridge],
                "vlan": [before.vlan, settings.vlan],
                "address_pool": [before.address_pool, settings.address_pool],
                "proxmox_pool": [before.proxmox_pool, settings.proxmox_pool],
            }));
            app.store.change_environment(&id, &settings).await?;
            Ok(done(
                &format!("/environments/{id}"),
                "Saved. Clusters that exist keep what they were made with.",
            ))
        }
        Err(error) => {
            page(&app, &ui, &actor, &about, &id, StatusCode::UNPROCESSABLE_ENTITY, Some(&error))
                .await
        }
    }
}

/// What the member form sends.
#[derive(Deserialize)]
pub struct NewMember {
    login: String,
    role: Role,
}

/// Adds a member, or changes their role.
pub async fn add_member(
    State(app): State<App>,
    ui: Ui,
    note: Note,
    actor: Actor,
    about: About,
    Path(id): Path<EnvironmentId>,
    Form(form): Form<NewMember>,
) -> Result<Response> {
    let added = match app.store.person_by_login(form.login.trim()).await? {
        Some(person) => set_member(&app, &note, &actor, &about, &id, &person.id, form.role)
            .await
            .map(|()| person),
        None => Err(Error::invalid(vec![Field::new(
            "login",
            "Nobody has this login. An administrator can invite them.",
        )])),
    };
    match added {
        Ok(person) => Ok(done(
            &format!("/environments/{id}"),
            &format!("{} is a {} here.", person.name, form.role),
        )),
        Err(error) if !error.fields().is_empty() => {
            page(&app, &ui, &actor, &about, &id, StatusCode::UNPROCESSABLE_ENTITY, Some(&error))
                .await
        }
        Err(error) => Err(error),
    }
}

/// For the page and the API: nobody gives more than they have.
pub(crate) async fn set_member(
    app: &App,
    note: &Note,
    actor: &Actor,
    about: &About,
    id: &EnvironmentId,
    person: &PersonId,
    role: Role,
) -> Result<()> {
    if role == Role::Admin {
        let detail = "In an environment somebody is a viewer, developer or team lead; administrators are so everywhere.";
        return Err(Error::invalid(vec![Field::new("role", detail)]));
    }
    let Scope::Environment { member, .. } = &about.scope else { return Err(Error::not_found()) };
    let own = crate::rights::role_in(actor, *member);
    if own < Some(role) {
        return Err(Error::invalid(vec![Field::new("role", "You can't give more than you have.")]));
    }
    let found = app.store.person(person).await?;
    note.detail(json!({ "member": found.login, "role": role }));
    Ok(app.store.set_member(id, person, role).await?)
}

/// Removes a member. Clusters that they own stay theirs.
pub async fn remove_member(
    State(app): State<App>,
    note: Note,
    Path((id, person)): Path<(EnvironmentId, PersonId)>,
) -> Result<Response> {
    note.detail(json!({ "removed": person }));
    if !app.store.remove_member(&id, &person).await? {
        return Err(Error::not_found());
    }
    Ok(done(
        &format!("/environments/{id}"),
        "Removed. What they own stays theirs; take grants back on the clusters' pages.",
    ))
}
