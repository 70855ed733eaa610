//! The queue of runs.

use sqlx::{FromRow, Sqlite, Transaction};

use crate::cluster::Spec;
use crate::cluster::plan::{Effect, Plan};
use crate::ids::{ClusterId, EnvironmentId, PersonId, RunId};
use crate::quota::Amount;
use crate::rights::Role;
use crate::runs::machine::{Event, Impossible, Kind, State};
use crate::runs::{Failure, Receipt};
use crate::store::{Result, Store, is_taken};
use crate::time::Time;

/// A run, as it stands in the queue or in the history.
#[derive(Debug, Clone, FromRow)]
pub struct Run {
    /// Made by the portal.
    pub id: RunId,
    /// What it is about.
    pub cluster: ClusterId,
    /// What it is to do.
    pub kind: Kind,
    /// How far it is.
    pub state: State,
    /// What the cluster is to become.
    #[sqlx(try_from = "String")]
    pub spec: Spec,
    /// What was planned, in words.
    #[sqlx(json(nullable))]
    pub plan: Option<Plan>,
    /// SHA-256 of the saved plan.
    pub plan_hash: Option<String>,
    /// Who asked for it.
    pub requested_by: PersonId,
    /// What they sign in with.
    pub requester: String,
    /// Who approved the plan.
    pub approver: Option<String>,
    /// When it was asked for.
    pub created_at: Time,
    /// When Terraform was first started.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// When somebody asked it to stop.
    pub cancel_at: Option<Time>,
    /// Why it did not succeed.
    #[sqlx(json(nullable))]
    pub failure: Option<Failure>,
    /// The proof of a destroy.
    #[sqlx(json(nullable))]
    pub receipt: Option<Receipt>,
}

/// Why a run was not queued.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The name of a new cluster is taken.
    #[error("There is a cluster of this name already. Choose another name.")]
    NameTaken,
    /// A quota is too small.
    #[error("{0}")]
    Quota(String),
    /// Another run has not ended.
    #[error("Another run of this cluster has not ended yet. Wait for it, or cancel it.")]
    Busy(RunId),
    /// The cluster is gone.
    #[error("This cluster is gone.")]
    Gone,
    /// The database.
    #[error(transparent)]
    Store(#[from] sqlx::Error),
}

/// Why a run did not go on.
#[derive(Debug, thiserror::Error)]
pub enum NotMoved {
    /// It can't, from where it is.
    #[error(transparent)]
    Impossible(#[from] Impossible),
    /// Somebody else was faster.
    #[error("the run has changed meanwhile")]
    Changed,
    /// The database.
    #[error(transparent)]
    Store(#[from] sqlx::Error),
}

impl Run {
    /// Whether it destroys the cluster that is there: also a change whose plan makes it anew.
    pub fn destroys(&self) -> bool {
        let gravest = self.plan.as_ref().map_or(Effect::Nothing, |plan| plan.effect);
        self.kind == Kind::Destroy || gravest >= Effect::Replaces
    }
}

/// How a run ended, and what is left.
#[derive(Debug, Clone)]
pub struct End {
    /// What happened last.
    pub event: Event,
    /// Why it did not succeed.
    pub failure: Option<Failure>,
    /// The proof of a destroy.
    pub receipt: Option<Receipt>,
    /// What the cluster holds of its quotas now; `None` if nothing of it is left.
    pub holds: Option<Amount>,
    /// Whether the cluster is proven to be gone.
    pub removed: bool,
}

const SELECT: &str = "SELECT r.id, r.cluster, r.kind, r.state, r.spec, r.plan, r.plan_hash, r.requested_by,
     p.login AS requester, a.login AS approver, r.created_at, r.started_at, r.finished_at, r.cancel_at, r.failure, r.receipt
     FROM runs r JOIN people p ON p.id = r.requested_by LEFT JOIN people a ON a.id = r.approved_by";

impl Store {
    /// Queues the first run of a new cluster: name, owner, quota and run in one transaction.
    pub async fn queue_create(
        &self,
        spec: &Spec,
        environment: &EnvironmentId,
        person: &PersonId,
    ) -> std::result::Result<(ClusterId, RunId), Refused> {
        let mut transaction = self.begin().await?;
        let amount = Amount::wanted(&spec.wanted);
        within(&mut transaction, person, environment, None, amount).await?;
        let added = Self::add_cluster(&mut transaction, spec, environment, person).await;
        let cluster = added.map_err(|error| {
            if is_taken(&error) { Refused::NameTaken } else { Refused::Store(error) }
        })?;
        Self::reserve(&mut transaction, &cluster, person, environment, amount).await?;
        let run = add(&mut transaction, &cluster, Kind::Create, spec, person).await?;
        transaction.commit().await?;
        Ok((cluster, run))
    }

    /// Queues another run. A destroy takes the place of one that has not touched anything yet.
    pub async fn queue_run(
        &self,
        cluster: &ClusterId,
        kind: Kind,
        spec: &Spec,
        person: &PersonId,
    ) -> std::result::Result<RunId, Refused> {
        let mut transaction = self.begin().await?;
        let row: Option<(EnvironmentId, PersonId, Option<Time>)> =
            sqlx::query_as("SELECT environment, created_by, removed_at FROM clusters WHERE id = ?")
                .bind(cluster)
                .fetch_optional(&mut *transaction)
                .await?;
        let Some((environment, owner, None)) = row else { return Err(Refused::Gone) };
        let open: Option<(RunId, State)> =
            sqlx::query_as("SELECT id, state FROM runs WHERE cluster = ? AND finished_at IS NULL")
                .bind(cluster)
                .fetch_optional(&mut *transaction)
                .await?;
        if let Some((open, state)) = open {
            let Ok(cancelled) = state.after(Event::Cancel) else { return Err(Refused::Busy(open)) };
            if kind != Kind::Destroy {
                return Err(Refused::Busy(open));
            }
            sqlx::query(
                "UPDATE runs SET state = ?, finished_at = ?, token_hash = NULL WHERE id = ?",
            )
            .bind(cancelled)
            .bind(Time::now())
            .bind(open)
            .execute(&mut *transaction)
            .await?;
        }
        if kind != Kind::Destroy {
            // Until the change is done, the cluster holds what it has and what it is to have.
            let held = Self::reserved(&mut transaction, cluster).await?;
            let amount = held.or(Amount::wanted(&spec.wanted));
            within(&mut transaction, &owner, &environment, Some(cluster), amount).await?;
            Self::reserve(&mut transaction, cluster, &owner, &environment, amount).await?;
        }
        let run = add(&mut transaction, cluster, kind, spec, person).await?;
        transaction.commit().await?;
        Ok(run)
    }

    /// A cluster was changed past the portal: what it is now is what is wanted, and what it holds of its quotas, too large or
    /// not.
    pub async fn follow_cluster(&self, cluster: &ClusterId, spec: &Spec) -> Result<()> {
        let mut transaction = self.begin().await?;
        let (environment, owner): (EnvironmentId, PersonId) =
            sqlx::query_as("SELECT environment, created_by FROM clusters WHERE id = ?")
                .bind(cluster)
                .fetch_one(&mut *transaction)
                .await?;
        let open: Option<(RunId,)> =
            sqlx::query_as("SELECT id FROM runs WHERE cluster = ? AND finished_at IS NULL")
                .bind(cluster)
                .fetch_optional(&mut *transaction)
                .await?;
        let mut amount = Amount::wanted(&spec.wanted);
        if open.is_some() {
            // It has reserved what it is to have.
            amount = amount.or(Self::reserved(&mut transaction, cluster).await?);
        }
        Self::reserve(&mut transaction, cluster, &owner, &environment, amount).await?;
        let update = sqlx::query("UPDATE clusters SET spec = ? WHERE id = ?");
        update.bind(spec.to_json()).bind(cluster).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    /// One run.
    pub async fn run(&self, id: &RunId) -> Result<Run> {
        let query = format!("{SELECT} WHERE r.id = ?");
        sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(id).fetch_one(self.read()).await
    }

    /// The runs of a cluster, newest first.
    pub async fn runs_of(&self, cluster: &ClusterId) -> Result<Vec<Run>> {
        let query = format!("{SELECT} WHERE r.cluster = ? ORDER BY r.id DESC LIMIT 100");
        sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(cluster).fetch_all(self.read()).await
    }

    /// Whether something of a cluster may exist: it holds something of its quotas.
    pub async fn stands(&self, cluster: &ClusterId) -> Result<bool> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM reservations WHERE cluster = ?)")
            .bind(cluster)
            .fetch_one(self.read())
            .await
    }

    /// The one of a cluster that has not ended, if there is one.
    pub async fn open_run_of(&self, cluster: &ClusterId) -> Result<Option<Run>> {
        let query = format!("{SELECT} WHERE r.cluster = ? AND r.finished_at IS NULL");
        sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(cluster).fetch_optional(self.read()).await
    }

    /// So many of those that have ended, the last first.
    pub async fn ended_last(&self, many: usize) -> Result<Vec<Run>> {
        let query = format!(
            "{SELECT} WHERE r.finished_at IS NOT NULL ORDER BY r.finished_at DESC, r.id DESC LIMIT ?"
        );
        let many = i64::try_from(many).unwrap_or(i64::MAX);
        sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(many).fetch_all(self.read()).await
    }

    /// All that have not ended, oldest first.
    pub async fn open_runs(&self) -> Result<Vec<Run>> {
        let query = format!("{SELECT} WHERE r.finished_at IS NULL ORDER BY r.id");
        sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_all(self.read()).await
    }

    /// The state after an event, if it can happen and nobody was faster.
    pub async fn move_run(&self, run: &Run, event: Event) -> std::result::Result<State, NotMoved> {
        let next = run.state.after(event)?;
        let update = sqlx::query(
            "UPDATE runs SET state = ? WHERE id = ? AND state = ? AND finished_at IS NULL",
        );
        let done = update.bind(next).bind(&run.id).bind(run.state).execute(self.write()).await?;
        if done.rows_affected() == 1 { Ok(next) } else { Err(NotMoved::Changed) }
    }

    /// A run's turn has come: Terraform may show this token from now on.
    pub async fn begin_run(
        &self,
        run: &Run,
        token_hash: &str,
    ) -> std::result::Result<State, NotMoved> {
        let next = run.state.after(Event::Begin)?;
        let mut transaction = self.begin().await?;
        let update = sqlx::query(
            "UPDATE runs SET state = ?, token_hash = ?, started_at = COALESCE(started_at, ?)
             WHERE id = ? AND state = ? AND cancel_at IS NULL AND finished_at IS NULL",
        );
        let update =
            update.bind(next).bind(token_hash).bind(Time::now()).bind(&run.id).bind(run.state);
        if update.execute(&mut *transaction).await?.rows_affected() != 1 {
            return Err(NotMoved::Changed);
        }
        if next == State::Applying {
            let update = sqlx::query("UPDATE clusters SET spec = ? WHERE id = ?");
            update.bind(run.spec.to_json()).bind(&run.cluster).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(next)
    }

    /// A run that was cut off starts Terraform anew: from now on it shows this token.
    pub async fn renew_token(&self, run: &RunId, token_hash: &str) -> Result<()> {
        let update =
            sqlx::query("UPDATE runs SET token_hash = ? WHERE id = ? AND finished_at IS NULL");
        update.bind(token_hash).bind(run).execute(self.write()).await?;
        Ok(())
    }

    /// The plan lies there.
    pub async fn run_planned(
        &self,
        run: &Run,
        plan: &Plan,
        hash: &str,
        event: Event,
    ) -> std::result::Result<State, NotMoved> {
        let next = run.state.after(event)?;
        let update = sqlx::query(
            "UPDATE runs SET state = ?, plan = ?, plan_hash = ?, token_hash = NULL
             WHERE id = ? AND state = ? AND cancel_at IS NULL",
        );
        let plan =
            serde_json::to_string(plan).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let update = update.bind(next).bind(plan).bind(hash).bind(&run.id).bind(run.state);
        let done = update.execute(self.write()).await?;
        if done.rows_affected() == 1 { Ok(next) } else { Err(NotMoved::Changed) }
    }

    /// Somebody approves the plan with this hash.
    pub async fn approve_run(
        &self,
        run: &Run,
        hash: &str,
        person: &PersonId,
    ) -> std::result::Result<State, NotMoved> {
        let next = run.state.after(Event::Approve)?;
        let update = sqlx::query(
            "UPDATE runs SET state = ?, approved_by = ? WHERE id = ? AND state = ? AND plan_hash = ?",
        );
        let update = update.bind(next).bind(person).bind(&run.id).bind(run.state).bind(hash);
        let done = update.execute(self.write()).await?;
        if done.rows_affected() == 1 { Ok(next) } else { Err(NotMoved::Changed) }
    }

    /// Somebody wants a run that works to stop; `false` if it does not work any more.
    pub async fn ask_to_cancel(&self, run: &RunId) -> Result<bool> {
        let update = sqlx::query(
            "UPDATE runs SET cancel_at = COALESCE(cancel_at, ?)
             WHERE id = ? AND state IN ('planning', 'applying', 'verifying')",
        );
        let done = update.bind(Time::now()).bind(run).execute(self.write()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// The end of a run, and of what its cluster holds, in one transaction.
    pub async fn end_run(&self, run: &Run, end: &End) -> std::result::Result<State, NotMoved> {
        let next = run.state.after(end.event)?;
        debug_assert!(next.has_ended(), "{next} is no end");
        let mut transaction = self.begin().await?;
        let now = Time::now();
        let encode = |error: serde_json::Error| sqlx::Error::Encode(error.into());
        let failure =
            end.failure.as_ref().map(serde_json::to_string).transpose().map_err(encode)?;
        let receipt =
            end.receipt.as_ref().map(serde_json::to_string).transpose().map_err(encode)?;
        let update = sqlx::query(
            "UPDATE runs SET state = ?, finished_at = ?, failure = ?, receipt = ?, token_hash = NULL
             WHERE id = ? AND state = ? AND finished_at IS NULL",
        );
        let update =
            update.bind(next).bind(now).bind(failure).bind(receipt).bind(&run.id).bind(run.state);
        if update.execute(&mut *transaction).await?.rows_affected() != 1 {
            return Err(NotMoved::Changed);
        }
        match end.holds {
            None => Self::release(&mut transaction, &run.cluster).await?,
            Some(amount) => {
                let (environment, person): (EnvironmentId, PersonId) =
                    sqlx::query_as("SELECT environment, created_by FROM clusters WHERE id = ?")
                        .bind(&run.cluster)
                        .fetch_one(&mut *transaction)
                        .await?;
                Self::reserve(&mut transaction, &run.cluster, &person, &environment, amount)
                    .await?;
            }
        }
        if end.removed {
            let update = sqlx::query("UPDATE clusters SET removed_at = ? WHERE id = ?");
            update.bind(now).bind(&run.cluster).execute(&mut *transaction).await?;
            let update = sqlx::query(
                "UPDATE kubeconfigs SET revoked_at = ? WHERE cluster = ? AND revoked_at IS NULL",
            );
            update.bind(now).bind(&run.cluster).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(next)
    }

    /// The unfinished run whose Terraform shows this token, its cluster, and who requested it.
    pub async fn run_by_token(
        &self,
        hash: &str,
    ) -> Result<Option<(RunId, ClusterId, PersonId, String, String, Role)>> {
        sqlx::query_as(
            "SELECT r.id, r.cluster, p.id, p.login, p.name, p.role FROM runs r JOIN people p ON p.id = r.requested_by
             WHERE r.token_hash = ? AND r.finished_at IS NULL",
        )
        .bind(hash)
        .fetch_optional(self.read())
        .await
    }
}

/// Refuses what a quota is too small for.
async fn within(
    transaction: &mut Transaction<'_, Sqlite>,
    person: &PersonId,
    environment: &EnvironmentId,
    cluster: Option<&ClusterId>,
    after: Amount,
) -> std::result::Result<(), Refused> {
    let gauges = Store::gauges_in(transaction, person, environment, cluster, after).await?;
    let exceeded: Vec<_> = gauges.iter().filter_map(crate::quota::Gauge::exceeded).collect();
    if exceeded.is_empty() { Ok(()) } else { Err(Refused::Quota(exceeded.join(" "))) }
}

async fn add(
    transaction: &mut Transaction<'_, Sqlite>,
    cluster: &ClusterId,
    kind: Kind,
    spec: &Spec,
    person: &PersonId,
) -> Result<RunId> {
    let id = RunId::new();
    sqlx::query(
        "INSERT INTO runs (id, cluster, kind, state, spec, requested_by, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&id)
    .bind(cluster)
    .bind(kind)
    .bind(State::Queued)
    .bind(spec.to_json())
    .bind(person)
    .bind(Time::now())
    .execute(&mut **transaction)
    .await?;
    Ok(id)
}
