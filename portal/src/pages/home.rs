//! What is yours, what needs you, and what to do first.

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::App;
use crate::cluster::standing::Tone;
use crate::error::Result;
use crate::gate;
use crate::pages::clusters::list::cards;
use crate::pages::limits::meters;
use crate::quota::Scope;
use crate::rights::{Action, Actor, Role};
use crate::ui::Ui;

/// So many clusters stand on this page; the list has all of them.
const SHOWN: usize = 10;

/// The page after signing in.
pub async fn show(State(app): State<App>, ui: Ui, actor: Actor) -> Result<Response> {
    let environments = app.store.environments_for(&actor).await?;
    let mut may_create = false;
    for environment in environments.iter().filter(|one| one.archived_at.is_none()) {
        let scope = gate::in_environment(&app, &actor, &environment.id).await?.scope;
        if ui.why_not(Action::CreateCluster, &scope).is_none() {
            may_create = true;
            break;
        }
    }
    let mut clusters = cards(&app, &actor).await?;
    let count = clusters.len();
    // What needs somebody, then what moves, then the rest; within each the newest first.
    clusters.sort_by_key(|card| match card.standing.tone {
        Tone::Wait | Tone::Bad => 0,
        Tone::Busy => 1,
        Tone::Good | Tone::Off => 2,
    });
    clusters.truncate(SHOWN);
    let first_steps = actor.role == Role::Admin && count == 0;
    let with = json!({
        "moves": clusters.iter().any(|card| card.standing.moves),
        "clusters": clusters,
        "count": count,
        "environments": environments,
        "may_create": may_create,
        "meters": meters(&[app.store.gauge(Scope::Person, actor.person.as_str()).await?]),
        "people": if first_steps { app.store.people().await?.len() } else { 0 },
        "first_steps": first_steps,
    });
    ui.page("home.html", with)
}
