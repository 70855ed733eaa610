//! Links that set a password, once.

use crate::ids::PersonId;
use crate::store::{Result, Store};
use crate::time::Time;

/// What a link is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "snake_case")]
pub enum Purpose {
    /// Becoming the first administrator.
    Bootstrap,
    /// Setting somebody's password: an invitation, or because it was forgotten.
    Password,
}

/// A link that has not been used.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Link {
    /// What it is good for.
    pub purpose: Purpose,
    /// Whose password it sets; nobody's yet for the first administrator.
    pub person: Option<PersonId>,
}

impl Store {
    /// A new link; earlier ones for the same are void.
    pub async fn add_link(
        &self,
        hash: &str,
        purpose: Purpose,
        person: Option<&PersonId>,
        expires_at: Time,
    ) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM links WHERE purpose = ? AND person IS ?")
            .bind(purpose)
            .bind(person)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO links (hash, purpose, person, created_at, expires_at) VALUES (?, ?, ?, ?, ?)")
            .bind(hash)
            .bind(purpose)
            .bind(person)
            .bind(Time::now())
            .bind(expires_at)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// The link of a secret, if it is still good.
    pub async fn link(&self, hash: &str) -> Result<Option<Link>> {
        sqlx::query_as("SELECT purpose, person FROM links WHERE hash = ? AND used_at IS NULL AND expires_at > ?")
            .bind(hash)
            .bind(Time::now())
            .fetch_optional(self.read())
            .await
    }

    /// Uses it up: of two who come at once, one gets `true`.
    pub async fn use_link(&self, hash: &str) -> Result<bool> {
        let used = sqlx::query(
            "UPDATE links SET used_at = ? WHERE hash = ? AND used_at IS NULL AND expires_at > ?",
        )
        .bind(Time::now())
        .bind(hash)
        .bind(Time::now())
        .execute(self.write())
        .await?;
        Ok(used.rows_affected() == 1)
    }
}
