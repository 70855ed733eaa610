//! What happened, and who did it.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::json;

use crate::App;
use crate::error::{Error, Result};
use crate::extract::Query;
use crate::store::audit::{Filter, Row};
use crate::ui::Ui;

/// Rows on a page.
const PAGE: i64 = 50;
/// Rows in an export.
const EXPORT: i64 = 100_000;

/// The newest rows that match.
pub async fn show(
    State(app): State<App>,
    ui: Ui,
    Query(filter): Query<Filter>,
) -> Result<Response> {
    let mut rows = app.store.audit(&filter, PAGE + 1).await?;
    let more = i64::try_from(rows.len()).is_ok_and(|len| len > PAGE);
    rows.truncate(usize::try_from(PAGE).unwrap_or_default());
    let older =
        rows.last().filter(|_| more).map(|row| Filter { before: Some(row.id), ..filter.clone() });
    let query = |filter: &Filter| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let Filter { login, action, target, result, before } = filter;
        for (name, value) in
            [("login", login), ("action", action), ("target", target), ("result", result)]
        {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        if let Some(before) = before {
            query.append_pair("before", &before.to_string());
        }
        query.finish()
    };
    let with = json!({
        "rows": rows,
        "older": older.as_ref().map(query),
        "same": query(&Filter { before: None, ..filter.clone() }),
        "filter": filter,
    });
    ui.page("audit.html", with)
}

/// For a spreadsheet. Cells that a spreadsheet would take for formulas are defused.
pub async fn csv(State(app): State<App>, Query(filter): Query<Filter>) -> Result<Response> {
    let rows = app.store.audit(&filter, EXPORT).await?;
    let text = to_csv(&rows).map_err(Error::internal)?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""),
    ];
    Ok((headers, text).into_response())
}

/// A row per line, for programs.
pub async fn jsonl(State(app): State<App>, Query(filter): Query<Filter>) -> Result<Response> {
    let rows = app.store.audit(&filter, EXPORT).await?;
    let mut text = String::new();
    for row in &rows {
        text.push_str(&serde_json::to_string(row).map_err(Error::internal)?);
        text.push('\n');
    }
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.jsonl\""),
    ];
    Ok((headers, text).into_response())
}

fn to_csv(rows: &[Row]) -> std::result::Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "id",
        "at",
        "request",
        "login",
        "via",
        "action",
        "target_kind",
        "target",
        "target_name",
        "address",
        "result",
        "status",
        "detail",
    ])?;
    for row in rows {
        let Row {
            id,
            at,
            request,
            person: _,
            login,
            via,
            action,
            target_kind,
            target,
            target_name,
            address,
            result,
            status,
            detail,
        } = row;
        let status = status.map(|status| status.to_string()).unwrap_or_default();
        let (id, at) = (id.to_string(), at.to_string());
        let cells = [
            id.as_str(),
            &at,
            request,
            login,
            via,
            action,
            target_kind,
            target,
            target_name,
            address,
            result.as_deref().unwrap_or_default(),
            &status,
            detail.as_deref().unwrap_or_default(),
        ];
        writer.write_record(cells.map(defused))?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A cell that begins like a formula gets an apostrophe in front, which spreadsheets take for "this is text".
fn defused(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::defused;

    #[test]
    fn formulas_are_defused() {
        assert_eq!(defused("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(defused("@SUM"), "'@SUM");
        assert_eq!(defused("plain"), "plain");
    }
}
