//! What can be done with a cluster: more or fewer workers, repair, protection, its end.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::App;
use crate::audit::Note;
use crate::cluster::standing::Standing;
use crate::error::{Error, Result};
use crate::extract::{Form, Path};
use crate::gate::About;
use crate::ids::{ClusterId, RunId};
use crate::pages::limits::meters;
use crate::quota::Amount;
use crate::rights::{Action, Actor};
use crate::runs::ask;
use crate::ui::{Ui, done, errors};

/// The page.
pub async fn show(
    State(app): State<App>,
    ui: Ui,
    about: About,
    Path(id): Path<ClusterId>,
) -> Result<Response> {
    page(&app, &ui, &about, &id, &Typed::default(), None).await
}

/// What was typed into one of the page's forms.
#[derive(Debug, Default)]
struct Typed {
    workers: Option<String>,
    name: Option<String>,
}

async fn page(
    app: &App,
    ui: &Ui,
    about: &About,
    id: &ClusterId,
    typed: &Typed,
    refused: Option<&Error>,
) -> Result<Response> {
    let cluster = app.store.cluster(id).await?;
    let runs = app.store.runs_of(id).await?;
    let open = runs.first().filter(|run| !run.state.has_ended()).map(|run| run.id.clone());
    let last = runs.first().map(|run| (run.kind, run.state));
    let wanted = &cluster.spec.wanted;
    let gauges = app
        .store
        .gauges(&cluster.created_by, &cluster.environment, Some(id), Amount::wanted(wanted))
        .await?;
    let why_not = |action| {
        let gone = cluster.removed_at.map(|_| "This cluster is gone.".to_owned());
        gone.or_else(|| ui.why_not(action, &about.scope))
    };
    let protected =
        cluster.protected.then(|| "It is protected. Take the protection away first.".to_owned());
    let with = json!({
        "cluster": about.target,
        "standing": Standing::of(last, app.store.stands(id).await?),
        "open": open,
        "workers": typed.workers.clone().unwrap_or_else(|| wanted.workers.count.to_string()),
        "most_workers": wanted.most_workers(),
        "worker": wanted.workers.size,
        "protected": cluster.protected,
        "edited_files": ask::workspace(app, id)?.edited().map_err(Error::internal)?,
        "typed": typed.name,
        "meters": meters(&gauges),
        "errors": refused.map(errors).unwrap_or_default(),
        "problem": refused.filter(|error| error.fields().is_empty()).map(Error::to_string),
        "change_why_not": why_not(Action::ChangeCluster),
        "share_why_not": why_not(Action::ShareCluster),
        "destroy_why_not": why_not(Action::DestroyCluster).or(protected),
    });
    let status = refused.map_or(StatusCode::OK, |error| error.problem().status);
    ui.answer(status, "clusters/change.html", with)
}

/// How many workers.
#[derive(Debug, Deserialize)]
pub struct Workers {
    workers: String,
}

/// Asks for another number of workers: on to the plan.
pub async fn scale(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    about: About,
    note: Note,
    Path(id): Path<ClusterId>,
    Form(Workers { workers }): Form<Workers>,
) -> Result<Response> {
    let cluster = app.store.cluster(&id).await?;
    note.detail(json!({ "workers": workers.chars().take(20).collect::<String>() }));
    match ask::scale(&app, &actor, &cluster, &workers).await {
        Ok(run) => {
            note.detail(json!({ "workers": workers.trim(), "run": run }));
            Ok(to_plan(&run))
        }
        Err(error) => {
            let typed = Typed { workers: Some(workers), name: None };
            again(&app, &ui, &about, &id, &typed, error).await
        }
    }
}

/// Plans what it should be already: whatever is broken is repaired.
pub async fn repair(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    about: About,
    note: Note,
    Path(id): Path<ClusterId>,
) -> Result<Response> {
    let cluster = app.store.cluster(&id).await?;
    match ask::change(&app, &actor, &cluster, cluster.spec.wanted.clone()).await {
        Ok(run) => {
            note.detail(json!({ "repair": true, "run": run }));
            Ok(to_plan(&run))
        }
        Err(error) => again(&app, &ui, &about, &id, &Typed::default(), error).await,
    }
}

/// Goes on with what failed.
pub async fn retry(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    about: About,
    note: Note,
    Path(id): Path<ClusterId>,
) -> Result<Response> {
    match ask::retry(&app, &actor, &app.store.cluster(&id).await?).await {
        Ok(run) => {
            note.detail(json!({ "retry": true, "run": run }));
            Ok(to_plan(&run))
        }
        Err(error) => again(&app, &ui, &about, &id, &Typed::default(), error).await,
    }
}

/// The name, typed once more.
#[derive(Debug, Deserialize)]
pub struct Name {
    name: String,
}

/// Asks for its end: on to the plan, which says what goes.
pub async fn destroy(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    about: About,
    note: Note,
    Path(id): Path<ClusterId>,
    Form(Name { name }): Form<Name>,
) -> Result<Response> {
    match ask::destroy(&app, &actor, &app.store.cluster(&id).await?, &name).await {
        Ok(run) => {
            note.detail(json!({ "run": run }));
            Ok(to_plan(&run))
        }
        Err(error) => {
            let typed = Typed { workers: None, name: Some(name) };
            again(&app, &ui, &about, &id, &typed, error).await
        }
    }
}

/// Whether it is to be protected.
#[derive(Debug, Deserialize)]
pub struct Protection {
    protected: bool,
}

/// Protects it, or takes the protection away.
pub async fn protect(
    State(app): State<App>,
    note: Note,
    Path(id): Path<ClusterId>,
    Form(Protection { protected }): Form<Protection>,
) -> Result<Response> {
    app.store.protect_cluster(&id, protected).await?;
    note.detail(json!({ "protected": protected }));
    let sentence = if protected {
        "Protected: nobody can destroy it before the protection is taken away."
    } else {
        "The protection is taken away."
    };
    Ok(done(&format!("/clusters/{id}/change"), sentence))
}

/// Writes the files of its folder anew.
pub async fn restore_files(State(app): State<App>, Path(id): Path<ClusterId>) -> Result<Response> {
    ask::restore_files(&app, &app.store.cluster(&id).await?)?;
    Ok(done(&format!("/clusters/{id}/change"), "The files are as the portal writes them."))
}

async fn again(
    app: &App,
    ui: &Ui,
    about: &About,
    id: &ClusterId,
    typed: &Typed,
    error: Error,
) -> Result<Response> {
    if error.problem().status.is_client_error() {
        return page(app, ui, about, id, typed, Some(&error)).await;
    }
    Err(error)
}

fn to_plan(run: &RunId) -> Response {
    done(&format!("/runs/{run}"), "Nothing is changed yet. Read the plan, then approve it.")
}
