//! `/api/v1/clusters/{cluster}/kubeconfigs`: short-lived credentials, shown once.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::App;
use crate::audit::Note;
use crate::error::{Error, Field, Result};
use crate::extract::{Json, Path};
use crate::gate::About;
use crate::ids::{ClusterId, KubeconfigId};
use crate::kube::service::{Desk, HandedOut, Wanted, handed_out};
use crate::kube::{NamespaceName, Power};
use crate::rights::Actor;
use crate::store::kubeconfigs::Kubeconfig;
use crate::time::Time;

/// What was handed out.
#[derive(Serialize, ToSchema)]
pub struct Kubeconfigs {
    /// The newest first.
    pub items: Vec<Kubeconfig>,
}

/// A kubeconfig for one namespace.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKubeconfig {
    /// The namespace it is good for.
    #[schema(min_length = 1, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    pub namespace: String,
    /// What it is good for there.
    #[serde(default = "edit")]
    pub power: Power,
    /// For how many hours, 1 to 720; 8 unless said otherwise.
    #[serde(default = "eight")]
    #[schema(minimum = 1, maximum = 720)]
    pub hours: u32,
}

fn edit() -> Power {
    Power::Edit
}

fn eight() -> u32 {
    8
}

/// A kubeconfig for the whole cluster.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAdminKubeconfig {
    /// Why it is needed; stands in the audit log.
    #[schema(min_length = 1, max_length = 200)]
    pub reason: String,
    /// For how many hours, 1 to 24; 4 unless said otherwise.
    #[serde(default = "four")]
    #[schema(minimum = 1, maximum = 24)]
    pub hours: u32,
}

fn four() -> u32 {
    4
}

/// A kubeconfig, this once.
#[derive(Serialize, ToSchema)]
pub struct IssuedKubeconfig {
    /// To take it back by.
    #[schema(value_type = String)]
    pub id: KubeconfigId,
    /// The name of its context.
    pub context: String,
    /// When the cluster stops to accept it.
    #[schema(value_type = String)]
    pub expires_at: Time,
    /// The file itself. It is kept nowhere.
    pub kubeconfig: String,
}

/// Kubeconfigs that were handed out: one's own, or everybody's for who owns the cluster.
#[utoipa::path(get, path = "/api/v1/clusters/{cluster}/kubeconfigs", tag = "kubeconfigs", params(("cluster" = String, Path)),
    responses((status = 200, body = Kubeconfigs)))]
pub async fn list(State(app): State<App>, actor: Actor, about: About) -> Result<Json<Kubeconfigs>> {
    Ok(Json(Kubeconfigs { items: handed_out(&app, &actor, &about.scope).await? }))
}

/// A kubeconfig for one namespace: a service account's token, which can be taken back.
#[utoipa::path(post, path = "/api/v1/clusters/{cluster}/kubeconfigs", tag = "kubeconfigs", params(("cluster" = String, Path)),
    request_body = NewKubeconfig,
    responses((status = 201, body = IssuedKubeconfig), super::openapi::ClusterProblems))]
pub async fn create(
    State(app): State<App>,
    actor: Actor,
    about: About,
    note: Note,
    Json(new): Json<NewKubeconfig>,
) -> Result<Response> {
    let name = NamespaceName::parse(&new.namespace)
        .map_err(|error| Error::invalid(vec![Field::new("namespace", error.to_string())]))?;
    note.detail(json!({"namespace": name, "power": new.power, "hours": new.hours}));
    let wanted = Wanted::Namespace { name, power: new.power, hours: new.hours };
    let made = Desk::of(&app, &actor, &about)?.issue(&wanted).await?;
    Ok(answer(made))
}

/// A kubeconfig for the whole cluster: a certificate of its own name, whose rights can be taken back.
#[utoipa::path(post, path = "/api/v1/clusters/{cluster}/admin-kubeconfigs", tag = "kubeconfigs", params(("cluster" = String, Path)),
    request_body = NewAdminKubeconfig,
    responses((status = 201, body = IssuedKubeconfig), super::openapi::ClusterProblems))]
pub async fn create_admin(
    State(app): State<App>,
    actor: Actor,
    about: About,
    note: Note,
    Json(new): Json<NewAdminKubeconfig>,
) -> Result<Response> {
    note.detail(
        json!({"reason": new.reason.chars().take(200).collect::<String>(), "hours": new.hours}),
    );
    let wanted = Wanted::Cluster { reason: new.reason, hours: new.hours };
    let made = Desk::of(&app, &actor, &about)?.issue(&wanted).await?;
    Ok(answer(made))
}

/// Takes a kubeconfig back: when this has succeeded, the cluster refuses it.
#[utoipa::path(delete, path = "/api/v1/clusters/{cluster}/kubeconfigs/{kubeconfig}", tag = "kubeconfigs",
    params(("cluster" = String, Path), ("kubeconfig" = String, Path)),
    responses((status = 204, description = "The cluster refuses it from now on."), super::openapi::ClusterProblems))]
pub async fn revoke(
    State(app): State<App>,
    Path((_cluster, id)): Path<(ClusterId, KubeconfigId)>,
    actor: Actor,
    about: About,
    note: Note,
) -> Result<StatusCode> {
    let row = Desk::of(&app, &actor, &about)?.revoke(&id).await?;
    note.detail(json!({"kubeconfig": id, "of": row.login, "namespace": row.namespace}));
    Ok(StatusCode::NO_CONTENT)
}

fn answer(made: HandedOut) -> Response {
    let HandedOut { id, issued } = made;
    let body = IssuedKubeconfig {
        id,
        context: issued.context,
        expires_at: Time::from(issued.expires),
        kubeconfig: issued.text.as_str().to_owned(),
    };
    (StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
