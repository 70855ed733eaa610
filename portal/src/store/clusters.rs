//! Clusters as people asked for them.

use sqlx::{FromRow, Sqlite, Transaction};

use crate::cluster::Spec;
use crate::ids::{ClusterId, EnvironmentId, PersonId, RunId};
use crate::rights::{Actor, Level, Role, level_of, level_on};
use crate::runs::machine::{Kind, State};
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

/// No more of a cluster than what lists are counted and ordered by.
#[derive(Debug, Clone, FromRow)]
pub struct Brief {
    /// Which.
    pub id: ClusterId,
    /// Its last run.
    pub run: Option<RunId>,
    /// What that run is to do.
    pub kind: Option<Kind>,
    /// How far that run is.
    pub state: Option<State>,
    /// Whether something of the cluster may exist: it holds something of its quotas.
    pub stands: bool,
}

/// What a list is narrowed to; by default to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Search<'a> {
    /// A part of a name, or the login of who made it; empty for all.
    pub text: &'a str,
    /// An environment's id; empty for all.
    pub environment: &'a str,
    /// Only those of which some run did not succeed, be it that it has not ended yet.
    pub unsettled: bool,
}

/// A row, with what decides whether somebody may see it.
#[derive(FromRow)]
struct Seen<T> {
    #[sqlx(flatten)]
    row: T,
    member: Option<Role>,
    level: Option<Level>,
}

const COLUMNS: &str =
    "c.id, c.name, c.environment, e.name AS environment_name, c.spec, c.protected, c.created_by,
     p.login AS creator, c.created_at, c.removed_at";
const TABLES: &str =
    "clusters c JOIN environments e ON e.id = c.environment JOIN people p ON p.id = c.created_by";

/// Those that stand and are searched for: in the environment `?1`, with the text `?2`.
const SEARCHED: &str = "c.removed_at IS NULL AND (?1 = '' OR c.environment = ?1)
     AND (?2 = '' OR instr(c.name, ?2) > 0 OR c.created_by = (SELECT id FROM people WHERE login = ?2))";

/// Whether there is no cluster that the actor may not see.
fn sees_all(actor: &Actor) -> bool {
    level_of(actor.role, actor.auditor, None, None).is_some()
}

impl Store {
    /// Those that stand and that the actor may see, newest first.
    pub async fn clusters_for(&self, actor: &Actor) -> Result<Vec<Cluster>> {
        let briefs = self.briefs_for(actor, Search::default()).await?;
        self.clusters(briefs.iter().map(|brief| &brief.id)).await
    }

    /// The same, with no more of each than what it is counted and ordered by.
    pub async fn briefs_for(&self, actor: &Actor, search: Search<'_>) -> Result<Vec<Brief>> {
        self.briefs(actor, search, None).await
    }

    /// The newest of them, at most so many; and how many there are, settled or not.
    pub async fn newest_for(
        &self,
        actor: &Actor,
        search: Search<'_>,
        most: usize,
    ) -> Result<(Vec<Brief>, usize)> {
        if !sees_all(actor) {
            let mut briefs = self.briefs(actor, search, None).await?;
            let count = briefs.len();
            briefs.truncate(most);
            return Ok((briefs, count));
        }
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "SELECT COUNT(*) FROM clusters c WHERE {SEARCHED}"
        )))
        .bind(search.environment)
        .bind(search.text)
        .fetch_one(self.read())
        .await?;
        let briefs = self.briefs(actor, search, Some(most)).await?;
        Ok((briefs, count.try_into().unwrap_or_default()))
    }

    async fn briefs(
        &self,
        actor: &Actor,
        search: Search<'_>,
        most: Option<usize>,
    ) -> Result<Vec<Brief>> {
        // Whoever sees everything is asked for nothing; for others it begins with the few that they have to do with.
        let (standing, near) = if sees_all(actor) {
            ("NULL AS member, NULL AS level", "")
        } else {
            (
                "(SELECT role FROM members WHERE environment = c.environment AND person = ?3) AS member,
                 (SELECT level FROM grants WHERE cluster = c.id AND person = ?3) AS level",
                "AND c.id IN (SELECT cluster FROM grants WHERE person = ?3 UNION
                              SELECT o.id FROM members m JOIN clusters o ON o.environment = m.environment
                              WHERE m.person = ?3)",
            )
        };
        let unsettled = if search.unsettled {
            "AND c.id IN (SELECT cluster FROM runs WHERE state <> 'succeeded')"
        } else {
            ""
        };
        let query = format!(
            "SELECT c.id, r.id AS run, r.kind, r.state, {standing},
                    EXISTS (SELECT 1 FROM reservations h WHERE h.cluster = c.id) AS stands
             FROM clusters c
             LEFT JOIN runs r ON r.cluster = c.id AND r.id = (SELECT MAX(l.id) FROM runs l WHERE l.cluster = c.id)
             WHERE {SEARCHED} {near} {unsettled} ORDER BY c.id DESC LIMIT ?4"
        );
        let seen: Vec<Seen<Brief>> = sqlx::query_as(sqlx::AssertSqlSafe(query))
            .bind(search.environment)
            .bind(search.text)
            .bind(&actor.person)
            // Less than nothing: all of them.
            .bind(most.map_or(-1, |most| i64::try_from(most).unwrap_or(i64::MAX)))
            .fetch_all(self.read())
            .await?;
        let visible = |row: &Seen<Brief>| level_on(actor, row.member, row.level).is_some();
        Ok(seen.into_iter().filter(visible).map(|seen| seen.row).collect())
    }

    /// These, newest first.
    pub async fn clusters(&self, ids: impl Iterator<Item = &ClusterId>) -> Result<Vec<Cluster>> {
        let query = format!(
            "SELECT {COLUMNS} FROM {TABLES} WHERE c.id IN (SELECT value FROM json_each(?)) ORDER BY c.id DESC"
        );
        let ids = sqlx::types::Json(ids.collect::<Vec<_>>());
        sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(ids).fetch_all(self.read()).await
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
