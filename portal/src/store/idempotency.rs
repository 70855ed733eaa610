//! Requests that must not be served twice: by whose key, and what was answered.

use crate::ids::PersonId;
use crate::store::{Result, Store};
use crate::time::Time;

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// Nothing: it is noted now.
    Never,
    /// It was used for something else.
    Other,
    /// The same request has no answer yet.
    Unfinished,
    /// The same request was answered with this.
    Answered(String),
}

impl Store {
    /// Notes that a request is served now, unless it was before.
    pub async fn begin_once(&self, person: &PersonId, key: &str, request: &str) -> Result<Before> {
        let insert = sqlx::query(
            "INSERT INTO idempotency (person, key, request, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        );
        let insert = insert.bind(person).bind(key).bind(request).bind(Time::now());
        if insert.execute(self.write()).await?.rows_affected() == 1 {
            return Ok(Before::Never);
        }
        let found: Option<(String, Option<String>)> =
            sqlx::query_as("SELECT request, body FROM idempotency WHERE person = ? AND key = ?")
                .bind(person)
                .bind(key)
                .fetch_optional(self.read())
                .await?;
        Ok(match found {
            Some((known, _)) if known != request => Before::Other,
            Some((_, Some(body))) => Before::Answered(body),
            Some((_, None)) | None => Before::Unfinished,
        })
    }

    /// Keeps the answer; without one the key is free again.
    pub async fn end_once(&self, person: &PersonId, key: &str, body: Option<&str>) -> Result<()> {
        let query = match body {
            Some(body) => sqlx::query(
                "UPDATE idempotency SET status = 201, body = ? WHERE person = ? AND key = ?",
            )
            .bind(body.to_owned()),
            None => sqlx::query("DELETE FROM idempotency WHERE person = ? AND key = ?"),
        };
        query.bind(person).bind(key).execute(self.write()).await?;
        Ok(())
    }

    /// Forgets what was asked before this time. Where a portal died with a request, its key is free again.
    pub async fn sweep_requests(&self, before: Time) -> Result<()> {
        let delete = sqlx::query("DELETE FROM idempotency WHERE created_at < ?");
        delete.bind(before).execute(self.write()).await?;
        Ok(())
    }
}
