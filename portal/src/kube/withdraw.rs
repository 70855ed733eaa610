//! Kubeconfigs whose holders may not have them any more are taken back: a grant was lowered, a member removed, an account
//! disabled. A cluster that cannot be reached now is asked again later.

use std::collections::HashSet;
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

/// Looks once, and takes back what is not to be had any more.
pub async fn look(app: &App) -> anyhow::Result<()> {
    let held = app.store.held_kubeconfigs().await?;
    each(held, |held| take_back(app, held)).await;
    Ok(())
}

/// One after another. A cluster that is silent is asked once: waiting for it again would keep the others waiting.
async fn each<F>(all: Vec<Held>, take_back: impl Fn(Held) -> F)
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut silent = HashSet::new();
    for held in all.into_iter().filter(|held| !may_have(held)) {
        if silent.contains(&held.cluster) {
            continue;
        }
        let (id, cluster) = (held.id.clone(), held.cluster.clone());
        if let Err(error) = take_back(held).await {
            tracing::warn!(kubeconfig = %id, %cluster, "it is not taken back yet: {error:#}");
            if error.downcast_ref().is_some_and(Error::is_silence) {
                silent.insert(cluster);
            }
        }
    }
}

/// Whether who holds it may still do what it is good for.
fn may_have(held: &Held) -> bool {
    let level = rights::level_of(held.role, held.auditor, held.member, held.grant);
    !held.disabled && level.is_some_and(|level| level >= held.needs)
}

async fn take_back(app: &App, held: Held) -> anyhow::Result<()> {
    let states = ask::states(app, &held.cluster).map_err(|error| anyhow::anyhow!("{error}"))?;
    // A cluster without machines has nobody to ask, and nothing that the file would open.
    if let Some(state) = states.current()?.filter(|state| state.cluster().is_some()) {
        let machine = Machine::of(held.cluster, &held.cluster_name, &state)?;
        let namespace = held.namespace.as_deref().map(NamespaceName::parse).transpose()?;
        match app.kube.revoke(&machine, &held.id, namespace.as_ref()).await {
            Ok(()) | Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(app.store.set_kubeconfig_revoked(&held.id).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClusterId, KubeconfigId};
    use crate::rights::{Level, Role};

    fn held(
        needs: Level,
        role: Role,
        member: Option<Role>,
        grant: Option<Level>,
        disabled: bool,
    ) -> Held {
        Held {
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
        }
    }

    #[tokio::test]
    async fn a_silent_cluster_is_asked_once_and_one_that_refuses_for_each() {
        let (silent, refusing, well) = (ClusterId::new(), ClusterId::new(), ClusterId::new());
        let lost = |cluster: &ClusterId| Held {
            cluster: cluster.clone(),
            ..held(Level::Use, Role::Developer, None, None, false)
        };
        let all = [&silent, &refusing, &silent, &well, &refusing, &silent, &well].map(lost);
        let asked = std::sync::Mutex::new(Vec::new());
        each(all.to_vec(), |held| {
            asked.lock().unwrap().push(held.cluster.clone());
            if held.cluster == silent {
                return std::future::ready(Err(Error::TimedOut(40).into()));
            }
            if held.cluster == refusing {
                return std::future::ready(Err(Error::Refused("no".to_owned()).into()));
            }
            std::future::ready(Ok(()))
        })
        .await;
        let asked = asked.into_inner().unwrap();
        assert_eq!(asked, [&silent, &refusing, &well, &refusing, &well].map(Clone::clone));
    }

    #[test]
    fn a_kubeconfig_lasts_as_long_as_the_right_to_it() {
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
