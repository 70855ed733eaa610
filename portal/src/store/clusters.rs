//! Clusters as people asked for them.

use sqlx::{FromRow, Sqlite, Transaction};

use crate::cluster::Spec;
use crate::ids::{ClusterId, EnvironmentId, PersonId};
use crate::rights::{Actor, Level, Role, level_on};
use crate::store::{Result, Store};
use crate::time::Time;

/// A cluster, as it is listed. What *exists* of it is said by its state alone.
#[derive(Debug, Clone, FromRow)]
pub struct Cluster {
    /// Made by the portal.
    pub id: ClusterId,
    /// Its name.
    pub name: String,
    /// Where it belongs.
    pub environment: EnvironmentId,
    /// The environment's name.
    pub environment_name: String,
    /// What was last approved, or made of it past the portal; before that, what was asked for first.
    #[sqlx(try_from = "String")]
    pub spec: Spec,
    /// Whether it may not be destroyed.
    pub protected: bool,
    /// Who made it.
    pub created_by: PersonId,
    /// What they sign in with.
    pub creator: String,
    /// When.
    pub created_at: Time,
    /// When it was proven to be gone.
    pub removed_at: Option<Time>,
}

/// A row of the list, with what decides whether somebody may see it.
#[derive(FromRow)]
struct Seen {
    #[sqlx(flatten)]
    cluster: Cluster,
    member: Option<Role>,
    level: Option<Level>,
}

const COLUMNS: &str =
    "c.id, c.name, c.environment, e.name AS environment_name, c.spec, c.protected, c.created_by,
     p.login AS creator, c.created_at, c.removed_at";
const TABLES: &str =
    "clusters c JOIN environments e ON e.id = c.environment JOIN people p ON p.id = c.created_by";

impl Store {
    /// Those that stand and that the actor may see, newest first.
    pub async fn clusters_for(&self, actor: &Actor) -> Result<Vec<Cluster>> {
        let query = format!(
            "SELECT {COLUMNS}, m.role AS member, g.level FROM {TABLES}
             LEFT JOIN members m ON m.environment = c.environment AND m.person = ?
             LEFT JOIN grants g ON g.cluster = c.id AND g.person = ?
             WHERE c.removed_at IS NULL AND (? OR m.role IS NOT NULL OR g.level IS NOT NULL) ORDER BY c.id DESC"
        );
        let seen: Vec<Seen> = sqlx::query_as(sqlx::AssertSqlSafe(query))
            .bind(&actor.person)
            .bind(&actor.person)
            .bind(actor.role == Role::Admin || actor.auditor)
            .fetch_all(self.read())
            .await?;
        let visible = |row: &Seen| level_on(actor, row.member, row.level).is_some();
        Ok(seen.into_iter().filter(visible).map(|row| row.cluster).collect())
    }

    /// One of them, also if it is gone.
    pub async fn cluster(&self, id: &ClusterId) -> Result<Cluster> {
        let query = format!("SELECT {COLUMNS} FROM {TABLES} WHERE c.id = ?");
        sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(id).fetch_one(self.read()).await
    }

    /// A new one, with its maker as owner. Fails as [`super::is_taken`] if one of that name stands.
    pub(super) async fn add_cluster(
        transaction: &mut Transaction<'_, Sqlite>,
        spec: &Spec,
        environment: &EnvironmentId,
        person: &PersonId,
    ) -> Result<ClusterId> {
        let (id, now) = (ClusterId::new(), Time::now());
        sqlx::query(
            "INSERT INTO clusters (id, name, environment, spec, created_by, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(&id)
        .bind(spec.wanted.name.as_str())
        .bind(environment)
        .bind(spec.to_json())
        .bind(person)
        .bind(now)
        .execute(&mut **transaction)
        .await?;
        sqlx::query("INSERT INTO grants (cluster, person, level, granted_by, granted_at) VALUES (?, ?, 'own', ?, ?)")
            .bind(&id)
            .bind(person)
            .bind(person)
            .bind(now)
            .execute(&mut **transaction)
            .await?;
        Ok(id)
    }

    /// Whether it may not be destroyed.
    pub async fn protect_cluster(&self, id: &ClusterId, protected: bool) -> Result<()> {
        let update = sqlx::query("UPDATE clusters SET protected = ? WHERE id = ?");
        update.bind(protected).bind(id).execute(self.write()).await?;
        Ok(())
    }
}
