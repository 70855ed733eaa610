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
        // Home
        get("/", Action::SeeOwn, pages::home::show),
    ]
}

/// The table as a router: every handler behind the gate.
pub fn router(app: &App) -> Router {
    let behind = |router: Router<App>, Route { path, action, serve, .. }| {
        router.route(path, serve.layer(from_fn_with_state((app.clone(), action), gate::pass)))
    };
    table()
        .into_iter()
        .fold(Router::new(), behind)
        .fallback(answer::nothing_here)
        .with_state(app.clone())
}

fn get<H: Handler<T, App>, T: 'static>(path: &'static str, action: Action, handler: H) -> Route {
    route(Method::GET, MethodFilter::GET, path, action, handler)
}

fn route<H: Handler<T, App>, T: 'static>(
    method: Method,
    filter: MethodFilter,
    path: &'static str,
    action: Action,
    handler: H,
) -> Route {
    Route { method, path, action, serve: on(filter, handler) }
}
