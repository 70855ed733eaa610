//! Quotas: how much a person, an environment and the site may hold. PURE.
//!
//! What is held is reserved in the transaction that queues a run (`store/quotas.rs`), so that two requests never both
//! get the last of something.

use std::fmt;

use kubesmith_spec::MachineSize;
use serde::{Deserialize, Serialize};

use crate::cluster::form::Wanted;

/// What a cluster, or several, take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Amount {
    /// Clusters.
    pub clusters: u64,
    /// Machines.
    pub machines: u64,
    /// Processor cores.
    pub cores: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Disk in GiB.
    pub disk_gib: u64,
}

/// How much may be held; what is not given is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    /// Clusters.
    pub clusters: Option<u64>,
    /// Machines.
    pub machines: Option<u64>,
    /// Processor cores.
    pub cores: Option<u64>,
    /// Memory in MiB.
    pub memory_mib: Option<u64>,
    /// Disk in GiB.
    pub disk_gib: Option<u64>,
}

/// Whose quota it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One person's.
    Person,
    /// One course's or group's.
    Environment,
    /// Everybody's together.
    Site,
}

/// One quota with what is held of it, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gauge {
    /// Whose.
    pub scope: Scope,
    /// How much may be held.
    pub limit: Limit,
    /// What is held now.
    pub held: Amount,
    /// What would be held.
    pub after: Amount,
}

/// One line of a gauge, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// "machines".
    pub what: &'static str,
    /// Held now.
    pub held: u64,
    /// Held then.
    pub after: u64,
    /// At most.
    pub limit: u64,
    /// Whether it is more then than it may be.
    pub exceeded: bool,
}

impl Amount {
    /// What a cluster of these machines takes.
    pub fn of(control_plane: MachineSize, worker: MachineSize, workers: u32) -> Self {
        let count = u64::from(workers);
        let sum = |of: fn(&MachineSize) -> u32| {
            u64::from(of(&control_plane)) + count * u64::from(of(&worker))
        };
        Self {
            clusters: 1,
            machines: 1 + count,
            cores: sum(|size| size.cores),
            memory_mib: sum(|size| size.memory_mib),
            disk_gib: sum(|size| size.disk_gib),
        }
    }

    /// What a wanted cluster takes.
    pub fn wanted(wanted: &Wanted) -> Self {
        Self::of(wanted.control_plane, wanted.workers.size, wanted.workers.count)
    }

    /// Of each the greater: what is safe to hold while one becomes the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.with(other, u64::max)
    }

    /// This without `other`, never below nothing.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        self.with(other, u64::saturating_sub)
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    fn with(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            clusters: f(self.clusters, other.clusters),
            machines: f(self.machines, other.machines),
            cores: f(self.cores, other.cores),
            memory_mib: f(self.memory_mib, other.memory_mib),
            disk_gib: f(self.disk_gib, other.disk_gib),
        }
    }
}

/// "3 machines, 6 cores, 12 GiB of memory, 60 GiB of disk".
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        let (machines, cores) = (self.machines, self.cores);
        write!(f, "{machines} machine{}, {cores} core{}, ", plural(machines), plural(cores))?;
        write!(f, "{} of memory, {} GiB of disk", mebibytes(self.memory_mib), self.disk_gib)
    }
}

fn mebibytes(mib: u64) -> String {
    if mib.is_multiple_of(1024) { format!("{} GiB", mib / 1024) } else { format!("{mib} MiB") }
}

impl Gauge {
    /// What is limited, each with its numbers.
    pub fn rows(&self) -> Vec<Row> {
        let (limit, held, after) = (self.limit, self.held, self.after);
        let rows = [
            ("clusters", limit.clusters, held.clusters, after.clusters),
            ("machines", limit.machines, held.machines, after.machines),
            ("cores", limit.cores, held.cores, after.cores),
            ("MiB of memory", limit.memory_mib, held.memory_mib, after.memory_mib),
            ("GiB of disk", limit.disk_gib, held.disk_gib, after.disk_gib),
        ];
        let limited = rows.into_iter().filter_map(|(what, limit, held, after)| {
            // Who is above a limit that was lowered may still shrink.
            limit.map(|limit| Row {
                what,
                held,
                after,
                limit,
                exceeded: after > limit && after > held,
            })
        });
        limited.collect()
    }

    /// Why it is too much, or nothing.
    pub fn exceeded(&self) -> Option<String> {
        let over: Vec<_> = self
            .rows()
            .into_iter()
            .filter(|row| row.exceeded)
            .map(|row| format!("{} of {} {} would be held", row.after, row.limit, row.what))
            .collect();
        let whose = match self.scope {
            Scope::Person => "Your quota",
            Scope::Environment => "The environment's quota",
            Scope::Site => "The site's quota",
        };
        (!over.is_empty()).then(|| format!("{whose} is too small: {}.", over.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::samples::wanted;

    fn gauge(limit: Limit, held: u64, after: u64) -> Gauge {
        let amount = |clusters| Amount { clusters, ..Amount::default() };
        Gauge { scope: Scope::Person, limit, held: amount(held), after: amount(after) }
    }

    #[test]
    fn a_cluster_takes_what_its_machines_take() {
        assert_eq!(
            Amount::wanted(&wanted()).to_string(),
            "3 machines, 6 cores, 12 GiB of memory, 60 GiB of disk"
        );
    }

    #[test]
    fn a_quota_says_what_is_too_much_and_lets_people_shrink() {
        let one = Limit { clusters: Some(1), ..Limit::default() };
        assert_eq!(gauge(one, 0, 1).exceeded(), None);
        assert_eq!(
            gauge(one, 1, 2).exceeded().as_deref(),
            Some("Your quota is too small: 2 of 1 clusters would be held.")
        );
        assert_eq!(
            gauge(one, 3, 2).exceeded(),
            None,
            "above a lowered limit, but less than before"
        );
        assert_eq!(gauge(Limit::default(), 0, 9_999).exceeded(), None);
    }
}
