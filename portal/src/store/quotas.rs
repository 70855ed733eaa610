//! How much may be held, and what is held of it. Reservations change only in the transaction that queues or ends a run.

use std::collections::{HashMap, HashSet};

use sqlx::{FromRow, Sqlite, SqliteConnection, Transaction};

use crate::ids::{ClusterId, EnvironmentId, PersonId};
use crate::quota::{Amount, Gauge, Limit, Scope};
use crate::store::{Result, Store};

/// Somebody's quota, or an environment's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The limit that counts, and what is held of it.
    pub gauge: Gauge,
    /// Whether the limit is one of their own.
    pub own: bool,
}

#[derive(FromRow)]
struct Numbers {
    clusters: Option<i64>,
    machines: Option<i64>,
    cores: Option<i64>,
    memory_mib: Option<i64>,
    disk_gib: Option<i64>,
}

/// The numbers of one of many.
#[derive(FromRow)]
struct Of {
    id: String,
    #[sqlx(flatten)]
    numbers: Numbers,
}

impl From<Numbers> for Amount {
    fn from(numbers: Numbers) -> Self {
        let number = |number: Option<i64>| number.and_then(|n| n.try_into().ok()).unwrap_or(0);
        Self {
            clusters: number(numbers.clusters),
            machines: number(numbers.machines),
            cores: number(numbers.cores),
            memory_mib: number(numbers.memory_mib),
            disk_gib: number(numbers.disk_gib),
        }
    }
}

impl From<Numbers> for Limit {
    fn from(numbers: Numbers) -> Self {
        let number = |number: Option<i64>| number.and_then(|n| n.try_into().ok());
        Self {
            clusters: number(numbers.clusters),
            machines: number(numbers.machines),
            cores: number(numbers.cores),
            memory_mib: number(numbers.memory_mib),
            disk_gib: number(numbers.disk_gib),
        }
    }
}

impl Scope {
    /// As it stands in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Environment => "environment",
            Self::Site => "site",
        }
    }
}

impl Store {
    /// The quotas that a cluster of this person in this environment counts in, and what would be held if it took `after` instead
    /// of what it holds now.
    pub async fn gauges(
        &self,
        person: &PersonId,
        environment: &EnvironmentId,
        cluster: Option<&ClusterId>,
        after: Amount,
    ) -> Result<Vec<Gauge>> {
        let mut connection = self.read().acquire().await?;
        Self::gauges_in(&mut connection, person, environment, cluster, after).await
    }

    pub(super) async fn gauges_in(
        connection: &mut SqliteConnection,
        person: &PersonId,
        environment: &EnvironmentId,
        cluster: Option<&ClusterId>,
        after: Amount,
    ) -> Result<Vec<Gauge>> {
        let own = match cluster {
            Some(cluster) => held(connection, "WHERE cluster = ?", Some(cluster.as_str())).await?,
            None => Amount::default(),
        };
        let scopes = [
            (Scope::Person, person.as_str()),
            (Scope::Environment, environment.as_str()),
            (Scope::Site, ""),
        ];
        let mut gauges = Vec::new();
        for (scope, id) in scopes {
            let gauge = gauge(connection, scope, id).await?;
            gauges.push(Gauge { after: gauge.held.without(own).and(after), ..gauge });
        }
        Ok(gauges)
    }

    /// One quota with what is held of it.
    pub async fn gauge(&self, scope: Scope, id: &str) -> Result<Gauge> {
        let mut connection = self.read().acquire().await?;
        gauge(&mut connection, scope, id).await
    }

    /// By their ids, all people or environments that hold something or have a limit of their own: two queries, however many
    /// there are. Who is not among them holds nothing of what everybody may.
    pub async fn holders(&self, scope: Scope) -> Result<HashMap<String, Holder>> {
        let mut connection = self.read().acquire().await?;
        let mut held = held_by(&mut connection, scope).await?;
        let mut limits = limits(&mut connection, scope).await?;
        let default = limits.remove("").unwrap_or_default();
        let ids: HashSet<String> = held.keys().chain(limits.keys()).cloned().collect();
        let holder = |id: String| {
            let own = limits.get(&id).copied();
            let held = held.remove(&id).unwrap_or_default();
            let gauge = Gauge { scope, limit: own.unwrap_or(default), held, after: held };
            (id, Holder { gauge, own: own.is_some() })
        };
        Ok(ids.into_iter().map(holder).collect())
    }

    /// What a cluster holds from now on.
    pub(super) async fn reserve(
        transaction: &mut Transaction<'_, Sqlite>,
        cluster: &ClusterId,
        person: &PersonId,
        environment: &EnvironmentId,
        amount: Amount,
    ) -> Result<()> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        sqlx::query(
            "INSERT INTO reservations (cluster, person, environment, machines, cores, memory_mib, disk_gib)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (cluster) DO UPDATE SET machines = excluded.machines, cores = excluded.cores,
                 memory_mib = excluded.memory_mib, disk_gib = excluded.disk_gib",
        )
        .bind(cluster)
        .bind(person)
        .bind(environment)
        .bind(number(amount.machines))
        .bind(number(amount.cores))
        .bind(number(amount.memory_mib))
        .bind(number(amount.disk_gib))
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }

    /// What a cluster holds.
    pub(super) async fn reserved(
        transaction: &mut Transaction<'_, Sqlite>,
        cluster: &ClusterId,
    ) -> Result<Amount> {
        held(transaction, "WHERE cluster = ?", Some(cluster.as_str())).await
    }

    /// The cluster holds nothing any more.
    pub(super) async fn release(
        transaction: &mut Transaction<'_, Sqlite>,
        cluster: &ClusterId,
    ) -> Result<()> {
        let delete = sqlx::query("DELETE FROM reservations WHERE cluster = ?");
        delete.bind(cluster).execute(&mut **transaction).await?;
        Ok(())
    }

    /// What may be held: of one person or environment, or with an empty `id` of everyone who has no limit of their own. A limit
    /// without any number takes away what was set, so that the default counts again.
    pub async fn set_limit(&self, scope: Scope, id: &str, limit: Limit) -> Result<()> {
        if limit == Limit::default() {
            let delete = sqlx::query("DELETE FROM quotas WHERE scope = ? AND id = ?");
            delete.bind(scope.as_str()).bind(id).execute(self.write()).await?;
            return Ok(());
        }
        let number = |number: Option<u64>| number.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        sqlx::query(
            "INSERT INTO quotas (scope, id, clusters, machines, cores, memory_mib, disk_gib) VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (scope, id) DO UPDATE SET clusters = excluded.clusters, machines = excluded.machines,
                 cores = excluded.cores, memory_mib = excluded.memory_mib, disk_gib = excluded.disk_gib",
        )
        .bind(scope.as_str())
        .bind(id)
        .bind(number(limit.clusters))
        .bind(number(limit.machines))
        .bind(number(limit.cores))
        .bind(number(limit.memory_mib))
        .bind(number(limit.disk_gib))
        .execute(self.write())
        .await?;
        Ok(())
    }

    /// What may be held, as it was set; the default's if there is nothing of its own.
    pub async fn limit(&self, scope: Scope, id: &str) -> Result<Limit> {
        let mut connection = self.read().acquire().await?;
        limit(&mut connection, scope, id).await
    }
}

async fn gauge(connection: &mut SqliteConnection, scope: Scope, id: &str) -> Result<Gauge> {
    let (of, bound) = match scope {
        Scope::Person => ("WHERE person = ?", Some(id)),
        Scope::Environment => ("WHERE environment = ?", Some(id)),
        Scope::Site => ("", None),
    };
    let held = held(connection, of, bound).await?;
    let limit = limit(connection, scope, id).await?;
    Ok(Gauge { scope, limit, held, after: held })
}

async fn held(
    connection: &mut SqliteConnection,
    of: &'static str,
    bound: Option<&str>,
) -> Result<Amount> {
    let query = format!(
        "SELECT COUNT(*) AS clusters, SUM(machines) AS machines, SUM(cores) AS cores, SUM(memory_mib) AS memory_mib,
                SUM(disk_gib) AS disk_gib FROM reservations {of}"
    );
    let query = sqlx::query_as::<_, Numbers>(sqlx::AssertSqlSafe(query));
    let query = if let Some(bound) = bound { query.bind(bound) } else { query };
    Ok(query.fetch_one(connection).await?.into())
}

/// What each holds who holds something.
async fn held_by(
    connection: &mut SqliteConnection,
    scope: Scope,
) -> Result<HashMap<String, Amount>> {
    let holder = match scope {
        Scope::Person => "person",
        Scope::Environment => "environment",
        Scope::Site => "''",
    };
    let query = format!(
        "SELECT {holder} AS id, COUNT(*) AS clusters, SUM(machines) AS machines, SUM(cores) AS cores,
                SUM(memory_mib) AS memory_mib, SUM(disk_gib) AS disk_gib FROM reservations GROUP BY 1"
    );
    let rows: Vec<Of> = sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|of| (of.id, of.numbers.into())).collect())
}

/// What was set, by whose it is; the default's is nobody's.
async fn limits(connection: &mut SqliteConnection, scope: Scope) -> Result<HashMap<String, Limit>> {
    let rows: Vec<Of> = sqlx::query_as(
        "SELECT id, clusters, machines, cores, memory_mib, disk_gib FROM quotas WHERE scope = ?",
    )
    .bind(scope.as_str())
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|of| (of.id, of.numbers.into())).collect())
}

async fn limit(connection: &mut SqliteConnection, scope: Scope, id: &str) -> Result<Limit> {
    let found: Option<Numbers> = sqlx::query_as(
        "SELECT clusters, machines, cores, memory_mib, disk_gib FROM quotas WHERE scope = ? AND id IN (?, '')
         ORDER BY id DESC LIMIT 1",
    )
    .bind(scope.as_str())
    .bind(id)
    .fetch_optional(connection)
    .await?;
    Ok(found.map(Limit::from).unwrap_or_default())
}
