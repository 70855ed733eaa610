//! Clusters: what was asked for, what exists, and what is to become of them.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::App;
use crate::api::runs::{RunView, Started};
use crate::audit::Note;
use crate::cluster::exists;
use crate::cluster::form::NewCluster;
use crate::error::{Error, Result};
use crate::extract::Json;
use crate::ids::{ClusterId, EnvironmentId, RunId};
use crate::quota::Gauge;
use crate::rights::Actor;
use crate::runs::ask;
use crate::store::clusters::Cluster;
use crate::store::environments::Environment;
use crate::store::idempotency::Before;
use crate::time::Time;

/// A cluster as it was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClusterView {
    /// Made by the portal.
    #[schema(value_type = String)]
    pub id: ClusterId,
    /// Its name.
    pub name: String,
    /// The environment it belongs to.
    #[schema(value_type = String)]
    pub environment: EnvironmentId,
    /// That environment's name.
    pub environment_name: String,
    /// The template in Proxmox.
    pub template: String,
    /// The version of Kubernetes.
    pub kubernetes_version: String,
    /// How many workers are wanted.
    pub workers: u32,
    /// How many workers its addresses have room for.
    pub most_workers: u32,
    /// Whether it may not be destroyed.
    pub protected: bool,
    /// Who made it.
    pub created_by: String,
    /// When.
    #[schema(value_type = String)]
    pub created_at: Time,
    /// When it was proven to be gone.
    #[schema(value_type = Option<String>)]
    pub removed_at: Option<Time>,
}

/// A cluster with what exists of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClusterDetail {
    /// As it was asked for.
    #[serde(flatten)]
    pub cluster: ClusterView,
    /// What Terraform's state says; none if there is nothing.
    #[schema(value_type = Option<Object>)]
    pub exists: Option<exists::Cluster>,
    /// The leased addresses.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<std::net::Ipv4Addr>,
    /// The quotas it counts in.
    #[schema(value_type = Vec<Object>)]
    pub quotas: Vec<Gauge>,
    /// Who holds the lock of its state.
    pub locked_by: Option<String>,
    /// Files of its folder that were changed outside of the portal.
    pub edited_files: Vec<String>,
    /// Its last run.
    pub last_run: Option<RunView>,
}

/// A new cluster and its first run.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ClusterMade)]
pub struct Made {
    /// The cluster.
    #[schema(value_type = String)]
    pub cluster: ClusterId,
    /// The run that plans it; it waits for approval.
    #[schema(value_type = String)]
    pub run: RunId,
}

/// Another number of workers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClusterChange)]
pub struct Change {
    /// How many workers; without it, the cluster is only repaired.
    pub workers: Option<u32>,
}

/// The name, typed once more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Destroy {
    /// The cluster's name.
    pub name: String,
}

/// Whether a cluster may be destroyed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Protection {
    /// It may not.
    pub protected: bool,
}

/// A cluster as the API shows it.
pub fn view(cluster: Cluster) -> ClusterView {
    let Cluster {
        id,
        name,
        environment,
        environment_name,
        spec,
        protected,
        created_by: _,
        creator,
        created_at,
        removed_at,
    } = cluster;
    ClusterView {
        id,
        name,
        environment,
        environment_name,
        template: spec.wanted.template.to_string(),
        kubernetes_version: spec.wanted.kubernetes_version.to_string(),
        workers: spec.wanted.workers.count,
        most_workers: spec.wanted.most_workers(),
        protected,
        created_by: creator,
        created_at,
        removed_at,
    }
}

/// Those that one may see.
#[utoipa::path(get, path = "/api/v1/clusters", tag = "clusters", responses((status = 200, body = Vec<ClusterView>)))]
pub async fn list(State(app): State<App>, actor: Actor) -> Result<Json<Vec<ClusterView>>> {
    Ok(Json(app.store.clusters_for(&actor).await?.into_iter().map(view).collect()))
}

/// One of them, with what exists.
#[utoipa::path(get, path = "/api/v1/clusters/{cluster}", tag = "clusters", params(("cluster" = String, Path)), responses((status = 200, body = ClusterDetail)))]
pub async fn show(
    State(app): State<App>,
    Path(id): Path<ClusterId>,
) -> Result<Json<ClusterDetail>> {
    Ok(Json(detail(&app, app.store.cluster(&id).await?).await?))
}

/// A cluster with what exists of it, what it takes, and who works on it.
pub async fn detail(app: &App, cluster: Cluster) -> Result<ClusterDetail> {
    let states = ask::states(app, &cluster.id)?;
    let state = states.current().map_err(Error::internal)?;
    let held = crate::quota::Amount::wanted(&cluster.spec.wanted);
    let quotas = app
        .store
        .gauges(&cluster.created_by, &cluster.environment, Some(&cluster.id), held)
        .await?;
    let last = app.store.runs_of(&cluster.id).await?.into_iter().next();
    Ok(ClusterDetail {
        exists: state.as_ref().and_then(exists::State::cluster),
        addresses: state.as_ref().map(exists::State::addresses).unwrap_or_default(),
        quotas,
        locked_by: states.lock_of().map_err(Error::internal)?.map(|lock| lock.holder),
        edited_files: ask::workspace(app, &cluster.id)?.edited().map_err(Error::internal)?,
        last_run: last.map(RunView::of),
        cluster: view(cluster),
    })
}

/// A new one. With an `Idempotency-Key`, asking twice makes one.
#[utoipa::path(post, path = "/api/v1/environments/{environment}/clusters", tag = "clusters", params(("environment" = String, Path), ("idempotency-key" = Option<String>, Header)), request_body = NewCluster, responses((status = 201, body = Made)))]
pub async fn create(
    State(app): State<App>,
    Path(environment): Path<EnvironmentId>,
    actor: Actor,
    note: Note,
    headers: HeaderMap,
    Json(form): Json<NewCluster>,
) -> Result<Response> {
    let environment = app.store.environment(&environment).await?;
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let made = create_once(&app, &actor, &environment, &form, key).await?;
    note.target("cluster", &made.cluster, form.name);
    Ok((StatusCode::CREATED, axum::Json(made)).into_response())
}

/// For the page and the API: with a key, asking twice makes one.
pub(crate) async fn create_once(
    app: &App,
    actor: &Actor,
    environment: &Environment,
    form: &NewCluster,
    key: Option<&str>,
) -> Result<Made> {
    let make = async || {
        let (cluster, run) = ask::create(app, actor, environment, form).await?;
        Ok::<_, Error>(Made { cluster, run })
    };
    let Some(key) = key.filter(|key| !key.is_empty() && key.len() <= 200) else {
        return make().await;
    };
    let request = serde_json::to_vec(&(&environment.id, form)).map_err(Error::internal)?;
    let request = hex::encode(Sha256::digest(&request));
    match app.store.begin_once(&actor.person, key, &request).await? {
        Before::Never => {}
        Before::Other => {
            let detail = "This Idempotency-Key was used for another request. Use a new one.";
            return Err(Error::conflict("key_reused", detail));
        }
        Before::Unfinished => {
            let detail = "The same request is being served right now. Ask again in a moment.";
            return Err(Error::conflict("in_progress", detail));
        }
        Before::Answered(body) => return serde_json::from_str(&body).map_err(Error::internal),
    }
    match make().await {
        Ok(made) => {
            let body = serde_json::to_string(&made).map_err(Error::internal)?;
            app.store.end_once(&actor.person, key, Some(&body)).await?;
            Ok(made)
        }
        Err(error) => {
            // Nothing was made, so the same key may be used for another try.
            app.store.end_once(&actor.person, key, None).await?;
            Err(error)
        }
    }
}

/// Another number of workers, or a repair.
#[utoipa::path(patch, path = "/api/v1/clusters/{cluster}", tag = "clusters", params(("cluster" = String, Path)), request_body = Change, responses((status = 202, body = Started)))]
pub async fn change(
    State(app): State<App>,
    Path(id): Path<ClusterId>,
    actor: Actor,
    note: Note,
    Json(change): Json<Change>,
) -> Result<Started> {
    let cluster = app.store.cluster(&id).await?;
    let run = match change.workers {
        Some(workers) => ask::scale(&app, &actor, &cluster, &workers.to_string()).await?,
        None => ask::change(&app, &actor, &cluster, cluster.spec.wanted.clone()).await?,
    };
    note.detail(serde_json::json!({ "workers": change.workers, "run": run }));
    Ok(Started::new(run))
}

/// Goes on with what failed.
#[utoipa::path(post, path = "/api/v1/clusters/{cluster}/retry", tag = "clusters", params(("cluster" = String, Path)), responses((status = 202, body = Started), (status = 409, body = crate::api::openapi::Problem, content_type = "application/problem+json")))]
pub async fn retry(
    State(app): State<App>,
    Path(id): Path<ClusterId>,
    actor: Actor,
    note: Note,
) -> Result<Started> {
    let run = ask::retry(&app, &actor, &app.store.cluster(&id).await?).await?;
    note.detail(serde_json::json!({ "run": run }));
    Ok(Started::new(run))
}

/// Its end.
#[utoipa::path(delete, path = "/api/v1/clusters/{cluster}", tag = "clusters", params(("cluster" = String, Path)), request_body = Destroy, responses((status = 202, body = Started)))]
pub async fn destroy(
    State(app): State<App>,
    Path(id): Path<ClusterId>,
    actor: Actor,
    note: Note,
    Json(destroy): Json<Destroy>,
) -> Result<Started> {
    let run = ask::destroy(&app, &actor, &app.store.cluster(&id).await?, &destroy.name).await?;
    note.detail(serde_json::json!({ "run": run }));
    Ok(Started::new(run))
}

/// Whether it may be destroyed.
#[utoipa::path(put, path = "/api/v1/clusters/{cluster}/protection", tag = "clusters", params(("cluster" = String, Path)), request_body = Protection, responses((status = 200, body = Protection)))]
pub async fn protect(
    State(app): State<App>,
    Path(id): Path<ClusterId>,
    note: Note,
    Json(protection): Json<Protection>,
) -> Result<Json<Protection>> {
    app.store.protect_cluster(&id, protection.protected).await?;
    note.detail(serde_json::json!({ "protected": protection.protected }));
    Ok(Json(protection))
}

/// Its `main.tf`, as it is applied.
#[utoipa::path(get, path = "/api/v1/clusters/{cluster}/main.tf", tag = "clusters", params(("cluster" = String, Path)), responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn main_tf(State(app): State<App>, Path(id): Path<ClusterId>) -> Result<Response> {
    let text = ask::files(&app, &app.store.cluster(&id).await?)?.main_tf();
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// All its files as an archive: unpacked elsewhere, and with a key, it plans to no changes.
#[utoipa::path(get, path = "/api/v1/clusters/{cluster}/export", tag = "clusters", params(("cluster" = String, Path)), responses((status = 200, body = Vec<u8>, content_type = "application/x-tar")))]
pub async fn export(State(app): State<App>, Path(id): Path<ClusterId>) -> Result<Response> {
    let cluster = app.store.cluster(&id).await?;
    let files = ask::files(&app, &cluster)?;
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files.iter() {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        let path = format!("{}/{path}", cluster.name);
        archive.append_data(&mut header, path, bytes).map_err(Error::internal)?;
    }
    let bytes = archive.into_inner().map_err(Error::internal)?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar".to_owned()),
        // A cluster's name has no character that would need quoting.
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.tar\"", cluster.name)),
    ];
    Ok((headers, bytes).into_response())
}

/// Writes the files of its folder anew.
#[utoipa::path(post, path = "/api/v1/clusters/{cluster}/files", tag = "clusters", params(("cluster" = String, Path)), responses((status = 204)))]
pub async fn restore_files(
    State(app): State<App>,
    Path(id): Path<ClusterId>,
) -> Result<StatusCode> {
    ask::restore_files(&app, &app.store.cluster(&id).await?)?;
    Ok(StatusCode::NO_CONTENT)
}
