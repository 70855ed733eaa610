//! A new cluster: where, what, which size, which name.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::App;
use crate::api::clusters::create_once;
use crate::audit::Note;
use crate::cluster::catalogue::{Size, Template};
use crate::cluster::form::NewCluster;
use crate::error::{Error, Result};
use crate::extract::{Form, Path};
use crate::gate;
use crate::ids::EnvironmentId;
use crate::pages::limits::{Meters, meters};
use crate::quota::{Amount, Gauge};
use crate::rights::{Action, Actor};
use crate::store::environments::Environment;
use crate::ui::{Ui, done, errors};

/// What the form sends.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Filled {
    name: String,
    /// Template and size, as one choice: which sizes there are depends on the template.
    choice: String,
    /// Sent twice, the form makes one cluster.
    key: String,
}

/// A size as it is offered.
#[derive(Serialize)]
struct Offer {
    choice: String,
    title: String,
    takes: String,
    workers: u32,
    max_workers: u32,
    too_much: Option<String>,
}

/// Where: on to the form if there is only one place.
pub async fn place(State(app): State<App>, ui: Ui, actor: Actor) -> Result<Response> {
    let environments = app.store.environments_for(&actor).await?;
    let mut places = Vec::new();
    for (environment, scope) in gate::in_environments(&app, &actor, &environments).await? {
        let closed = environment.archived_at.map(|_| "It is closed.".to_owned());
        let why_not = closed.or_else(|| ui.why_not(Action::CreateCluster, &scope));
        places.push((environment, why_not));
    }
    if let [(environment, None)] = places.as_slice() {
        return Ok(Redirect::to(&form_of(&environment.id)).into_response());
    }
    let places: Vec<_> = places
        .into_iter()
        .map(|(environment, why_not)| json!({ "environment": environment, "why_not": why_not }))
        .collect();
    ui.page("clusters/place.html", json!({ "places": places }))
}

fn form_of(environment: &EnvironmentId) -> String {
    format!("/environments/{environment}/clusters/new")
}

/// The form.
pub async fn form(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    Path(id): Path<EnvironmentId>,
) -> Result<Response> {
    let environment = app.store.environment(&id).await?;
    let choice = app
        .config
        .templates
        .first()
        .and_then(|template| template.sizes.first().map(|size| choice(template, size)));
    let filled = Filled {
        choice: choice.unwrap_or_default(),
        key: ulid::Ulid::generate().to_string(),
        ..Filled::default()
    };
    page(&app, &ui, &actor, &environment, &filled, None).await
}

async fn page(
    app: &App,
    ui: &Ui,
    actor: &Actor,
    environment: &Environment,
    filled: &Filled,
    refused: Option<&Error>,
) -> Result<Response> {
    let mut templates = Vec::new();
    let mut held = None;
    for template in &app.config.templates {
        let mut sizes = Vec::new();
        for size in &template.sizes {
            let takes = Amount::of(size.control_plane, size.worker, size.workers);
            let gauges = app.store.gauges(&actor.person, &environment.id, None, takes).await?;
            let too_much: Vec<_> = gauges.iter().filter_map(Gauge::exceeded).collect();
            sizes.push(Offer {
                choice: choice(template, size),
                title: size.title.clone(),
                takes: takes.to_string(),
                workers: size.workers,
                max_workers: size.max_workers,
                too_much: (!too_much.is_empty()).then(|| too_much.join(" ")),
            });
            // Before anything is chosen: what is held now.
            held.get_or_insert_with(|| now(gauges));
        }
        templates.push(json!({
            "title": template.title,
            "kubernetes_version": template.kubernetes_version,
            "sizes": sizes,
        }));
    }
    let general = refused.filter(|error| error.fields().is_empty()).map(Error::to_string);
    let with = json!({
        "environment": environment,
        "templates": templates,
        "meters": held.unwrap_or_default(),
        "form": filled,
        "errors": refused.map(errors).unwrap_or_default(),
        "problem": general,
    });
    let status = refused.map_or(StatusCode::OK, |error| error.problem().status);
    ui.answer(status, "clusters/new.html", with)
}

fn now(gauges: Vec<Gauge>) -> Vec<Meters> {
    let still = gauges.into_iter().map(|gauge| Gauge { after: gauge.held, ..gauge });
    meters(&still.collect::<Vec<_>>())
}

/// Asks for it: on to its plan.
pub async fn create(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    note: Note,
    Path(id): Path<EnvironmentId>,
    Form(filled): Form<Filled>,
) -> Result<Response> {
    let environment = app.store.environment(&id).await?;
    let (template, size) = chosen(&app.config.templates, &filled.choice);
    let form = NewCluster { name: filled.name.clone(), template, size };
    match create_once(&app, &actor, &environment, &form, Some(&filled.key)).await {
        Ok(made) => {
            note.target("cluster", &made.cluster, form.name.trim());
            note.detail(json!({ "run": made.run, "template": form.template, "size": form.size }));
            let sentence = "Nothing is made yet. Read the plan, then approve it.";
            Ok(done(&format!("/runs/{}", made.run), sentence))
        }
        Err(error) if error.problem().status.is_client_error() => {
            page(&app, &ui, &actor, &environment, &filled, Some(&error)).await
        }
        Err(error) => Err(error),
    }
}

fn choice(template: &Template, size: &Size) -> String {
    format!("{}/{}", template.id, size.id)
}

/// The ids behind a choice; empty where there is none, which the form's check then says.
fn chosen(templates: &[Template], text: &str) -> (String, String) {
    let pairs = templates
        .iter()
        .flat_map(|template| template.sizes.iter().map(move |size| (template, size)));
    let found = pairs.into_iter().find(|(template, size)| choice(template, size) == text);
    found.map(|(template, size)| (template.id.clone(), size.id.clone())).unwrap_or_default()
}
