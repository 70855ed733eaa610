//! Why somebody may do something, or may not, in words. PURE.

use super::{Actor, KeyScope, Level, Role, Scope, level_on};

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
