//! Sessions: found by the hash of their cookie, ended by deletion.

use sqlx::FromRow;

use crate::ids::{PersonId, SessionId};
use crate::rights::Role;
use crate::store::{Result, Store};
use crate::time::Time;

/// A session as its owner sees it.
#[derive(Debug, Clone, FromRow, serde::Serialize)]
pub struct Session {
    /// To end it by.
    pub id: SessionId,
    /// When its owner signed in.
    pub created_at: Time,
    /// The last request, to the minute.
    pub seen_at: Time,
    /// When it ends in any case.
    pub expires_at: Time,
    /// Where from.
    pub address: String,
    /// The browser's name for itself.
    pub agent: String,
}

/// A session and whose it is, for a request.
#[derive(Debug, Clone, FromRow)]
pub struct Live {
    /// The session.
    pub session: SessionId,
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
    /// The last request that was noted.
    pub seen_at: Time,
}

impl Store {
    /// A new session.
    pub async fn add_session(
        &self,
        person: &PersonId,
        hash: &str,
        expires_at: Time,
        address: &str,
        agent: &str,
    ) -> Result<SessionId> {
        let id = SessionId::new();
        let now = Time::now();
        sqlx::query(
            "INSERT INTO sessions (id, hash, person, created_at, seen_at, expires_at, address, agent)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&id)
        .bind(hash)
        .bind(person)
        .bind(now)
        .bind(now)
        .bind(expires_at)
        .bind(address)
        .bind(agent)
        .execute(self.write())
        .await?;
        Ok(id)
    }

    /// The session of a cookie, if it lives and its owner may sign in. `idle_since`: the last request must be after it.
    pub async fn live_session(&self, hash: &str, idle_since: Time) -> Result<Option<Live>> {
        sqlx::query_as(
            "SELECT s.id AS session, s.person, p.login, p.name, p.role, p.auditor, s.seen_at
             FROM sessions s JOIN people p ON p.id = s.person
             WHERE s.hash = ? AND s.expires_at > ? AND s.seen_at > ? AND p.disabled_at IS NULL",
        )
        .bind(hash)
        .bind(Time::now())
        .bind(idle_since)
        .fetch_optional(self.read())
        .await
    }

    /// The same session a while later.
    pub async fn live_session_by_id(
        &self,
        id: &SessionId,
        idle_since: Time,
    ) -> Result<Option<Live>> {
        sqlx::query_as(
            "SELECT s.id AS session, s.person, p.login, p.name, p.role, p.auditor, s.seen_at
             FROM sessions s JOIN people p ON p.id = s.person
             WHERE s.id = ? AND s.expires_at > ? AND s.seen_at > ? AND p.disabled_at IS NULL",
        )
        .bind(id)
        .bind(Time::now())
        .bind(idle_since)
        .fetch_optional(self.read())
        .await
    }

    /// Notes a request.
    pub async fn touch_session(&self, id: &SessionId) -> Result<()> {
        sqlx::query("UPDATE sessions SET seen_at = ? WHERE id = ?")
            .bind(Time::now())
            .bind(id)
            .execute(self.write())
            .await?;
        Ok(())
    }

    /// Somebody's living sessions, the newest first.
    pub async fn sessions_of(&self, person: &PersonId, idle_since: Time) -> Result<Vec<Session>> {
        sqlx::query_as(
            "SELECT id, created_at, seen_at, expires_at, address, agent FROM sessions
             WHERE person = ? AND expires_at > ? AND seen_at > ? ORDER BY seen_at DESC",
        )
        .bind(person)
        .bind(Time::now())
        .bind(idle_since)
        .fetch_all(self.read())
        .await
    }

    /// Ends one of somebody's sessions; `false` if they have none such.
    pub async fn end_session(&self, person: &PersonId, id: &SessionId) -> Result<bool> {
        let done = sqlx::query("DELETE FROM sessions WHERE id = ? AND person = ?")
            .bind(id)
            .bind(person)
            .execute(self.write());
        Ok(done.await?.rows_affected() > 0)
    }

    /// Ends the session of a cookie, whoever's it is.
    pub async fn end_session_by_hash(&self, hash: &str) -> Result<()> {
        sqlx::query("DELETE FROM sessions WHERE hash = ?").bind(hash).execute(self.write()).await?;
        Ok(())
    }

    /// Removes what has ended anyway.
    pub async fn sweep_sessions(&self, idle_since: Time) -> Result<()> {
        sqlx::query("DELETE FROM sessions WHERE expires_at <= ? OR seen_at <= ?")
            .bind(Time::now())
            .bind(idle_since)
            .execute(self.write())
            .await?;
        Ok(())
    }
}
