//! What is yours, what needs you, and what to do first.

use std::cmp::Reverse;

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::App;
use crate::cluster::standing::Tone;
use crate::error::Result;
use crate::gate;
use crate::pages::clusters::list::{cards, standing};
use crate::pages::limits::meters;
use crate::quota::Scope;
use crate::rights::{Action, Actor, Role};
use crate::store::clusters::Search;
use crate::ui::Ui;

/// So many clusters stand on this page, and so many environments; the lists have all of them.
const CLUSTERS: usize = 10;
const ENVIRONMENTS: usize = 12;

/// The page after signing in.
pub async fn show(State(app): State<App>, ui: Ui, actor: Actor) -> Result<Response> {
    let environments = app.store.environments_for(&actor).await?;
    let places = gate::in_environments(&app, &actor, &environments).await?;
    let may_create = places.iter().any(|(environment, scope)| {
        environment.archived_at.is_none() && ui.why_not(Action::CreateCluster, scope).is_none()
    });
    let (newest, count) = app.store.newest_for(&actor, Search::default(), CLUSTERS).await?;
    // What needs somebody or moves has a run that did not succeed.
    let unsettled = Search { unsettled: true, ..Search::default() };
    let mut briefs = app.store.briefs_for(&actor, unsettled).await?;
    briefs.extend(newest);
    // What needs somebody, then what moves, then the rest; within each the newest first.
    briefs.sort_by_key(|brief| {
        let rank = match standing(brief).tone {
            Tone::Wait | Tone::Bad => 0,
            Tone::Busy => 1,
            Tone::Good | Tone::Off => 2,
        };
        (rank, Reverse(brief.id.clone()))
    });
    briefs.dedup_by(|one, other| one.id == other.id);
    briefs.truncate(CLUSTERS);
    let clusters = cards(&app, &briefs).await?;
    let first_steps = actor.role == Role::Admin && count == 0;
    let with = json!({
        "moves": clusters.iter().any(|card| card.standing.moves),
        "clusters": clusters,
        "count": count,
        "environments": &environments[..environments.len().min(ENVIRONMENTS)],
        "count_environments": environments.len(),
        "may_create": may_create,
        "meters": meters(&[app.store.gauge(Scope::Person, actor.person.as_str()).await?]),
        "people": if first_steps { app.store.people().await?.len() } else { 0 },
        "first_steps": first_steps,
    });
    ui.page("home.html", with)
}
