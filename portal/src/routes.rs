//! Every route on one page, with the action that [`crate::gate`] holds the actor to.
//!
//! `{cluster}`, `{run}` and `{environment}` in a path are what the action is about. A route without a row in the table test
//! (`tests/it/rights.rs`) fails it.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use crate::rights::Action;
use crate::{App, answer, api, gate, pages};

/// A method and a path, what it stands for, and who serves it.
pub struct Route {
    /// GET, POST, ...
    pub method: Method,
    /// With its parameters in braces.
    pub path: &'static str,
    /// What the gate asks the actor's rights for.
    pub action: Action,
    serve: MethodRouter<App>,
}

/// All of them.
pub fn table() -> Vec<Route> {
    vec![
        // Health, styles
        get("/healthz", Action::Open, api::health::alive),
        get("/readyz", Action::Open, api::health::ready),
        get("/assets/{file}", Action::Open, pages::assets::file),
        // Signing in
        get("/sign-in", Action::Open, pages::sign_in::show),
        post("/sign-in", Action::SignIn, pages::sign_in::sign_in),
        post("/sign-out", Action::ChangeOwn, pages::sign_in::sign_out),
        get("/link/{secret}", Action::Open, pages::sign_in::link),
        post("/link/{secret}", Action::SignIn, pages::sign_in::accept),
        // One's own
        get("/", Action::SeeOwn, pages::home::show),
        get("/profile", Action::ChangeOwn, pages::profile::show),
        post("/profile/password", Action::ChangeOwn, pages::profile::password),
        post("/profile/sessions/{session}/end", Action::ChangeOwn, pages::profile::end_session),
        post("/profile/keys", Action::ChangeOwn, pages::profile::add_key),
        post("/profile/keys/{key}/revoke", Action::ChangeOwn, pages::profile::revoke_key),
        // People
        get("/people", Action::SeePeople, pages::people::list),
        post("/people", Action::ChangePeople, pages::people::invite),
        get("/people/new", Action::ChangePeople, pages::people::new),
        get("/people/{person}", Action::SeePeople, pages::people::show),
        post("/people/{person}", Action::ChangePeople, pages::people::change),
        post("/people/{person}/link", Action::ChangePeople, pages::people::link),
        post("/people/{person}/disable", Action::ChangePeople, pages::people::disable),
        post("/people/{person}/enable", Action::ChangePeople, pages::people::enable),
        // Environments
        get("/environments", Action::SeeOwn, pages::environments::list),
        post("/environments", Action::CreateEnvironment, pages::environments::create),
        get("/environments/new", Action::CreateEnvironment, pages::environments::new),
        get("/environments/{environment}", Action::SeeEnvironment, pages::environments::show),
        post("/environments/{environment}", Action::ChangeEnvironment, pages::environments::change),
        post(
            "/environments/{environment}/members",
            Action::ChangeMembers,
            pages::environments::add_member,
        ),
        post(
            "/environments/{environment}/members/{person}/remove",
            Action::ChangeMembers,
            pages::environments::remove_member,
        ),
        // Clusters
        get("/clusters", Action::SeeOwn, pages::clusters::list::show),
        get("/clusters/new", Action::SeeOwn, pages::clusters::new::place),
        get(
            "/environments/{environment}/clusters/new",
            Action::CreateCluster,
            pages::clusters::new::form,
        ),
        post(
            "/environments/{environment}/clusters",
            Action::CreateCluster,
            pages::clusters::new::create,
        ),
        get("/clusters/{cluster}", Action::SeeCluster, pages::clusters::one::show),
        get("/clusters/{cluster}/runs", Action::SeeCluster, pages::clusters::one::runs),
        get("/clusters/{cluster}/hcl", Action::SeeCluster, pages::clusters::one::hcl),
        get("/clusters/{cluster}/change", Action::SeeCluster, pages::clusters::change::show),
        post("/clusters/{cluster}/workers", Action::ChangeCluster, pages::clusters::change::scale),
        post("/clusters/{cluster}/repair", Action::ChangeCluster, pages::clusters::change::repair),
        post("/clusters/{cluster}/retry", Action::ChangeCluster, pages::clusters::change::retry),
        post(
            "/clusters/{cluster}/files",
            Action::ChangeCluster,
            pages::clusters::change::restore_files,
        ),
        post(
            "/clusters/{cluster}/protection",
            Action::ShareCluster,
            pages::clusters::change::protect,
        ),
        post(
            "/clusters/{cluster}/destroy",
            Action::DestroyCluster,
            pages::clusters::change::destroy,
        ),
        // Runs
        get("/runs/{run}", Action::SeeCluster, pages::runs::show),
        get("/runs/{run}/live", Action::SeeCluster, pages::runs::live),
        post("/runs/{run}/approve", Action::ChangeCluster, pages::runs::approve),
        post("/runs/{run}/cancel", Action::ChangeCluster, pages::runs::cancel),
        // Limits
        get("/limits", Action::ChangeLimits, pages::limits::show),
        post("/limits", Action::ChangeLimits, pages::limits::set),
        // Clusters: who may use them
        get("/clusters/{cluster}/sharing", Action::SeeCluster, pages::sharing::show),
        post("/clusters/{cluster}/sharing", Action::ShareCluster, pages::sharing::grant),
        post(
            "/clusters/{cluster}/sharing/{person}/revoke",
            Action::ShareCluster,
            pages::sharing::revoke,
        ),
        // Audit
        get("/audit", Action::SeeAudit, pages::audit::show),
        get("/audit.csv", Action::SeeAudit, pages::audit::csv),
        get("/audit.jsonl", Action::SeeAudit, pages::audit::jsonl),
        // API: people
        get("/api/v1/me", Action::SeeOwn, api::me::show),
        get("/api/v1/users", Action::SeePeople, api::users::list),
        post("/api/v1/users", Action::ChangePeople, api::users::invite),
        get("/api/v1/users/{person}", Action::SeePeople, api::users::show),
        patch("/api/v1/users/{person}", Action::ChangePeople, api::users::change),
        post("/api/v1/users/{person}/link", Action::ChangePeople, api::users::link),
        get("/api/v1/keys", Action::ChangeOwn, api::keys::list),
        post("/api/v1/keys", Action::ChangeOwn, api::keys::make),
        delete("/api/v1/keys/{key}", Action::ChangeOwn, api::keys::revoke),
        // API: environments
        get("/api/v1/environments", Action::SeeOwn, api::environments::list),
        post("/api/v1/environments", Action::CreateEnvironment, api::environments::create),
        get("/api/v1/environments/{environment}", Action::SeeEnvironment, api::environments::show),
        put(
            "/api/v1/environments/{environment}",
            Action::ChangeEnvironment,
            api::environments::change,
        ),
        get(
            "/api/v1/environments/{environment}/members",
            Action::SeeEnvironment,
            api::environments::members,
        ),
        put(
            "/api/v1/environments/{environment}/members/{person}",
            Action::ChangeMembers,
            api::environments::set,
        ),
        delete(
            "/api/v1/environments/{environment}/members/{person}",
            Action::ChangeMembers,
            api::environments::remove,
        ),
        // API: quotas
        get(
            "/api/v1/environments/{environment}/quota",
            Action::SeeEnvironment,
            api::quotas::of_environment,
        ),
        put(
            "/api/v1/environments/{environment}/quota",
            Action::ChangeLimits,
            api::quotas::limit_environment,
        ),
        get("/api/v1/users/{person}/quota", Action::SeePeople, api::quotas::of_person),
        put("/api/v1/users/{person}/quota", Action::ChangeLimits, api::quotas::limit_person),
        get("/api/v1/quotas", Action::SeePeople, api::quotas::of_site),
        put("/api/v1/quotas/{scope}", Action::ChangeLimits, api::quotas::limit_site),
        // API: clusters
        get("/api/v1/clusters/{cluster}/grants", Action::SeeCluster, api::grants::list),
        put("/api/v1/clusters/{cluster}/grants/{person}", Action::ShareCluster, api::grants::set),
        delete(
            "/api/v1/clusters/{cluster}/grants/{person}",
            Action::ShareCluster,
            api::grants::remove,
        ),
        // API: audit
        get("/api/v1/audit", Action::SeeAudit, api::audit::list),
        // API: clusters: what they are, and what becomes of them
        get("/api/v1/clusters", Action::SeeOwn, api::clusters::list),
        post(
            "/api/v1/environments/{environment}/clusters",
            Action::CreateCluster,
            api::clusters::create,
        ),
        get("/api/v1/clusters/{cluster}", Action::SeeCluster, api::clusters::show),
        patch("/api/v1/clusters/{cluster}", Action::ChangeCluster, api::clusters::change),
        delete("/api/v1/clusters/{cluster}", Action::DestroyCluster, api::clusters::destroy),
        post("/api/v1/clusters/{cluster}/retry", Action::ChangeCluster, api::clusters::retry),
        put("/api/v1/clusters/{cluster}/protection", Action::ShareCluster, api::clusters::protect),
        get("/api/v1/clusters/{cluster}/main.tf", Action::SeeCluster, api::clusters::main_tf),
        get("/api/v1/clusters/{cluster}/export", Action::SeeCluster, api::clusters::export),
        post(
            "/api/v1/clusters/{cluster}/files",
            Action::ChangeCluster,
            api::clusters::restore_files,
        ),
        // API: Terraform's http backend
        get("/api/v1/clusters/{cluster}/state", Action::ReadState, api::state::read),
        post("/api/v1/clusters/{cluster}/state", Action::WriteState, api::state::write),
        delete("/api/v1/clusters/{cluster}/state", Action::WriteState, api::state::delete),
        post("/api/v1/clusters/{cluster}/state/lock", Action::WriteState, api::state::lock),
        delete("/api/v1/clusters/{cluster}/state/lock", Action::WriteState, api::state::unlock),
        // API: runs
        get("/api/v1/clusters/{cluster}/runs", Action::SeeCluster, api::runs::list),
        get("/api/v1/runs/{run}", Action::SeeCluster, api::runs::show),
        post("/api/v1/runs/{run}/approve", Action::ChangeCluster, api::runs::approve),
        post("/api/v1/runs/{run}/cancel", Action::ChangeCluster, api::runs::cancel),
        get("/api/v1/runs/{run}/log", Action::SeeCluster, api::runs::log),
        get("/api/v1/runs/{run}/events", Action::SeeCluster, api::runs::events),
        // Inside a cluster: namespaces, credentials, who may enter
        get("/clusters/{cluster}/namespaces", Action::SeeNamespaces, pages::namespaces::show),
        post("/clusters/{cluster}/namespaces", Action::ChangeNamespaces, pages::namespaces::create),
        get(
            "/clusters/{cluster}/namespaces/{namespace}/delete",
            Action::ChangeNamespaces,
            pages::namespaces::ask,
        ),
        post(
            "/clusters/{cluster}/namespaces/{namespace}/delete",
            Action::ChangeNamespaces,
            pages::namespaces::delete,
        ),
        get("/clusters/{cluster}/access", Action::SeeCluster, pages::access::show),
        post("/clusters/{cluster}/kubeconfigs", Action::IssueKubeconfig, pages::access::issue),
        post(
            "/clusters/{cluster}/admin-kubeconfigs",
            Action::IssueAdminKubeconfig,
            pages::access::issue_admin,
        ),
        post(
            "/clusters/{cluster}/kubeconfigs/{kubeconfig}/revoke",
            Action::IssueKubeconfig,
            pages::access::revoke,
        ),
        get("/api/v1/clusters/{cluster}/health", Action::SeeNamespaces, api::namespaces::health),
        get("/api/v1/clusters/{cluster}/namespaces", Action::SeeNamespaces, api::namespaces::list),
        post(
            "/api/v1/clusters/{cluster}/namespaces",
            Action::ChangeNamespaces,
            api::namespaces::create,
        ),
        get(
            "/api/v1/clusters/{cluster}/namespaces/{namespace}",
            Action::SeeNamespaces,
            api::namespaces::show,
        ),
        delete(
            "/api/v1/clusters/{cluster}/namespaces/{namespace}",
            Action::ChangeNamespaces,
            api::namespaces::delete,
        ),
        get(
            "/api/v1/clusters/{cluster}/kubeconfigs",
            Action::IssueKubeconfig,
            api::kubeconfigs::list,
        ),
        post(
            "/api/v1/clusters/{cluster}/kubeconfigs",
            Action::IssueKubeconfig,
            api::kubeconfigs::create,
        ),
        post(
            "/api/v1/clusters/{cluster}/admin-kubeconfigs",
            Action::IssueAdminKubeconfig,
            api::kubeconfigs::create_admin,
        ),
        delete(
            "/api/v1/clusters/{cluster}/kubeconfigs/{kubeconfig}",
            Action::IssueKubeconfig,
            api::kubeconfigs::revoke,
        ),
        // What the API is
        get("/api/v1/openapi.json", Action::Open, api::openapi::serve),
    ]
}

/// The table as a router: every handler behind the gate.
pub fn router(app: &App) -> Router {
    let behind = |router: Router<App>, Route { path, action, serve, .. }| {
        router.route(path, serve.layer(from_fn_with_state((app.clone(), path, action), gate::pass)))
    };
    table()
        .into_iter()
        .fold(Router::new(), behind)
        .fallback(answer::nothing_here)
        .method_not_allowed_fallback(answer::other_method)
        .with_state(app.clone())
}

/// One constructor per method, so that the table reads like a table.
macro_rules! methods {
    ($($name:ident $method:ident),*) => {$(
        fn $name<H: Handler<T, App>, T: 'static>(path: &'static str, action: Action, handler: H) -> Route {
            Route { method: Method::$method, path, action, serve: on(MethodFilter::$method, handler) }
        }
    )*};
}

methods!(get GET, post POST, put PUT, patch PATCH, delete DELETE);
