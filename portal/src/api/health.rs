//! For whoever watches the portal.

use axum::extract::State;
use http::StatusCode;

use crate::App;

/// The process serves requests.
pub async fn alive() -> &'static str {
    "alive\n"
}

/// It can do its work: the database answers and it is not about to end.
pub async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    if app.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match app.store.ping().await {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::warn!(%error, "not ready: the database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
        }
    }
}
