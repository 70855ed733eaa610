//! Runs: their plans, their approval, their end, and what they tell while they work.

use axum::extract::{Path, State};
use axum::response::sse::Sse;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::App;
use crate::audit::Note;
use crate::cluster::plan::Plan;
use crate::error::{Error, Result};
use crate::extract::{Json, Query};
use crate::gate::About;
use crate::ids::{ClusterId, RunId};
use crate::rights::Actor;
use crate::runs::machine::{Kind, State as RunState};
use crate::runs::stream::{self, Watcher};
use crate::runs::{Failure, Receipt, ask, log};
use crate::store::runs::Run;
use crate::time::Time;

/// A run.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunView {
    /// Made by the portal.
    #[schema(value_type = String)]
    pub id: RunId,
    /// What it is about.
    #[schema(value_type = String)]
    pub cluster: ClusterId,
    /// What it is to do.
    pub kind: Kind,
    /// How far it is.
    pub state: RunState,
    /// The same in words.
    pub state_words: &'static str,
    /// What was planned, in words.
    #[schema(value_type = Option<Object>)]
    pub plan: Option<Plan>,
    /// To be sent with the approval: exactly this plan is applied.
    pub plan_hash: Option<String>,
    /// Who asked for it.
    pub requested_by: String,
    /// Who approved the plan.
    pub approved_by: Option<String>,
    /// When it was asked for.
    #[schema(value_type = String)]
    pub created_at: Time,
    /// When it began.
    #[schema(value_type = Option<String>)]
    pub started_at: Option<Time>,
    /// When it ended.
    #[schema(value_type = Option<String>)]
    pub finished_at: Option<Time>,
    /// When somebody asked it to stop.
    #[schema(value_type = Option<String>)]
    pub cancel_at: Option<Time>,
    /// Why it did not succeed.
    pub failure: Option<Failure>,
    /// The proof of a destroy.
    #[schema(value_type = Option<Object>)]
    pub receipt: Option<Receipt>,
}

/// A run that was queued.
#[derive(Debug, Serialize, ToSchema)]
pub struct Started {
    /// The run.
    #[schema(value_type = String)]
    pub run: RunId,
}

/// The plan that was seen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Its hash, as the run shows it.
    pub plan_hash: String,
}

/// How a run is to end.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cancel {
    /// Kill Terraform; only after it was asked to stop.
    pub force: bool,
}

/// From where on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct From {
    /// A byte offset, as the lines carry it.
    pub offset: u64,
}

impl Started {
    /// The answer to a request that has queued a run.
    pub fn new(run: RunId) -> Self {
        Self { run }
    }
}

impl IntoResponse for Started {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, axum::Json(self)).into_response()
    }
}

impl RunView {
    /// A run as the API shows it.
    pub fn of(run: Run) -> Self {
        Self {
            id: run.id,
            cluster: run.cluster,
            kind: run.kind,
            state: run.state,
            state_words: run.state.words(),
            plan: run.plan,
            plan_hash: run.plan_hash,
            requested_by: run.requester,
            approved_by: run.approver,
            created_at: run.created_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            cancel_at: run.cancel_at,
            failure: run.failure,
            receipt: run.receipt,
        }
    }
}

/// The runs of a cluster, newest first.
#[utoipa::path(get, path = "/api/v1/clusters/{cluster}/runs", tag = "runs", params(("cluster" = String, Path)), responses((status = 200, body = Vec<RunView>)))]
pub async fn list(
    State(app): State<App>,
    Path(cluster): Path<ClusterId>,
) -> Result<Json<Vec<RunView>>> {
    Ok(Json(app.store.runs_of(&cluster).await?.into_iter().map(RunView::of).collect()))
}

/// One run.
#[utoipa::path(get, path = "/api/v1/runs/{run}", tag = "runs", params(("run" = String, Path)), responses((status = 200, body = RunView)))]
pub async fn show(State(app): State<App>, Path(run): Path<RunId>) -> Result<Json<RunView>> {
    Ok(Json(RunView::of(app.store.run(&run).await?)))
}

/// Approves a plan.
#[utoipa::path(post, path = "/api/v1/runs/{run}/approve", tag = "runs", params(("run" = String, Path)), request_body = Approval, responses((status = 200, body = RunView)))]
pub async fn approve(
    State(app): State<App>,
    Path(id): Path<RunId>,
    actor: Actor,
    about: About,
    note: Note,
    Json(approval): Json<Approval>,
) -> Result<Json<RunView>> {
    let run = app.store.run(&id).await?;
    note.detail(serde_json::json!({ "approve": id, "kind": run.kind }));
    ask::approve(&app, &actor, &about, &run, &approval.plan_hash).await?;
    Ok(Json(RunView::of(app.store.run(&id).await?)))
}

/// Ends a run.
#[utoipa::path(post, path = "/api/v1/runs/{run}/cancel", tag = "runs", params(("run" = String, Path)), request_body = Cancel, responses((status = 200, body = RunView)))]
pub async fn cancel(
    State(app): State<App>,
    Path(id): Path<RunId>,
    note: Note,
    Json(cancel): Json<Cancel>,
) -> Result<Json<RunView>> {
    let run = app.store.run(&id).await?;
    note.detail(serde_json::json!({ "cancel": id, "force": cancel.force }));
    ask::cancel(&app, &run, cancel.force).await?;
    Ok(Json(RunView::of(app.store.run(&id).await?)))
}

/// What it tells, as it happens: server-sent events, whose ids are offsets.
#[utoipa::path(get, path = "/api/v1/runs/{run}/events", tag = "runs", params(("run" = String, Path), ("offset" = Option<u64>, Query)), responses((status = 200, description = "Server-sent events: a line of the log each, with its offset as the id; `end` when the run has ended.", content_type = "text/event-stream")))]
pub async fn events(
    State(app): State<App>,
    Path(id): Path<RunId>,
    actor: Actor,
    about: About,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Result<Response> {
    let run = app.store.run(&id).await?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let watcher = Watcher::new(&app, &actor, about, &run, last.unwrap_or(from.offset))?;
    Ok(streaming(Sse::new(stream::events(watcher, stream::as_json))))
}

/// Nobody between us and the browser may keep it back.
pub fn streaming(events: impl IntoResponse) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, events).into_response()
}

/// What it has told so far, a JSON object a line. The next offset stands in `X-Next-Offset`.
#[utoipa::path(get, path = "/api/v1/runs/{run}/log", tag = "runs", params(("run" = String, Path), ("offset" = Option<u64>, Query)), responses((status = 200, body = String, content_type = "application/jsonl")))]
pub async fn log(
    State(app): State<App>,
    Path(id): Path<RunId>,
    Query(from): Query<From>,
) -> Result<Response> {
    let run = app.store.run(&id).await?;
    let folder = ask::workspace(&app, &run.cluster)?.run(&run.id).map_err(Error::internal)?;
    let lines = log::read(&folder, from.offset).map_err(Error::internal)?;
    let next = lines.last().map_or(from.offset, |(offset, _)| *offset);
    let mut text = String::new();
    for (_, line) in lines {
        text.push_str(&serde_json::to_string(&line).map_err(Error::internal)?);
        text.push('\n');
    }
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl".to_owned()),
        (header::HeaderName::from_static("x-next-offset"), next.to_string()),
    ];
    Ok((headers, text).into_response())
}
