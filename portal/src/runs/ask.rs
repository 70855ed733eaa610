//! What people ask of clusters and runs: the same for pages and API.

use crate::App;
use crate::cluster::form::{self, NewCluster, Problem, Wanted};
use crate::cluster::workspace::{Files, Workspace};
use crate::cluster::{Spec, catalogue::Site};
use crate::error::{Error, Field, Result};
use crate::gate::About;
use crate::ids::{ClusterId, RunId};
use crate::rights::{Action, Actor, can};
use crate::runs::machine::{Event, Kind, State};
use crate::runs::redact::Redaction;
use crate::runs::{finish, log};
use crate::state::States;
use crate::store::clusters::Cluster;
use crate::store::environments::Environment;
use crate::store::runs::{NotMoved, Refused, Run};

impl From<Problem> for Field {
    fn from(problem: Problem) -> Self {
        Self::new(problem.field, problem.message)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        let sentence = refused.to_string();
        match refused {
            Refused::NameTaken => Self::invalid(vec![Field::new("name", sentence)]),
            Refused::Quota(_) => Self::conflict("quota_exceeded", sentence),
            Refused::Busy(_) => Self::conflict("busy", sentence),
            Refused::Gone => Self::conflict("gone", sentence),
            Refused::Store(error) => error.into(),
        }
    }
}

impl From<NotMoved> for Error {
    fn from(not: NotMoved) -> Self {
        match not {
            NotMoved::Impossible(_) | NotMoved::Changed => Self::conflict(
                "run_changed",
                "The run is not where you saw it any more. Look again.",
            ),
            NotMoved::Store(error) => error.into(),
        }
    }
}

/// Asks for a new cluster.
pub async fn create(
    app: &App,
    actor: &Actor,
    environment: &Environment,
    form: &NewCluster,
) -> Result<(ClusterId, RunId)> {
    if environment.archived_at.is_some() {
        return Err(Error::conflict(
            "archived",
            "This environment is closed: nothing new is made in it.",
        ));
    }
    let wanted = form
        .parse(&app.config.templates)
        .map_err(|problems| Error::invalid(problems.into_iter().map(Field::from).collect()))?;
    let spec = Spec { wanted, site: site(app, environment)? };
    let made = app.store.queue_create(&spec, &environment.id, &actor.person).await?;
    app.runs.wake();
    Ok(made)
}

/// Where the machines of an environment stand.
pub fn site(app: &App, environment: &Environment) -> Result<Site> {
    let faulty = |what: &str| {
        Error::conflict(
            "environment_faulty",
            format!(
                "The environment's {what} is not valid. An administrator corrects it in its settings."
            ),
        )
    };
    let vlan =
        environment.vlan.map(|tag| u16::try_from(tag).ok().and_then(|tag| tag.try_into().ok()));
    Ok(Site {
        pool: environment.address_pool.parse().map_err(|_| faulty("address pool"))?,
        bridge: environment.bridge.parse().map_err(|_| faulty("bridge"))?,
        vlan: match vlan {
            Some(None) => return Err(faulty("VLAN")),
            other => other.flatten(),
        },
        proxmox_pool: match &environment.proxmox_pool {
            Some(pool) => Some(pool.parse().map_err(|_| faulty("Proxmox pool"))?),
            None => None,
        },
        storage: app.config.proxmox.storage.clone(),
        package_mirror: app.config.proxmox.package_mirror.clone(),
        registry_mirror: app.config.proxmox.registry_mirror.clone(),
    })
}

/// Asks for another number of workers.
pub async fn scale(app: &App, actor: &Actor, cluster: &Cluster, workers: &str) -> Result<RunId> {
    let wanted = form::scaled(&cluster.spec.wanted, workers)
        .map_err(|problem| Error::invalid(vec![problem.into()]))?;
    change(app, actor, cluster, wanted).await
}

/// Asks for the cluster as it is described, or as it is now wanted: also repairs it.
pub async fn change(app: &App, actor: &Actor, cluster: &Cluster, wanted: Wanted) -> Result<RunId> {
    let exists = states(app, &cluster.id)?.current().map_err(Error::internal)?;
    let stands = exists.is_some_and(|state| state.cluster().is_some());
    let kind = if stands { Kind::Change } else { Kind::Retry };
    let spec = Spec { wanted, site: cluster.spec.site.clone() };
    queue(app, actor, cluster, kind, &spec).await
}

/// Goes on with what failed.
pub async fn retry(app: &App, actor: &Actor, cluster: &Cluster) -> Result<RunId> {
    let last = app.store.runs_of(&cluster.id).await?.into_iter().next();
    let kind = match last {
        Some(Run { kind: Kind::Destroy, .. }) => Kind::Destroy,
        _ => Kind::Retry,
    };
    if kind == Kind::Destroy {
        return Err(Error::conflict(
            "use_destroy",
            "The last run was a destroy. Choose \"Destroy\" again.",
        ));
    }
    queue(app, actor, cluster, kind, &cluster.spec).await
}

/// Asks for the end of a cluster, whose name was typed.
pub async fn destroy(app: &App, actor: &Actor, cluster: &Cluster, typed: &str) -> Result<RunId> {
    if cluster.protected {
        return Err(protected());
    }
    if typed.trim() != cluster.name {
        let message = format!("Type the cluster's name, {}, to destroy it.", cluster.name);
        return Err(Error::invalid(vec![Field::new("name", message)]));
    }
    queue(app, actor, cluster, Kind::Destroy, &cluster.spec).await
}

fn protected() -> Error {
    let detail = "This cluster is protected. Take the protection away first.";
    Error::conflict("protected", detail)
}

async fn queue(
    app: &App,
    actor: &Actor,
    cluster: &Cluster,
    kind: Kind,
    spec: &Spec,
) -> Result<RunId> {
    let run = app.store.queue_run(&cluster.id, kind, spec, &actor.person).await?;
    app.runs.wake();
    Ok(run)
}

/// Takes as wanted what a laptop or CI has made of a cluster: what exists is never planned away again unasked.
pub async fn follow(app: &App, id: &ClusterId) -> Result<()> {
    let cluster = app.store.cluster(id).await?;
    let exists = states(app, id)?.current().map_err(Error::internal)?;
    let Some(wanted) = exists.and_then(|state| state.wanted()) else { return Ok(()) };
    // Another name is another cluster: its owner hears of it with the next plan.
    if wanted != cluster.spec.wanted && wanted.name.as_str() == cluster.name {
        let spec = Spec { wanted, site: cluster.spec.site };
        app.store.follow_cluster(id, &spec).await?;
    }
    Ok(())
}

/// Who may approve a plan that destroys: whoever may destroy, whoever asked for it; and nobody while the cluster is protected.
pub fn may_approve(actor: &Actor, about: &About, run: &Run, cluster: &Cluster) -> Result<()> {
    if run.destroys() {
        can(Some(actor), Action::DestroyCluster, &about.scope)?;
        if cluster.protected {
            return Err(protected());
        }
    }
    Ok(())
}

/// Approves exactly the plan that was seen.
pub async fn approve(
    app: &App,
    actor: &Actor,
    about: &About,
    run: &Run,
    plan_hash: &str,
) -> Result<()> {
    may_approve(actor, about, run, &app.store.cluster(&run.cluster).await?)?;
    let state = app.store.approve_run(run, plan_hash, &actor.person).await?;
    note(app, run, log::Entry::State { state })?;
    app.runs.wake();
    Ok(())
}

/// Ends a run: at once if nothing works yet, else by asking Terraform to stop; with `force`, by killing it.
pub async fn cancel(app: &App, run: &Run, force: bool) -> Result<()> {
    if let Ok(_cancelled) = run.state.after(Event::Cancel) {
        let state = states(app, &run.cluster)?.current().map_err(Error::internal)?;
        let ended = finish::Ended { event: Event::Cancel, failure: None };
        let end = finish::end(run, run.state, state.as_ref(), ended);
        let state = app.store.end_run(run, &end).await?;
        note(app, run, log::Entry::State { state })?;
        return Ok(());
    }
    if run.state.has_ended() {
        return Err(Error::conflict("run_ended", "The run has ended already."));
    }
    if force && run.cancel_at.is_none() {
        return Err(Error::conflict(
            "cancel_first",
            "Cancel the run first, and give it time to stop by itself.",
        ));
    }
    if !app.store.ask_to_cancel(&run.id).await? {
        return Err(NotMoved::Changed.into());
    }
    if let Some(live) = app.runs.live(&run.id) {
        live.interrupt.cancel();
        if force {
            live.force.cancel();
        }
    }
    Ok(())
}

/// Writes the files of a cluster's folder anew, as the portal renders them.
pub fn restore_files(app: &App, cluster: &Cluster) -> Result<()> {
    let files = files(app, cluster)?;
    workspace(app, &cluster.id)?.write(&files).map_err(Error::internal)
}

/// The files of a cluster, as they are applied and exported.
pub fn files(app: &App, cluster: &Cluster) -> Result<Files> {
    let provider = app.terraform.provider()?;
    Files::render(&cluster.spec, &app.terraform.backend(&cluster.id), &provider)
        .map_err(Error::internal)
}

/// The folder of a cluster.
pub fn workspace(app: &App, cluster: &ClusterId) -> Result<Workspace> {
    let root = std::path::absolute(app.config.workspaces()).map_err(Error::internal)?;
    Workspace::open(&root, cluster).map_err(Error::internal)
}

/// The state of a cluster.
pub fn states(app: &App, cluster: &ClusterId) -> Result<States> {
    Ok(States::new(workspace(app, cluster)?.state().map_err(Error::internal)?))
}

fn note(app: &App, run: &Run, entry: log::Entry) -> Result<()> {
    let folder = workspace(app, &run.cluster)?.run(&run.id).map_err(Error::internal)?;
    log::Writer::open(&folder, Redaction::default())
        .and_then(|mut writer| writer.write(entry))
        .map_err(Error::internal)?;
    app.runs.tell(&run.id);
    Ok(())
}

/// Whether a run has somebody to wait for: it works, or waits for its turn.
pub fn is_moving(state: State) -> bool {
    state.is_running() || matches!(state, State::Queued | State::Approved)
}
