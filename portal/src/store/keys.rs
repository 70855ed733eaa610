//! API keys: found by their public part, kept as a hash of the secret one.

use sqlx::FromRow;

use crate::ids::{ClusterId, PersonId};
use crate::rights::Role;
use crate::store::{Result, Store};
use crate::time::Time;

/// A key as its owner sees it.
#[derive(Debug, Clone, FromRow, serde::Serialize, utoipa::ToSchema)]
pub struct Key {
    /// The public part.
    pub id: String,
    /// What its owner calls it.
    pub label: String,
    /// What it was made for, separated by spaces.
    pub scopes: String,
    /// The only cluster it is good for.
    #[schema(value_type = Option<String>)]
    pub cluster: Option<ClusterId>,
    /// When it was made.
    #[schema(value_type = String)]
    pub created_at: Time,
    /// When it ends.
    #[schema(value_type = String)]
    pub expires_at: Time,
    /// When it was used last, to the minute.
    #[schema(value_type = Option<String>)]
    pub last_used_at: Option<Time>,
}

/// A key that was presented, and who stands behind it.
#[derive(Debug, Clone, FromRow)]
pub struct Presented {
    /// The hash that the secret must have.
    pub hash: String,
    /// What it was made for.
    pub scopes: String,
    /// The only cluster it is good for.
    pub cluster: Option<ClusterId>,
    /// Whose it is.
    pub person: PersonId,
    /// What they sign in with.
    pub login: String,
    /// What they are called.
    pub name: String,
    /// Their role now.
    pub role: Role,
    /// Whether they may look at everything.
    pub auditor: bool,
    /// The last use that was noted.
    pub last_used_at: Option<Time>,
}

/// A key to be made.
pub struct NewKey<'a> {
    /// The public part.
    pub id: &'a str,
    /// The secret part's hash.
    pub hash: &'a str,
    /// Whose it is.
    pub owner: &'a PersonId,
    /// What they call it.
    pub label: &'a str,
    /// Separated by spaces.
    pub scopes: &'a str,
    /// The only cluster it shall be good for.
    pub cluster: Option<&'a ClusterId>,
    /// When it ends.
    pub expires_at: Time,
}

impl Store {
    /// A new key.
    pub async fn add_key(&self, key: NewKey<'_>) -> Result<()> {
        let NewKey { id, hash, owner, label, scopes, cluster, expires_at } = key;
        sqlx::query(
            "INSERT INTO keys (id, hash, owner, label, scopes, cluster, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id)
        .bind(hash)
        .bind(owner)
        .bind(label)
        .bind(scopes)
        .bind(cluster)
        .bind(Time::now())
        .bind(expires_at)
        .execute(self.write())
        .await?;
        Ok(())
    }

    /// A key that lives, with its owner if they may sign in.
    pub async fn presented_key(&self, id: &str) -> Result<Option<Presented>> {
        sqlx::query_as(
            "SELECT k.hash, k.scopes, k.cluster, p.id AS person, p.login, p.name, p.role, p.auditor, k.last_used_at
             FROM keys k JOIN people p ON p.id = k.owner
             WHERE k.id = ? AND k.expires_at > ? AND k.revoked_at IS NULL AND p.disabled_at IS NULL",
        )
        .bind(id)
        .bind(Time::now())
        .fetch_optional(self.read())
        .await
    }

    /// Notes a use.
    pub async fn touch_key(&self, id: &str) -> Result<()> {
        sqlx::query("UPDATE keys SET last_used_at = ? WHERE id = ?")
            .bind(Time::now())
            .bind(id)
            .execute(self.write())
            .await?;
        Ok(())
    }

    /// Somebody's living keys, the newest first.
    pub async fn keys_of(&self, owner: &PersonId) -> Result<Vec<Key>> {
        sqlx::query_as(
            "SELECT id, label, scopes, cluster, created_at, expires_at, last_used_at FROM keys
             WHERE owner = ? AND revoked_at IS NULL AND expires_at > ? ORDER BY created_at DESC",
        )
        .bind(owner)
        .bind(Time::now())
        .fetch_all(self.read())
        .await
    }

    /// Revokes one of somebody's keys; `false` if they have none such.
    pub async fn revoke_key(&self, owner: &PersonId, id: &str) -> Result<bool> {
        let done = sqlx::query(
            "UPDATE keys SET revoked_at = ? WHERE id = ? AND owner = ? AND revoked_at IS NULL",
        )
        .bind(Time::now())
        .bind(id)
        .bind(owner)
        .execute(self.write());
        Ok(done.await?.rows_affected() > 0)
    }
}
