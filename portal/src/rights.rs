//! Who may do what. PURE: what is known of the actor and of the thing goes in, yes or the reason for no comes out.
//!
//! A person has a role on the site. In an environment a member has a local role, which counts only up to the role on the
//! site. On a cluster a person has the level that was granted, everything if they lead its environment, and never more than
//! their role allows. An auditor sees everything and gains nothing else by it. A key narrows its owner's rights.

use crate::ids::PersonId;

mod action;
mod actor;
mod key_scope;
mod reason;
mod role;

pub use action::Action;
pub use actor::{Actor, Scope, Via};
pub use key_scope::{KeyScope, UnknownScope};
pub use reason::{WhyNot, because};
pub use role::{Level, Role};

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
