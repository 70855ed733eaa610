//! One cluster: what it is, what ran, and the file it is made from.

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::App;
use crate::api::clusters::detail;
use crate::api::runs::RunView;
use crate::cluster::standing::Standing;
use crate::error::Result;
use crate::extract::Path;
use crate::gate::About;
use crate::ids::ClusterId;
use crate::pages::limits::meters;
use crate::pages::runs::row;
use crate::rights::{Action, Actor, Scope, level_on};
use crate::runs::ask;
use crate::ui::Ui;

/// Machines, addresses, endpoint, and what happened last.
pub async fn show(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    about: About,
    Path(id): Path<ClusterId>,
) -> Result<Response> {
    let cluster = app.store.cluster(&id).await?;
    let runs = app.store.runs_of(&id).await?;
    let removed = cluster.removed_at.is_some();
    let last = runs.first().map(|run| (run.kind, run.state));
    let standing = Standing::of(last, app.store.stands(&id).await?);
    let detail = detail(&app, cluster).await?;
    let quotas = if removed { Vec::new() } else { meters(&detail.quotas) };
    // What was removed has a receipt.
    let receipt = runs.iter().find_map(|run| run.receipt.clone());
    let yours = match &about.scope {
        Scope::Cluster { member, grant, .. } => level_on(&actor, *member, *grant),
        _ => None,
    };
    let with = json!({
        "cluster": detail,
        "standing": standing,
        "removed": removed,
        "receipt": receipt.filter(|_| removed),
        "last": runs.into_iter().next().map(|run| row(RunView::of(run))),
        "meters": quotas,
        "yours": yours,
        "change_why_not": ui.why_not(Action::ChangeCluster, &about.scope),
    });
    ui.page("clusters/one.html", with)
}

/// Everything that was run for it, newest first.
pub async fn runs(
    State(app): State<App>,
    ui: Ui,
    about: About,
    Path(id): Path<ClusterId>,
) -> Result<Response> {
    let runs = app.store.runs_of(&id).await?.into_iter().map(RunView::of).map(row);
    let with = json!({ "cluster": about.target, "runs": runs.collect::<Vec<_>>() });
    ui.page("clusters/runs.html", with)
}

/// Its `main.tf`, and how to go on without the portal.
pub async fn hcl(
    State(app): State<App>,
    ui: Ui,
    about: About,
    Path(id): Path<ClusterId>,
) -> Result<Response> {
    let cluster = app.store.cluster(&id).await?;
    let with = json!({
        "cluster": about.target,
        "main_tf": ask::files(&app, &cluster)?.main_tf(),
        "state_why_not": ui.why_not(Action::ReadState, &about.scope),
        "public_url": app.config.origin(),
        "endpoint": app.config.proxmox.endpoint,
        "ledger_vmid": app.config.proxmox.ledger_vmid,
    });
    ui.page("clusters/hcl.html", with)
}
