//! What is yours, and what needs you.

use axum::response::Response;
use serde_json::json;

use crate::error::Result;
use crate::ui::Ui;

/// The page after signing in.
pub async fn show(ui: Ui) -> Result<Response> {
    ui.page("home.html", json!({}))
}
