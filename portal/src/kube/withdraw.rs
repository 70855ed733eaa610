//! Kubeconfigs whose holders may not have them any more are taken back: a grant was lowered, a member removed, an account
//! disabled. A cluster that cannot be reached now is asked again later.

use std::time::Duration;

use super::{Error, Machine, NamespaceName};
use crate::App;
use crate::rights;
use crate::runs::ask;
use crate::store::kubeconfigs::Held;

/// Looks even if nobody said that rights have changed.
const LOOK: Duration = Duration::from_mins(5);

/// Looks whenever rights have changed, until the portal stops.
pub async fn serve(app: App) {
    loop {
        if let Err(error) = look(&app).await {
            tracing::warn!("kubeconfigs could not be looked through: {error:#}");
        }
        tokio::select! {
            () = app.kube.rights_changed.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
            () = app.stopping.cancelled() => return,
        }
    }
}

async fn look(app: &App) -> anyhow::Result<()> {
    for held in app.store.held_kubeconfigs().await? {
        if may_have(&held) {
            continue;
        }
        match take_back(app, &held).await {
            Ok(()) => app.store.set_kubeconfig_revoked(&held.id).await?,
            Err(error) => {
                tracing::warn!(kubeconfig = %held.id, cluster = %held.cluster, "it is not taken back yet: {error:#}");
            }
        }
    }
    Ok(())
}

/// Whether who holds it may still do what it is good for.
fn may_have(held: &Held) -> bool {
    let level = rights::level_of(held.role, held.auditor, held.member, held.grant);
    !held.disabled && level.is_some_and(|level| level >= held.needs)
}

async fn take_back(app: &App, held: &Held) -> anyhow::Result<()> {
    // A cluster without machines has nobody to ask, and nothing that the file would open.
    let states = ask::states(app, &held.cluster).map_err(|error| anyhow::anyhow!("{error}"))?;
    let Some(state) = states.current()? else { return Ok(()) };
    let machine = Machine::of(held.cluster.clone(), &held.cluster_name, &state)?;
    let namespace = held.namespace.as_deref().map(NamespaceName::parse).transpose()?;
    match app.kube.revoke(&machine, &held.id, namespace.as_ref()).await {
        Ok(()) | Err(Error::NotFound(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClusterId, KubeconfigId};
    use crate::rights::{Level, Role};

    #[test]
    fn a_kubeconfig_lasts_as_long_as_the_right_to_it() {
        let held = |needs, role, member, grant, disabled| Held {
            id: KubeconfigId::new(),
            cluster: ClusterId::new(),
            cluster_name: "demo".to_owned(),
            namespace: None,
            needs,
            role,
            auditor: false,
            disabled,
            member,
            grant,
        };
        let (course, developer) = (Some(Role::Developer), Role::Developer);
        for (needs, role, member, grant, disabled, may) in [
            (Level::Use, developer, course, Some(Level::Use), false, true),
            (Level::Use, developer, course, Some(Level::View), false, false),
            (Level::Use, developer, course, None, false, false),
            (Level::Edit, developer, course, Some(Level::Use), false, false),
            (Level::Edit, developer, course, Some(Level::Edit), false, true),
            (Level::Own, developer, course, Some(Level::Edit), false, false),
            (Level::Own, developer, course, Some(Level::Own), false, true),
            (Level::Own, developer, course, Some(Level::Own), true, false),
            (Level::Use, Role::Viewer, course, Some(Level::Own), false, false),
            (Level::Own, Role::TeamLead, Some(Role::TeamLead), None, false, true),
            (Level::Own, Role::TeamLead, None, None, false, false),
            (Level::Own, Role::Admin, None, None, false, true),
        ] {
            let held = held(needs, role, member, grant, disabled);
            assert_eq!(may_have(&held), may, "{needs:?} {role:?} {member:?} {grant:?} {disabled}");
        }
    }
}
