//! Who asks, and about what. PURE.

use crate::ids::{ClusterId, EnvironmentId, PersonId, RunId, SessionId};

use super::{KeyScope, Level, Role};

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
