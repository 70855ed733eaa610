//! The audit log. Rows are added and completed; the database itself refuses everything else.

use sqlx::FromRow;

use crate::store::{Result, Store};
use crate::time::Time;

/// One row.
#[derive(Debug, Clone, FromRow, serde::Serialize, utoipa::ToSchema)]
pub struct Row {
    /// Ascending.
    pub id: i64,
    /// When the request came.
    #[schema(value_type = String)]
    pub at: Time,
    /// The request's number, as it stands in logs and answers.
    pub request: String,
    /// Who, if they are known.
    pub person: Option<String>,
    /// What they sign in with.
    pub login: String,
    /// By session, key, run or link.
    pub via: String,
    /// What was asked for.
    pub action: String,
    /// The kind of thing it was about.
    pub target_kind: String,
    /// Its identifier.
    pub target: String,
    /// What it was called then.
    pub target_name: String,
    /// Where from.
    pub address: String,
    /// done, refused, failed; nothing if the portal ended before the request did.
    pub result: Option<String>,
    /// The HTTP status of the answer.
    pub status: Option<i64>,
    /// More of it, as JSON.
    pub detail: Option<String>,
}

/// A row before its request is served.
pub struct Begun<'a> {
    /// The request's number.
    pub request: &'a str,
    /// Who, if they are known.
    pub person: Option<&'a str>,
    /// What they sign in with.
    pub login: &'a str,
    /// How they proved it.
    pub via: &'a str,
    /// What is asked for.
    pub action: &'a str,
    /// About what.
    pub target: Target,
    /// Where from.
    pub address: &'a str,
}

/// What a request is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Target {
    /// cluster, environment, person, ...
    pub kind: String,
    /// Its identifier.
    pub id: String,
    /// What it is called.
    pub name: String,
}

/// Which rows; empty fields don't narrow.
#[derive(Debug, Clone, Default, serde::Deserialize, serde::Serialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Exactly this login.
    pub login: String,
    /// Exactly this action.
    pub action: String,
    /// This identifier or name.
    pub target: String,
    /// done, refused or failed.
    pub result: String,
    /// Only rows before this one: the next page.
    pub before: Option<i64>,
}

impl Store {
    /// Adds a row; its number is for [`Store::complete_audit`].
    pub async fn begin_audit(&self, row: Begun<'_>) -> Result<i64> {
        let Begun { request, person, login, via, action, target, address } = row;
        let done = sqlx::query(
            "INSERT INTO audit (at, request, person, login, via, action, target_kind, target, target_name, address)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(Time::now())
        .bind(request)
        .bind(person)
        .bind(login)
        .bind(via)
        .bind(action)
        .bind(target.kind)
        .bind(target.id)
        .bind(target.name)
        .bind(address)
        .execute(self.write())
        .await?;
        Ok(done.last_insert_rowid())
    }

    /// How it ended. The target may have become known only now.
    pub async fn complete_audit(
        &self,
        id: i64,
        target: Option<Target>,
        result: &str,
        status: u16,
        detail: Option<&str>,
    ) -> Result<()> {
        let target = target.unwrap_or_default();
        sqlx::query(
            "UPDATE audit SET result = ?, status = ?, detail = ?,
                 target_kind = CASE WHEN ?4 = '' THEN target_kind ELSE ?4 END,
                 target = CASE WHEN ?5 = '' THEN target ELSE ?5 END,
                 target_name = CASE WHEN ?6 = '' THEN target_name ELSE ?6 END
             WHERE id = ?7",
        )
        .bind(result)
        .bind(i64::from(status))
        .bind(detail)
        .bind(target.kind)
        .bind(target.id)
        .bind(target.name)
        .bind(id)
        .execute(self.write())
        .await?;
        Ok(())
    }

    /// The newest rows that match, the newest first.
    pub async fn audit(&self, filter: &Filter, limit: i64) -> Result<Vec<Row>> {
        sqlx::query_as(
            "SELECT * FROM audit
             WHERE (?1 = '' OR login = ?1) AND (?2 = '' OR action = ?2) AND (?3 = '' OR target = ?3 OR target_name = ?3)
               AND (?4 = '' OR result = ?4) AND (?5 IS NULL OR id < ?5)
             ORDER BY id DESC LIMIT ?6",
        )
        .bind(&filter.login)
        .bind(&filter.action)
        .bind(&filter.target)
        .bind(&filter.result)
        .bind(filter.before)
        .bind(limit)
        .fetch_all(self.read())
        .await
    }
}
