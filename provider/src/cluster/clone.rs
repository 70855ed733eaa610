//! Cloning a template, with every way in which it may go wrong halfway.
//!
//! The stamp is in the description from the clone's first instant on. So if an answer is lost, a look at
//! the VMID says whether the clone is ours, and nothing is cloned twice.

use std::time::Duration;

use kubesmith_proxmox::{CloneVm, Error, retry};
use kubesmith_spec::CloneMode;

use super::apply::StepError;
use super::placement::Placement;
use super::remembered::describe;
use super::site::Site;
use super::target::Machine;
use crate::machine::{self, Found};
use crate::wait::{Look, Pacing, until};

/// How often a clone is tried whose outcome stays unknown although nothing is there.
const ATTEMPTS: u32 = 3;
/// How long a clone whose answer was lost may take to show.
const APPEAR: Duration = Duration::from_secs(10);
/// How long a clone may hold its machine's lock.
const UNLOCK: Duration = Duration::from_hours(1);

/// Clones, and returns when the clone is complete.
pub(super) async fn clone(
    site: &Site<'_>,
    machine: &Machine,
    placement: &Placement,
) -> Result<(), StepError> {
    {
        let mut progress = site.progress();
        progress.known_hosts.forget(machine.address);
        progress.configured.remove(&machine.vmid);
        progress.cloned.insert(machine.vmid);
        progress.hosts.insert(machine.vmid, placement.host.clone());
    }
    let mut attempt = 1;
    loop {
        let Err(error) = clone_once(site, machine, placement).await else { return Ok(()) };
        if !(error.is_unknown_outcome() || error.is_already_exists()) {
            return Err(error.into());
        }
        tracing::info!(vmid = machine.vmid, %error, "looking what became of a clone");
        if is_there(site, machine).await? && is_whole(site, machine).await? {
            return Ok(());
        }
        if attempt == ATTEMPTS {
            return Err(error.into());
        }
        attempt += 1;
    }
}

async fn clone_once(
    site: &Site<'_>,
    machine: &Machine,
    placement: &Placement,
) -> Result<(), Error> {
    let (client, deadline) = (site.client(), site.deadline());
    let (template, spec) = (&placement.template, site.spec);
    let request = CloneVm {
        node: template.host.clone(),
        vmid: template.vmid,
        newid: machine.vmid,
        name: machine.name.to_string(),
        description: describe(spec, &site.stamp(machine, false)),
        pool: spec.proxmox_pool.as_ref().map(ToString::to_string),
        storage: spec.storage.as_ref().map(ToString::to_string),
        full: spec.clone == CloneMode::Full,
        target: (placement.host != template.host).then(|| placement.host.clone()),
    };
    let storage =
        spec.storage.as_ref().map_or(template.storage.as_str(), |storage| storage.as_str());
    let _slot = client.clone_slot(storage, &deadline).await?;
    retry(&deadline, || async {
        let task = client.clone_vm(&request).await?;
        client.wait_or_stop(&task, &deadline).await
    })
    .await
    .map(|_| ())
}

/// Whether our clone is there after all. A stranger's machine is an error.
async fn is_there(site: &Site<'_>, machine: &Machine) -> Result<bool, StepError> {
    let not_ours = |what: String| StepError::NotOurs { vmid: machine.vmid, what };
    let limits = site.limits.within(APPEAR);
    let look = || async {
        match machine::look(site.client(), machine.vmid, &site.deadline()).await {
            Ok(Found::Absent) => Look::NotYet("nothing on its VMID".to_owned()),
            Ok(Found::Machine(found)) if found.stamp == site.stamp(machine, false) => {
                Look::Ready(Ok(()))
            }
            Ok(Found::Machine(found)) => {
                Look::Ready(Err(not_ours(format!("machine {}", found.stamp.node))))
            }
            Ok(Found::Stranger { name }) => Look::Ready(Err(not_ours(format!("named {name:?}")))),
            Ok(Found::Hidden) => {
                Look::NotYet("something that the API token may not see".to_owned())
            }
            Err(error) => Look::Ready(Err(error.into())),
        }
    };
    match until("the clone to show", &limits, Pacing::CALM, look).await {
        Ok(found) => found.map(|()| true),
        Err(_) if !site.limits.cancel.is_cancelled() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Waits until the clone's own task, whose name is lost, has let go of the machine. False if it failed,
/// and took away what it had begun.
async fn is_whole(site: &Site<'_>, machine: &Machine) -> Result<bool, StepError> {
    let look = || async {
        match machine::look(site.client(), machine.vmid, &site.deadline()).await {
            Ok(Found::Machine(found)) if found.stamp == site.stamp(machine, false) => {
                match &found.config.lock {
                    None => Look::Ready(true),
                    Some(lock) => Look::NotYet(format!("it is locked ({lock})")),
                }
            }
            Ok(Found::Hidden) => {
                Look::NotYet("something that the API token may not see".to_owned())
            }
            Ok(Found::Absent | Found::Machine(_) | Found::Stranger { .. }) => Look::Ready(false),
            Err(error) => Look::NotYet(error.to_string()),
        }
    };
    Ok(until("the clone to end", &site.limits.within(UNLOCK), Pacing::CALM, look).await?)
}
