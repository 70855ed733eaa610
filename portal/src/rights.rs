//! Who may do what. PURE: what is known of the actor and of the thing goes in, yes or the reason for no comes out.
//!
//! A person has a role on the site. In an environment a member has a local role, which counts only up to the role on the
//! site. On a cluster a person has the level that was granted, everything if they lead its environment, and never more than
//! their role allows. An auditor sees everything and gains nothing else by it. A key narrows its owner's rights.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterId, EnvironmentId, PersonId, RunId, SessionId};

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

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The person; for a run, who requested it.
    pub person: PersonId,
    /// What they sign in with.
    pub login: String,
    /// What they are called.
    pub name: String,
    /// Their role on the site.
    pub role: Role,
    /// Whether they may look at everything.
    pub auditor: bool,
    /// How they proved it.
    pub via: Via,
}

/// How an actor proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// A browser's session.
    Session(SessionId),
    /// An API key.
    Key {
        /// The public part.
        id: String,
        /// What it was made for.
        scopes: Vec<KeyScope>,
        /// The only cluster it is good for, if it was narrowed.
        cluster: Option<ClusterId>,
    },
    /// Terraform, started by the portal: good for one cluster's state and nothing else.
    Run {
        /// The run.
        run: RunId,
        /// Its cluster.
        cluster: ClusterId,
    },
}

/// What is asked about, and what is known of the actor's standing there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Nothing in particular.
    Site,
    /// An environment.
    Environment {
        /// Which.
        id: EnvironmentId,
        /// The actor's role as a member.
        member: Option<Role>,
    },
    /// A cluster, or a run, namespace or kubeconfig of it.
    Cluster {
        /// Which.
        id: ClusterId,
        /// The environment it belongs to.
        environment: EnvironmentId,
        /// The actor's role as a member of that environment.
        member: Option<Role>,
        /// What was granted to the actor.
        grant: Option<Level>,
    },
}

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
    /// Make namespaces, and delete one's own; everybody's with the right to edit ([`in_namespace`]).
    ChangeNamespaces,
    /// A kubeconfig for a namespace; take back one's own.
    IssueKubeconfig,
    /// A kubeconfig for the whole cluster.
    IssueAdminKubeconfig,
    /// Site-wide limits.
    ChangeLimits,
}

/// What an action asks of the actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    SignedIn,
    /// On the site.
    Role(Role),
    /// On the site; an auditor may as well.
    RoleOrAuditor(Role),
    /// To be a member of the environment with at least this role.
    Member(Role),
    /// On the cluster.
    Level(Level),
}

impl Action {
    /// The whole policy: what is needed, and which scope a key must have. Without a scope no key will do.
    fn policy(self) -> (Need, Option<KeyScope>) {
        use KeyScope as K;
        use Need as N;
        match self {
            Self::Open | Self::SignIn => (N::Nothing, None),
            Self::SeeOwn => (N::SignedIn, Some(K::ClustersRead)),
            Self::ChangeOwn => (N::SignedIn, None),
            Self::SeePeople => (N::RoleOrAuditor(Role::Admin), Some(K::SiteAdmin)),
            Self::ChangePeople | Self::CreateEnvironment | Self::ChangeLimits => {
                (N::Role(Role::Admin), Some(K::SiteAdmin))
            }
            Self::ChangeEnvironment => (N::Member(Role::Admin), Some(K::SiteAdmin)),
            Self::SeeAudit => (N::RoleOrAuditor(Role::Admin), Some(K::AuditRead)),
            Self::SeeEnvironment => (N::Member(Role::Viewer), Some(K::ClustersRead)),
            Self::ChangeMembers => (N::Member(Role::TeamLead), Some(K::SharingWrite)),
            Self::CreateCluster => (N::Member(Role::Developer), Some(K::ClustersWrite)),
            Self::SeeCluster => (N::Level(Level::View), Some(K::ClustersRead)),
            Self::ChangeCluster => (N::Level(Level::Edit), Some(K::ClustersWrite)),
            Self::ShareCluster => (N::Level(Level::Own), Some(K::SharingWrite)),
            Self::DestroyCluster => (N::Level(Level::Own), Some(K::ClustersDestroy)),
            Self::ReadState | Self::WriteState => (N::Level(Level::Own), Some(K::StateWrite)),
            Self::SeeNamespaces => (N::Level(Level::Use), Some(K::ClustersRead)),
            Self::ChangeNamespaces => (N::Level(Level::Use), Some(K::NamespacesWrite)),
            Self::IssueKubeconfig => (N::Level(Level::Use), Some(K::KubeconfigsIssue)),
            Self::IssueAdminKubeconfig => (N::Level(Level::Own), Some(K::KubeconfigsIssue)),
        }
    }
}

/// Why something was refused. `Display` is the sentence that people read beside the button.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    /// Nobody has signed in.
    #[error("Sign in first.")]
    NotSignedIn,
    /// As far as the actor is concerned, it does not exist.
    #[error("There is no such page, or you may not see it.")]
    NotVisible,
    /// The role on the site is too low.
    #[error("This needs the role {needed}; yours is {has}. Ask an administrator.")]
    Role {
        /// What would do.
        needed: Role,
        /// What the actor is.
        has: Role,
    },
    /// The role in the environment is too low.
    #[error(
        "This needs the role {needed} in this environment; yours is {has}. Ask whoever leads it."
    )]
    Member {
        /// What would do.
        needed: Role,
        /// What the actor is there.
        has: Role,
    },
    /// The environment's settings are the administrators' alone.
    #[error("Only an administrator can do this.")]
    AdminOnly,
    /// The level on the cluster is too low.
    #[error("This needs the right to {needed} this cluster; you may {has} it. Ask its owner.")]
    Level {
        /// What would do.
        needed: Level,
        /// What the actor has.
        has: Level,
    },
    /// The key was not made for this.
    #[error("This key lacks the scope {0}. Make a key that has it.")]
    KeyScope(KeyScope),
    /// No key is good for this.
    #[error("No key can do this. Sign in with a browser.")]
    NoKey,
}

/// Whether the actor may do this there.
pub fn can(actor: Option<&Actor>, action: Action, scope: &Scope) -> Result<(), WhyNot> {
    let (need, key_scope) = action.policy();
    if need == Need::Nothing {
        return Ok(());
    }
    let actor = actor.ok_or(WhyNot::NotSignedIn)?;
    // Before everything else, so that no other reason tells of something that one may not know of.
    if !is_visible(actor, action, scope) {
        return Err(WhyNot::NotVisible);
    }
    if let Via::Key { scopes, .. } = &actor.via {
        let needed = key_scope.ok_or(WhyNot::NoKey)?;
        if !scopes.contains(&needed) {
            return Err(WhyNot::KeyScope(needed));
        }
    }
    match (need, scope) {
        (Need::Nothing | Need::SignedIn, _) => Ok(()),
        (Need::RoleOrAuditor(_), _) if actor.auditor => Ok(()),
        (Need::Role(needed) | Need::RoleOrAuditor(needed), _) => {
            if actor.role >= needed {
                Ok(())
            } else {
                Err(WhyNot::Role { needed, has: actor.role })
            }
        }
        (Need::Member(needed), Scope::Environment { member, .. }) => {
            let has = role_in(actor, *member).ok_or(WhyNot::NotVisible)?;
            if has >= needed {
                Ok(())
            } else if needed == Role::Admin {
                Err(WhyNot::AdminOnly)
            } else {
                Err(WhyNot::Member { needed, has })
            }
        }
        (Need::Level(needed), Scope::Cluster { member, grant, .. }) => {
            let has = level_on(actor, *member, *grant).ok_or(WhyNot::NotVisible)?;
            if has >= needed { Ok(()) } else { Err(WhyNot::Level { needed, has }) }
        }
        // A thing of another kind than the action is about: as good as none.
        (Need::Member(_) | Need::Level(_), _) => Err(WhyNot::NotVisible),
    }
}

/// Whether the thing is there at all, for this actor and by this proof.
fn is_visible(actor: &Actor, action: Action, scope: &Scope) -> bool {
    let within = match &actor.via {
        Via::Session(_) | Via::Key { cluster: None, .. } => true,
        Via::Key { cluster: Some(only), .. } => {
            matches!(scope, Scope::Cluster { id, .. } if id == only)
        }
        Via::Run { cluster: only, .. } => {
            let state = matches!(action, Action::ReadState | Action::WriteState);
            state && matches!(scope, Scope::Cluster { id, .. } if id == only)
        }
    };
    within
        && match scope {
            Scope::Site => true,
            Scope::Environment { member, .. } => role_in(actor, *member).is_some(),
            Scope::Cluster { member, grant, .. } => level_on(actor, *member, *grant).is_some(),
        }
}

/// Whether somebody who may use a cluster may know of this namespace in it, and use it: it is theirs, or they may edit the
/// cluster. A namespace without an owner was made past the portal.
pub fn in_namespace(actor: &Actor, scope: &Scope, owner: Option<&PersonId>) -> Result<(), WhyNot> {
    let Scope::Cluster { member, grant, .. } = scope else { return Err(WhyNot::NotVisible) };
    let level = level_on(actor, *member, *grant).ok_or(WhyNot::NotVisible)?;
    if level >= level_in_namespace(&actor.person, owner) { Ok(()) } else { Err(WhyNot::NotVisible) }
}

/// The right to a cluster without which a namespace in it does not exist for somebody.
pub fn level_in_namespace(person: &PersonId, owner: Option<&PersonId>) -> Level {
    if owner == Some(person) { Level::Use } else { Level::Edit }
}

/// Where somebody's rights on a cluster come from, as a sentence.
pub fn because(actor: &Actor, scope: &Scope) -> String {
    let Scope::Cluster { member, grant, .. } = scope else { return String::new() };
    let Some(level) = level_on(actor, *member, *grant) else {
        return WhyNot::NotVisible.to_string();
    };
    if actor.role == Role::Admin {
        return "You may do everything, because you are an administrator.".to_owned();
    }
    if member.is_some_and(|local| local.min(actor.role) >= Role::TeamLead) {
        return "You may do everything, because you lead the environment that this cluster belongs to.".to_owned();
    }
    match grant {
        Some(granted) if *granted > level => format!(
            "You were granted the right to {granted} this cluster, but as a {} you may only {level} it.",
            Role::Viewer
        ),
        Some(_) => format!("You may {level} this cluster, because that was granted to you."),
        None => format!("You may {level} this cluster, because you are an auditor."),
    }
}

/// The role that counts in an environment: none for strangers, the local one up to the ceiling, everything for admins.
/// An auditor counts as a viewer.
pub fn role_in(actor: &Actor, member: Option<Role>) -> Option<Role> {
    if actor.role == Role::Admin {
        return Some(Role::Admin);
    }
    let local = member.map(|local| local.min(actor.role));
    local.max(actor.auditor.then_some(Role::Viewer))
}

/// The level that counts on a cluster; `None` if the actor may not know of it.
pub fn level_on(actor: &Actor, member: Option<Role>, grant: Option<Level>) -> Option<Level> {
    // Terraform runs with the portal's authority over its own cluster, whatever became of who asked for it.
    if matches!(actor.via, Via::Run { .. }) {
        return Some(Level::Own);
    }
    level_of(actor.role, actor.auditor, member, grant)
}

/// The same for a person, whatever they prove it with.
pub fn level_of(
    role: Role,
    auditor: bool,
    member: Option<Role>,
    grant: Option<Level>,
) -> Option<Level> {
    let leads = member.is_some_and(|local| local.min(role) >= Role::TeamLead);
    if role == Role::Admin || leads {
        return Some(Level::Own);
    }
    let ceiling =
        if role == Role::Viewer || member == Some(Role::Viewer) { Level::View } else { Level::Own };
    let granted = grant.map(|level| level.min(ceiling));
    granted.max(auditor.then_some(Level::View))
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
