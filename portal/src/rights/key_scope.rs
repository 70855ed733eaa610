//! What a key is good for. PURE.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an API key was made for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
pub enum KeyScope {
    /// Look at clusters, runs and environments.
    #[serde(rename = "clusters:read")]
    ClustersRead,
    /// Create and change clusters.
    #[serde(rename = "clusters:write")]
    ClustersWrite,
    /// Destroy clusters.
    #[serde(rename = "clusters:destroy")]
    ClustersDestroy,
    /// Namespaces.
    #[serde(rename = "namespaces:write")]
    NamespacesWrite,
    /// Ask for kubeconfigs.
    #[serde(rename = "kubeconfigs:issue")]
    KubeconfigsIssue,
    /// Terraform state of clusters one owns.
    #[serde(rename = "state:write")]
    StateWrite,
    /// Members and grants.
    #[serde(rename = "sharing:write")]
    SharingWrite,
    /// People, environments and limits.
    #[serde(rename = "site:admin")]
    SiteAdmin,
    /// The audit log.
    #[serde(rename = "audit:read")]
    AuditRead,
}

impl KeyScope {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 9] = [
        Self::ClustersRead,
        Self::ClustersWrite,
        Self::ClustersDestroy,
        Self::NamespacesWrite,
        Self::KubeconfigsIssue,
        Self::StateWrite,
        Self::SharingWrite,
        Self::SiteAdmin,
        Self::AuditRead,
    ];

    /// What it allows, in words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::ClustersRead => "see clusters, runs and environments",
            Self::ClustersWrite => "create and change clusters",
            Self::ClustersDestroy => "destroy clusters",
            Self::NamespacesWrite => "make and delete namespaces",
            Self::KubeconfigsIssue => "ask for kubeconfigs",
            Self::StateWrite => "read and write Terraform state of clusters you own",
            Self::SharingWrite => "change members and grants",
            Self::SiteAdmin => "people, environments and limits, for administrators",
            Self::AuditRead => "read the audit log, for administrators and auditors",
        }
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClustersRead => "clusters:read",
            Self::ClustersWrite => "clusters:write",
            Self::ClustersDestroy => "clusters:destroy",
            Self::NamespacesWrite => "namespaces:write",
            Self::KubeconfigsIssue => "kubeconfigs:issue",
            Self::StateWrite => "state:write",
            Self::SharingWrite => "sharing:write",
            Self::SiteAdmin => "site:admin",
            Self::AuditRead => "audit:read",
        }
    }
}

impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope")]
pub struct UnknownScope(String);

impl FromStr for KeyScope {
    type Err = UnknownScope;
    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| UnknownScope(text.to_owned()))
    }
}
