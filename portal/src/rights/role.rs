//! What people are on the site and in environments, and what they were granted on clusters. PURE.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a person is, on the site or in an environment; each includes the ones before.
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
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum Role {
    /// Looks at what was shared.
    Viewer,
    /// Makes clusters of their own (a student).
    Developer,
    /// Owns every cluster of the environments they lead (an instructor, a researcher).
    TeamLead,
    /// Everything, everywhere.
    Admin,
}

/// What was granted to a person on a cluster; each includes the ones before.
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
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum Level {
    /// See it and its runs.
    View,
    /// Work in it: namespaces, kubeconfigs.
    Use,
    /// Change it: scale, plan, apply.
    Edit,
    /// Share it, destroy it, read its state.
    Own,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::TeamLead => "team lead",
            Self::Admin => "administrator",
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::View => "view",
            Self::Use => "use",
            Self::Edit => "edit",
            Self::Own => "own",
        })
    }
}
