//! What single people may do with single clusters.

use sqlx::FromRow;

use crate::ids::{ClusterId, EnvironmentId, PersonId, RunId};
use crate::rights::{Level, Role};
use crate::store::{Result, Store};
use crate::time::Time;

/// A grant, as it is listed.
#[derive(Debug, Clone, FromRow, serde::Serialize, utoipa::ToSchema)]
pub struct Grant {
    /// To whom.
    #[schema(value_type = String)]
    pub person: PersonId,
    /// What they sign in with.
    pub login: String,
    /// What they are called.
    pub name: String,
    /// What they may do.
    pub level: Level,
    /// Since when.
    #[schema(value_type = String)]
    pub granted_at: Time,
}

/// Where somebody stands with a cluster.
#[derive(Debug, Clone, FromRow)]
pub struct Standing {
    /// The cluster.
    pub id: ClusterId,
    /// Its name, for the audit log.
    pub name: String,
    /// Its environment.
    pub environment: EnvironmentId,
    /// Their role as a member of it.
    pub member: Option<Role>,
    /// What was granted to them.
    pub level: Option<Level>,
}

const STANDING: &str = "SELECT c.id, c.name, c.environment, m.role AS member, g.level
     FROM clusters c
     LEFT JOIN members m ON m.environment = c.environment AND m.person = ?
     LEFT JOIN grants g ON g.cluster = c.id AND g.person = ?";

impl Store {
    /// Where somebody stands with a cluster; `None` if there is no such cluster.
    pub async fn standing(
        &self,
        cluster: &ClusterId,
        person: &PersonId,
    ) -> Result<Option<Standing>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{STANDING} WHERE c.id = ?")))
            .bind(person)
            .bind(person)
            .bind(cluster)
            .fetch_optional(self.read())
            .await
    }

    /// The same for the cluster of a run.
    pub async fn standing_by_run(
        &self,
        run: &RunId,
        person: &PersonId,
    ) -> Result<Option<Standing>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{STANDING} JOIN runs r ON r.cluster = c.id WHERE r.id = ?"
        )))
        .bind(person)
        .bind(person)
        .bind(run)
        .fetch_optional(self.read())
        .await
    }

    /// Who was granted what on a cluster, by login.
    pub async fn grants_on(&self, cluster: &ClusterId) -> Result<Vec<Grant>> {
        sqlx::query_as(
            "SELECT g.person, p.login, p.name, g.level, g.granted_at
             FROM grants g JOIN people p ON p.id = g.person WHERE g.cluster = ? ORDER BY p.login",
        )
        .bind(cluster)
        .fetch_all(self.read())
        .await
    }

    /// Grants, or changes what was granted.
    pub async fn set_grant(
        &self,
        cluster: &ClusterId,
        person: &PersonId,
        level: Level,
        by: &PersonId,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO grants (cluster, person, level, granted_by, granted_at) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (cluster, person) DO UPDATE SET level = excluded.level, granted_by = excluded.granted_by",
        )
        .bind(cluster)
        .bind(person)
        .bind(level)
        .bind(by)
        .bind(Time::now())
        .execute(self.write())
        .await?;
        Ok(())
    }

    /// Takes it back; `false` if there was nothing.
    pub async fn remove_grant(&self, cluster: &ClusterId, person: &PersonId) -> Result<bool> {
        let done = sqlx::query("DELETE FROM grants WHERE cluster = ? AND person = ?")
            .bind(cluster)
            .bind(person)
            .execute(self.write());
        Ok(done.await?.rows_affected() > 0)
    }
}
