//! The audit log, for administrators and auditors.

use axum::extract::State;

use crate::App;
use crate::error::Result;
use crate::extract::{Json, Query};
use crate::store::audit::{Filter, Row};

/// Rows in one answer.
const AT_ONCE: i64 = 200;

/// The newest rows that match, the newest first; `before` turns the page.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(Filter), responses((status = 200, body = Vec<Row>)))]
pub async fn list(State(app): State<App>, Query(filter): Query<Filter>) -> Result<Json<Vec<Row>>> {
    Ok(Json(app.store.audit(&filter, AT_ONCE).await?))
}
