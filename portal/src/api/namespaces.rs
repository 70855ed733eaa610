//! `/api/v1/clusters/{cluster}/namespaces`, and the cluster's health.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::App;
use crate::audit::Note;
use crate::error::{Error, Field, Result};
use crate::extract::{Json, Path};
use crate::gate::About;
use crate::ids::ClusterId;
use crate::kube::service::Desk;
use crate::kube::{Health, Limits, Namespace, NamespaceName};
use crate::rights::Actor;

/// The namespaces that one may know of.
#[derive(Serialize, ToSchema)]
pub struct Namespaces {
    /// By name.
    pub items: Vec<Namespace>,
}

/// A namespace that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNamespace {
    /// 1 to 63 lower-case letters, digits and hyphens; not `default`, `kube-*`, `kubernetes*` or `kubesmith*`.
    #[schema(min_length = 1, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    pub name: String,
    /// What it may use at most.
    #[serde(default)]
    pub limits: Limits,
}

/// The namespaces of a cluster that one may know of: all with the right to edit, one's own otherwise.
#[utoipa::path(get, path = "/api/v1/clusters/{cluster}/namespaces", tag = "namespaces", params(("cluster" = String, Path)),
    responses((status = 200, body = Namespaces), super::openapi::ClusterProblems))]
pub async fn list(State(app): State<App>, actor: Actor, about: About) -> Result<Json<Namespaces>> {
    Ok(Json(Namespaces { items: Desk::of(&app, &actor, &about)?.namespaces().await? }))
}

/// One namespace.
#[utoipa::path(get, path = "/api/v1/clusters/{cluster}/namespaces/{namespace}", tag = "namespaces",
    params(("cluster" = String, Path), ("namespace" = String, Path)),
    responses((status = 200, body = Namespace), super::openapi::ClusterProblems))]
pub async fn show(
    State(app): State<App>,
    Path((_cluster, name)): Path<(ClusterId, NamespaceName)>,
    actor: Actor,
    about: About,
) -> Result<Json<Namespace>> {
    Ok(Json(Desk::of(&app, &actor, &about)?.namespace(&name).await?))
}

/// Makes a namespace with a quota, a network policy and defaults; it belongs to whoever asks.
#[utoipa::path(post, path = "/api/v1/clusters/{cluster}/namespaces", tag = "namespaces", params(("cluster" = String, Path)),
    request_body = NewNamespace,
    responses((status = 201, body = Namespace), super::openapi::ClusterProblems))]
pub async fn create(
    State(app): State<App>,
    actor: Actor,
    about: About,
    note: Note,
    Json(new): Json<NewNamespace>,
) -> Result<Response> {
    let name = NamespaceName::parse(&new.name)
        .map_err(|error| Error::invalid(vec![Field::new("name", error.to_string())]))?;
    note.detail(json!({"namespace": name, "limits": new.limits}));
    let desk = Desk::of(&app, &actor, &about)?;
    desk.create(&name, new.limits).await?;
    Ok((StatusCode::CREATED, Json(desk.namespace(&name).await?)).into_response())
}

/// Begins to delete a namespace, with everything in it and every kubeconfig for it.
#[utoipa::path(delete, path = "/api/v1/clusters/{cluster}/namespaces/{namespace}", tag = "namespaces",
    params(("cluster" = String, Path), ("namespace" = String, Path)),
    responses((status = 202, description = "It is being deleted."), super::openapi::ClusterProblems))]
pub async fn delete(
    State(app): State<App>,
    Path((_cluster, name)): Path<(ClusterId, NamespaceName)>,
    actor: Actor,
    about: About,
    note: Note,
) -> Result<StatusCode> {
    note.detail(json!({"namespace": name}));
    Desk::of(&app, &actor, &about)?.delete(&name).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Whether the cluster's API answers, and what its nodes say of themselves.
#[utoipa::path(get, path = "/api/v1/clusters/{cluster}/health", tag = "clusters", params(("cluster" = String, Path)),
    responses((status = 200, body = Health), super::openapi::ClusterProblems))]
pub async fn health(State(app): State<App>, actor: Actor, about: About) -> Result<Json<Health>> {
    Ok(Json(Desk::of(&app, &actor, &about)?.health().await?))
}
