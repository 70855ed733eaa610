//! What can be asked for. PURE.

use serde::Serialize;

/// Everything that can be asked for. The names stand in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Health, styles, the forms to sign in with.
    Open,
    /// Signing in, with a password or a link.
    SignIn,
    /// One's own home, profile, and lists that hold only what one may see.
    SeeOwn,
    /// One's own password, sessions and keys.
    ChangeOwn,
    /// The people of the site.
    SeePeople,
    /// Invite, change, disable people.
    ChangePeople,
    /// The audit log.
    SeeAudit,
    /// New environments.
    CreateEnvironment,
    /// An environment and its members.
    SeeEnvironment,
    /// Its network, pool and limits.
    ChangeEnvironment,
    /// Its members.
    ChangeMembers,
    /// A cluster in it.
    CreateCluster,
    /// A cluster, its runs, its HCL.
    SeeCluster,
    /// Scale, plan, apply, cancel.
    ChangeCluster,
    /// Who else may use it; its protection.
    ShareCluster,
    /// Take it down.
    DestroyCluster,
    /// Its Terraform state, which holds secrets.
    ReadState,
    /// Write that state.
    WriteState,
    /// Its nodes and namespaces.
    SeeNamespaces,
    /// Make namespaces, and delete one's own; everybody's with the right to edit ([`super::in_namespace`]).
    ChangeNamespaces,
    /// A kubeconfig for a namespace; take back one's own.
    IssueKubeconfig,
    /// A kubeconfig for the whole cluster.
    IssueAdminKubeconfig,
    /// Site-wide limits.
    ChangeLimits,
}
