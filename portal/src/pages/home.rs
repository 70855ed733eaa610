//! What is yours, and what needs you.

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::App;
use crate::error::Result;
use crate::rights::Actor;
use crate::ui::Ui;

/// The page after signing in.
pub async fn show(State(app): State<App>, ui: Ui, actor: Actor) -> Result<Response> {
    ui.page("home.html", json!({ "environments": app.store.environments_for(&actor).await? }))
}
