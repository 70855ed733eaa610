//! Terraform's `http` backend: a cluster's state, for the portal's own runs, laptops and CI.
//!
//! Its protocol: 200 with the state or 204 without one; 423 with the lock's description when somebody else holds it.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};
use md5::{Digest as _, Md5};
use serde::Deserialize;

use crate::App;
use crate::error::{Error, Result};
use crate::extract::{Json, Path, Query};
use crate::ids::ClusterId;
use crate::rights::{Actor, Via};
use crate::runs::ask;
use crate::state::{LockInfo, Refused};

/// The most that a state may hold.
const LARGEST: usize = 16 * 1024 * 1024;

/// Under which lock a state is written.
#[derive(Debug, Deserialize)]
pub struct Under {
    /// The lock's id.
    #[serde(rename = "ID")]
    id: Option<String>,
}

/// The current state.
#[utoipa::path(get, path = "/api/v1/clusters/{cluster}/state", tag = "state", params(("cluster" = String, Path)), responses((status = 200, body = Object), (status = 204, description = "There is none.")))]
pub async fn read(State(app): State<App>, Path(cluster): Path<ClusterId>) -> Result<Response> {
    let Some(text) = ask::states(&app, &cluster)?.text().map_err(Error::internal)? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let sum = STANDARD.encode(Md5::digest(&text));
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::HeaderName::from_static("content-md5"), sum),
    ];
    Ok((headers, text).into_response())
}

/// A new version of it.
#[utoipa::path(post, path = "/api/v1/clusters/{cluster}/state", tag = "state", params(("cluster" = String, Path), ("ID" = Option<String>, Query)), request_body = Object, responses((status = 200), (status = 423, body = Object)))]
pub async fn write(
    State(app): State<App>,
    Path(cluster): Path<ClusterId>,
    actor: Actor,
    Query(under): Query<Under>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response> {
    let too_large =
        |_| Error::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "A state has at most 16 MiB.");
    let body = axum::body::to_bytes(body, LARGEST).await.map_err(too_large)?;
    if let Some(sum) = headers.get("content-md5")
        && sum.as_bytes() != STANDARD.encode(Md5::digest(&body)).as_bytes()
    {
        let detail = "The body is not what its Content-MD5 says: it was damaged on its way.";
        return Err(Error::new(StatusCode::BAD_REQUEST, "damaged", detail));
    }
    let written = ask::states(&app, &cluster)?.write(under.id.as_deref(), &body);
    if written.is_ok() && !matches!(actor.via, Via::Run { .. }) {
        ask::follow(&app, &cluster).await?;
    }
    done(written)
}

/// Forgets an empty state.
#[utoipa::path(delete, path = "/api/v1/clusters/{cluster}/state", tag = "state", params(("cluster" = String, Path)), responses((status = 200), (status = 409, body = crate::api::openapi::Problem, content_type = "application/problem+json"), (status = 423, body = Object)))]
pub async fn delete(State(app): State<App>, Path(cluster): Path<ClusterId>) -> Result<Response> {
    done(ask::states(&app, &cluster)?.delete())
}

/// Takes the lock.
#[utoipa::path(post, path = "/api/v1/clusters/{cluster}/state/lock", tag = "state", params(("cluster" = String, Path)), request_body = Object, responses((status = 200), (status = 423, body = Object)))]
pub async fn lock(
    State(app): State<App>,
    Path(cluster): Path<ClusterId>,
    actor: Actor,
    Json(info): Json<LockInfo>,
) -> Result<Response> {
    let holder = holder(&actor);
    // One writer per cluster: while a run works on it, only that run's own Terraform may.
    let open = app.store.open_run_of(&cluster).await?;
    if let Some(run) =
        open.filter(|run| run.state.is_running() && holder != crate::runs::work::holder(run))
    {
        let states = ask::states(&app, &cluster)?;
        let by_run = serde_json::json!({ "ID": run.id, "Who": "kubesmith portal", "Operation": run.kind, "Created": run.created_at });
        let info = states.lock_of().map_err(Error::internal)?.map(|lock| lock.info);
        let info = info.map_or(by_run, |info| serde_json::json!(info));
        return Ok((StatusCode::LOCKED, axum::Json(info)).into_response());
    }
    done(ask::states(&app, &cluster)?.lock(info, &holder))
}

/// Lets go of the lock. Who may write the state may also let go of a lock that is left, by its id.
#[utoipa::path(delete, path = "/api/v1/clusters/{cluster}/state/lock", tag = "state", params(("cluster" = String, Path)), request_body = Object, responses((status = 200), (status = 423, body = Object)))]
pub async fn unlock(
    State(app): State<App>,
    Path(cluster): Path<ClusterId>,
    Json(info): Json<LockInfo>,
) -> Result<Response> {
    done(ask::states(&app, &cluster)?.unlock(&info.id))
}

/// Who holds a lock, as others are told.
fn holder(actor: &Actor) -> String {
    match &actor.via {
        Via::Run { run, .. } => format!("run {run}"),
        Via::Session(_) | Via::Key { .. } => actor.login.clone(),
    }
}

fn done(result: Result<(), Refused>) -> Result<Response> {
    match result {
        Ok(()) => Ok(StatusCode::OK.into_response()),
        Err(Refused::Locked(lock)) => {
            let mut info = lock.info;
            info.others.insert("Who".to_owned(), lock.holder.into());
            Ok((StatusCode::LOCKED, axum::Json(info)).into_response())
        }
        Err(
            refused @ (Refused::NotLocked
            | Refused::Lineage { .. }
            | Refused::Serial { .. }
            | Refused::NotEmpty),
        ) => Err(Error::conflict("state_conflict", format!("{refused}."))),
        Err(refused @ Refused::NotAState(_)) => {
            Err(Error::new(StatusCode::BAD_REQUEST, "not_a_state", format!("{refused}.")))
        }
        Err(Refused::Disk(error)) => Err(Error::internal(error)),
    }
}
