//! What people ask of a cluster: their right to the single namespace, the row of what is handed out, then the cluster.
//!
//! The gate has let them to the cluster already. Inside it, who may only *use* it has the namespaces that are their own;
//! everybody else's do not exist for them.

use std::time::Duration;

use http::StatusCode;
use jiff::SignedDuration;

use super::{
    CredentialName, Error as KubeError, Issued, Kube, Limits, Machine, Namespace, NamespaceName,
    Power,
};
use crate::App;
use crate::error::{Error, Field, Result};
use crate::gate::About;
use crate::ids::{ClusterId, KubeconfigId};
use crate::rights::{self, Actor, Level, Scope};
use crate::runs::ask;
use crate::store::kubeconfigs::{Kind, Kubeconfig, NewKubeconfig};
use crate::time::Time;

/// Hours that a kubeconfig for a namespace may live.
pub const NAMESPACE_HOURS: std::ops::RangeInclusive<u32> = 1..=720;
/// Hours that one for the whole cluster may live: its certificate cannot be taken back, only emptied of its rights.
pub const ADMIN_HOURS: std::ops::RangeInclusive<u32> = 1..=24;
/// Living kubeconfigs that one person may have on one cluster.
const LIVING: i64 = 50;

/// What a kubeconfig is asked for.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// One namespace.
    Namespace {
        /// Which.
        name: NamespaceName,
        /// To do what there.
        power: Power,
        /// For how long.
        hours: u32,
    },
    /// The whole cluster.
    Cluster {
        /// Why; stands in the audit log.
        reason: String,
        /// For how long.
        hours: u32,
    },
}

/// A kubeconfig that was handed out, with its row.
pub struct HandedOut {
    /// The id of its row.
    pub id: KubeconfigId,
    /// The file itself.
    pub issued: Issued,
}

/// A cluster, and somebody who was let to it.
pub struct Desk<'a> {
    app: &'a App,
    actor: &'a Actor,
    scope: &'a Scope,
    cluster: &'a ClusterId,
    machine: Machine,
}

impl<'a> Desk<'a> {
    /// For a request about a cluster that exists. Without machines there is nobody to ask.
    pub fn of(app: &'a App, actor: &'a Actor, about: &'a About) -> Result<Self> {
        let Scope::Cluster { id: cluster, .. } = &about.scope else {
            return Err(Error::not_found());
        };
        let machine = machine(app, cluster, &about.target.name)?;
        Ok(Self { app, actor, scope: &about.scope, cluster, machine })
    }

    fn kube(&self) -> &Kube {
        &self.app.kube
    }

    /// The cluster's health, asked now.
    pub async fn health(&self) -> Result<super::Health> {
        Ok(self.kube().health(&self.machine).await?)
    }

    /// The namespaces that the actor may know of.
    pub async fn namespaces(&self) -> Result<Vec<Namespace>> {
        let mut all = self.kube().namespaces(&self.machine).await?;
        all.retain(|namespace| self.may_enter(namespace).is_ok());
        Ok(all)
    }

    /// One of them.
    pub async fn namespace(&self, name: &NamespaceName) -> Result<Namespace> {
        let found = match self.kube().namespace(&self.machine, name).await {
            // The cluster's words would tell who may not know.
            Err(KubeError::NotFound(_)) => return Err(Error::not_found()),
            found => found?,
        };
        self.may_enter(&found)?;
        Ok(found)
    }

    /// Makes one that belongs to the actor.
    pub async fn create(&self, name: &NamespaceName, limits: Limits) -> Result<()> {
        let problems = limits.problems();
        if !problems.is_empty() {
            return Err(Error::invalid(
                problems.into_iter().map(|(field, detail)| Field::new(field, detail)).collect(),
            ));
        }
        match self.kube().create_namespace(&self.machine, name, &self.actor.person, limits).await {
            Err(KubeError::Exists(_)) => Err(Error::conflict(
                "name_taken",
                format!(
                    "There is a namespace {name} on this cluster already. Choose another name."
                ),
            )),
            done => Ok(done?),
        }
    }

    /// Deletes one, with everything in it.
    pub async fn delete(&self, name: &NamespaceName) -> Result<()> {
        self.namespace(name).await?;
        self.kube().delete_namespace(&self.machine, name).await?;
        Ok(self.app.store.set_namespace_revoked(self.cluster, name.as_str()).await?)
    }

    /// What was handed out: the actor's own, or everybody's if they own the cluster.
    pub async fn handed_out(&self) -> Result<Vec<Kubeconfig>> {
        handed_out(self.app, self.actor, self.scope).await
    }

    /// Makes a kubeconfig.
    pub async fn issue(&self, wanted: &Wanted) -> Result<HandedOut> {
        if self.app.store.live_kubeconfigs(self.cluster, &self.actor.person).await? >= LIVING {
            return Err(Error::conflict(
                "too_many_kubeconfigs",
                format!(
                    "You hold {LIVING} kubeconfigs of this cluster that are still good. Take some back first."
                ),
            ));
        }
        let (kind, needs, namespace, hours, reason) = match wanted {
            Wanted::Namespace { name, power, hours } => {
                let found = self.namespace(name).await?;
                if found.ending {
                    return Err(Error::conflict(
                        "being_deleted",
                        format!("The namespace {name} is being deleted."),
                    ));
                }
                check_hours(*hours, &NAMESPACE_HOURS)?;
                let kind = match power {
                    Power::View => Kind::View,
                    Power::Edit => Kind::Edit,
                };
                let needs = rights::level_in_namespace(&self.actor.person, found.owner.as_ref());
                (kind, needs, Some(name), *hours, None)
            }
            Wanted::Cluster { reason, hours } => {
                check_hours(*hours, &ADMIN_HOURS)?;
                let reason = reason.trim();
                if reason.is_empty() || reason.chars().count() > 200 {
                    return Err(Error::invalid(vec![Field::new(
                        "reason",
                        "Say in up to 200 characters why it is needed: it stands in the audit log.",
                    )]));
                }
                (Kind::Admin, Level::Own, None, *hours, Some(reason))
            }
        };
        let lifetime = Duration::from_secs(u64::from(hours) * 3600);
        let id = KubeconfigId::new();
        self.app
            .store
            .add_kubeconfig(NewKubeconfig {
                id: &id,
                cluster: self.cluster,
                person: &self.actor.person,
                kind,
                needs,
                namespace: namespace.map(NamespaceName::as_str),
                account: CredentialName::of(&id).as_str(),
                reason,
                expires_at: Time::now().plus(SignedDuration::from_hours(i64::from(hours))),
            })
            .await?;
        let made = match wanted {
            Wanted::Namespace { name, power, .. } => {
                self.kube().issue_for_namespace(&self.machine, &id, name, *power, lifetime).await
            }
            Wanted::Cluster { .. } => {
                self.kube().issue_for_cluster(&self.machine, &id, lifetime).await
            }
        };
        let issued = match made {
            Ok(issued) => issued,
            Err(error) => {
                // It never left: as good as taken back. If even this row can't be corrected it lies on the safe side.
                self.app.store.set_kubeconfig_revoked(&id).await?;
                return Err(error.into());
            }
        };
        self.app.store.set_kubeconfig_end(&id, Time::from(issued.expires)).await?;
        // Housekeeping while we are there; nobody waits for its outcome.
        if let Err(error) = self.kube().sweep(&self.machine).await {
            tracing::warn!(cluster = %self.cluster, %error, "expired credentials could not be swept");
        }
        Ok(HandedOut { id, issued })
    }

    /// Takes a kubeconfig back. The row is marked only once the cluster has confirmed.
    pub async fn revoke(&self, id: &KubeconfigId) -> Result<Kubeconfig> {
        let row =
            self.app.store.kubeconfig(self.cluster, id).await?.ok_or_else(Error::not_found)?;
        if row.person != self.actor.person && !owns(self.actor, self.scope) {
            return Err(Error::not_found());
        }
        self.take_back(&row).await?;
        Ok(row)
    }

    async fn take_back(&self, row: &Kubeconfig) -> Result<()> {
        let namespace = row
            .namespace
            .as_deref()
            .map(NamespaceName::parse)
            .transpose()
            .map_err(Error::internal)?;
        self.kube().revoke(&self.machine, &row.id, namespace.as_ref()).await?;
        Ok(self.app.store.set_kubeconfig_revoked(&row.id).await?)
    }

    fn may_enter(&self, namespace: &Namespace) -> Result<()> {
        Ok(rights::in_namespace(self.actor, self.scope, namespace.owner.as_ref())?)
    }
}

/// What was handed out, without asking the cluster.
pub async fn handed_out(app: &App, actor: &Actor, scope: &Scope) -> Result<Vec<Kubeconfig>> {
    let Scope::Cluster { id, .. } = scope else { return Err(Error::not_found()) };
    let of = (!owns(actor, scope)).then_some(&actor.person);
    Ok(app.store.kubeconfigs_on(id, of).await?)
}

/// How the cluster is entered, out of its state.
fn machine(app: &App, cluster: &ClusterId, name: &str) -> Result<Machine> {
    let none = || {
        let detail = "This cluster has no machines now. Wait until its creation has succeeded.";
        Error::conflict("no_machines", detail)
    };
    let state = ask::states(app, cluster)?.current().map_err(Error::internal)?;
    Machine::of(cluster.clone(), name, &state.ok_or_else(none)?).map_err(|_| none())
}

fn owns(actor: &Actor, scope: &Scope) -> bool {
    rights::can(Some(actor), rights::Action::ShareCluster, scope).is_ok()
}

fn check_hours(hours: u32, allowed: &std::ops::RangeInclusive<u32>) -> Result<()> {
    if allowed.contains(&hours) {
        return Ok(());
    }
    let (least, most) = (allowed.start(), allowed.end());
    Err(Error::invalid(vec![Field::new(
        "hours",
        format!("Give between {least} and {most} hours."),
    )]))
}

impl From<KubeError> for Error {
    fn from(error: KubeError) -> Self {
        let (status, code) = match &error {
            KubeError::Unreachable { .. } => (StatusCode::BAD_GATEWAY, "cluster_unreachable"),
            KubeError::HostKey { .. } => (StatusCode::BAD_GATEWAY, "host_key_changed"),
            KubeError::KeyRefused { .. } => (StatusCode::BAD_GATEWAY, "key_refused"),
            KubeError::TimedOut(_) => (StatusCode::GATEWAY_TIMEOUT, "cluster_timed_out"),
            KubeError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "cluster_busy"),
            KubeError::TooMuch(_) | KubeError::Unreadable(_) => {
                (StatusCode::BAD_GATEWAY, "cluster_answer")
            }
            KubeError::NotFound(_) => return Self::not_found(),
            KubeError::Exists(_) => (StatusCode::CONFLICT, "name_taken"),
            KubeError::Refused(_) => (StatusCode::BAD_GATEWAY, "cluster_refused"),
            KubeError::Local(_) => return Self::internal(error),
        };
        let mut sentence = error.to_string();
        if let Some(first) = sentence.get(..1) {
            sentence = format!("{}{}.", first.to_uppercase(), &sentence[1..]);
        }
        Self::new(status, code, sentence)
    }
}
