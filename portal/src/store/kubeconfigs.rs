//! Credentials that were handed out: who has which, for what, until when. Never the credential itself.

use sqlx::FromRow;

use crate::ids::{ClusterId, KubeconfigId, PersonId};
use crate::rights::{Level, Role};
use crate::store::{Result, Store};
use crate::time::Time;

/// What a kubeconfig is good for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
#[schema(as = KubeconfigKind)]
pub enum Kind {
    /// Looking at one namespace.
    View,
    /// Working in one namespace.
    Edit,
    /// The whole cluster.
    Admin,
}

/// A kubeconfig, as it is listed.
#[derive(Debug, Clone, FromRow, serde::Serialize, utoipa::ToSchema)]
pub struct Kubeconfig {
    /// To take it back by.
    #[schema(value_type = String)]
    pub id: KubeconfigId,
    /// Who asked for it.
    #[schema(value_type = String)]
    pub person: PersonId,
    /// What they sign in with.
    pub login: String,
    /// What it is good for.
    pub kind: Kind,
    /// Where; nothing for the whole cluster.
    pub namespace: Option<String>,
    /// Its name inside the cluster.
    pub account: String,
    /// Why it was asked for.
    pub reason: Option<String>,
    /// Since when.
    #[schema(value_type = String)]
    pub issued_at: Time,
    /// Until when the cluster accepts it.
    #[schema(value_type = String)]
    pub expires_at: Time,
    /// Since when the cluster refuses it, if it was taken back.
    #[schema(value_type = Option<String>)]
    pub revoked_at: Option<Time>,
}

/// A kubeconfig that is about to be handed out.
pub struct NewKubeconfig<'a> {
    /// Its id.
    pub id: &'a KubeconfigId,
    /// Of which cluster.
    pub cluster: &'a ClusterId,
    /// To whom.
    pub person: &'a PersonId,
    /// For what.
    pub kind: Kind,
    /// The right to the cluster that its holder must keep.
    pub needs: Level,
    /// Where; nothing for the whole cluster.
    pub namespace: Option<&'a str>,
    /// Its name inside the cluster.
    pub account: &'a str,
    /// Why.
    pub reason: Option<&'a str>,
    /// Until when, as far as is known.
    pub expires_at: Time,
}

/// A kubeconfig that is good, with what decides whether its holder may still have it.
#[derive(Debug, Clone, FromRow)]
pub struct Held {
    /// Which.
    pub id: KubeconfigId,
    /// Of which cluster.
    pub cluster: ClusterId,
    /// The cluster's name.
    pub cluster_name: String,
    /// Where; nothing for the whole cluster.
    pub namespace: Option<String>,
    /// The right to the cluster that its holder must keep.
    pub needs: Level,
    /// The holder's role on the site.
    pub role: Role,
    /// Whether they may look at everything.
    pub auditor: bool,
    /// Whether their account is disabled.
    pub disabled: bool,
    /// Their role in the cluster's environment.
    pub member: Option<Role>,
    /// What was granted to them.
    pub grant: Option<Level>,
}

const LISTED: &str = "SELECT k.id, k.person, p.login, k.kind, k.namespace, k.account, k.reason, k.issued_at, k.expires_at, k.revoked_at
     FROM kubeconfigs k JOIN people p ON p.id = k.person";

impl Store {
    /// Notes a kubeconfig before it is made, so that none is ever out of which no row knows.
    pub async fn add_kubeconfig(&self, new: NewKubeconfig<'_>) -> Result<()> {
        let NewKubeconfig {
            id,
            cluster,
            person,
            kind,
            needs,
            namespace,
            account,
            reason,
            expires_at,
        } = new;
        sqlx::query(
            "INSERT INTO kubeconfigs (id, cluster, person, kind, needs, namespace, account, reason, issued_at, expires_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id)
        .bind(cluster)
        .bind(person)
        .bind(kind)
        .bind(needs)
        .bind(namespace)
        .bind(account)
        .bind(reason)
        .bind(Time::now())
        .bind(expires_at)
        .execute(self.write())
        .await?;
        Ok(())
    }

    /// Corrects the end to what the cluster gave.
    pub async fn set_kubeconfig_end(&self, id: &KubeconfigId, expires_at: Time) -> Result<()> {
        sqlx::query("UPDATE kubeconfigs SET expires_at = ? WHERE id = ?")
            .bind(expires_at)
            .bind(id)
            .execute(self.write())
            .await?;
        Ok(())
    }

    /// Notes that it was taken back.
    pub async fn set_kubeconfig_revoked(&self, id: &KubeconfigId) -> Result<()> {
        sqlx::query("UPDATE kubeconfigs SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL")
            .bind(Time::now())
            .bind(id)
            .execute(self.write())
            .await?;
        Ok(())
    }

    /// Notes that everything of a namespace went with it.
    pub async fn set_namespace_revoked(&self, cluster: &ClusterId, namespace: &str) -> Result<()> {
        sqlx::query("UPDATE kubeconfigs SET revoked_at = ? WHERE cluster = ? AND namespace = ? AND revoked_at IS NULL")
            .bind(Time::now())
            .bind(cluster)
            .bind(namespace)
            .execute(self.write())
            .await?;
        Ok(())
    }

    /// What was handed out for a cluster, the newest first: somebody's, or everybody's. At most 500.
    pub async fn kubeconfigs_on(
        &self,
        cluster: &ClusterId,
        of: Option<&PersonId>,
    ) -> Result<Vec<Kubeconfig>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{LISTED} WHERE k.cluster = ? AND (? IS NULL OR k.person = ?) ORDER BY k.id DESC LIMIT 500"
        )))
        .bind(cluster)
        .bind(of)
        .bind(of)
        .fetch_all(self.read())
        .await
    }

    /// One of them.
    pub async fn kubeconfig(
        &self,
        cluster: &ClusterId,
        id: &KubeconfigId,
    ) -> Result<Option<Kubeconfig>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{LISTED} WHERE k.cluster = ? AND k.id = ?")))
            .bind(cluster)
            .bind(id)
            .fetch_optional(self.read())
            .await
    }

    /// All that are good now.
    pub async fn held_kubeconfigs(&self) -> Result<Vec<Held>> {
        sqlx::query_as(
            "SELECT k.id, k.cluster, c.name AS cluster_name, k.namespace, k.needs, p.role, p.auditor,
                    p.disabled_at IS NOT NULL AS disabled, m.role AS member, g.level AS \"grant\"
             FROM kubeconfigs k JOIN clusters c ON c.id = k.cluster JOIN people p ON p.id = k.person
             LEFT JOIN members m ON m.environment = c.environment AND m.person = k.person
             LEFT JOIN grants g ON g.cluster = k.cluster AND g.person = k.person
             WHERE k.revoked_at IS NULL AND k.expires_at > ?",
        )
        .bind(Time::now())
        .fetch_all(self.read())
        .await
    }

    /// How many of somebody's on a cluster are good now.
    pub async fn live_kubeconfigs(&self, cluster: &ClusterId, of: &PersonId) -> Result<i64> {
        sqlx::query_scalar("SELECT count(*) FROM kubeconfigs WHERE cluster = ? AND person = ? AND revoked_at IS NULL AND expires_at > ?")
            .bind(cluster)
            .bind(of)
            .bind(Time::now())
            .fetch_one(self.read())
            .await
    }
}
