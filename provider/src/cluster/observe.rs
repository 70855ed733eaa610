//! Looks at the world and says what is: reads only, changes nothing.
//!
//! One list of all VMs says which exist; only those on the cluster's own VMIDs are looked at closely.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::try_join_all;
use kubesmith_proxmox::{Client, Deadline, Error, Inventory, VmResource, retry};
use kubesmith_spec::MachineSize;

use super::placement::Room;
use super::plan::{Kubernetes, Observed, Ours, Seen, Standing};
use super::room;
use super::site::{Progress, Site};
use super::step::Existing;
use super::target::{self, Target};
use crate::kube::Api;
use crate::machine::{self, Found};
use crate::stamp::{self, Stamp};
use crate::wait::{Look, Pacing, until};

/// How long an API server that should answer may be silent before it counts as unreachable.
const API_PATIENCE: Duration = Duration::from_secs(15);

/// All that planning needs to know.
pub(super) async fn observe(site: &Site<'_>, target: &Target) -> Result<Observed, Error> {
    let deadline = site.deadline();
    let inventory = retry(&deadline, || site.client().inventory()).await?;
    let machines = machines(site, &inventory, target, &deadline).await?;
    let complete = target.machines.iter().all(|machine| is_usable(machines.get(&machine.vmid)));
    let room = if complete {
        Room::default()
    } else {
        room::look(site.client(), site.spec, &inventory, &deadline).await?
    };
    let kubernetes = if target.machines.is_empty() {
        Kubernetes::NotAsked
    } else {
        kubernetes(site, complete).await
    };
    Ok(Observed { machines, kubernetes, configured: site.progress().configured.clone(), room })
}

/// What is on the cluster's VMIDs.
pub(super) async fn machines(
    site: &Site<'_>,
    inventory: &Inventory,
    target: &Target,
    deadline: &Deadline,
) -> Result<BTreeMap<u32, Seen>, Error> {
    let vms = &inventory.vms;
    let nodes = inventory.nodes.iter();
    let online: BTreeSet<&str> = nodes.filter(|n| n.online).map(|n| n.node.as_str()).collect();
    let progress = site.progress().clone();
    let vmids =
        site.spec.leases.iter().flat_map(kubesmith_spec::Lease::places).map(|(_, vmid)| vmid);
    let rows = vmids.filter_map(|vmid| vms.iter().find(|vm| vm.vmid == vmid));
    let looks = rows.map(|row| {
        let (online, progress) = (&online, &progress);
        async move {
            let wanted = target.machine(row.vmid).is_some() || row.tags.contains(stamp::TAG);
            if !online.contains(row.node.as_str()) {
                return Ok(wanted.then(|| (row.vmid, Seen::OutOfReach { host: row.node.clone() })));
            }
            let seen = look(site, row, progress, deadline).await?;
            Ok::<_, Error>(seen.map(|seen| (row.vmid, seen)))
        }
    });
    let seen = try_join_all(looks).await?.into_iter().flatten().collect();
    let unlisted = target.machines.iter().filter(|m| vms.iter().all(|vm| vm.vmid != m.vmid));
    let node = online.first().copied().unwrap_or_default();
    try_join_all(unlisted.map(|machine| confirm_free(site.client(), machine.vmid, node, deadline)))
        .await?;
    Ok(seen)
}

/// What the list does not show is not there, or the token may not see it: then Proxmox's refusal says which
/// right is missing. Taking it for gone would forget a machine that exists.
async fn confirm_free(
    client: &Client,
    vmid: u32,
    node: &str,
    deadline: &Deadline,
) -> Result<(), Error> {
    if retry(deadline, || client.vmid_is_free(vmid)).await? {
        return Ok(());
    }
    machine::look_on(client, node, vmid, deadline).await.map(drop)
}

/// One VM, closely.
async fn look(
    site: &Site<'_>,
    row: &VmResource,
    progress: &Progress,
    deadline: &Deadline,
) -> Result<Option<Seen>, Error> {
    let client = site.client();
    let stranger = |what: String| Some(Seen::Stranger { what, host: row.node.clone() });
    if row.kind != "qemu" {
        return Ok(stranger(format!("a container ({})", row.kind)));
    }
    let found = match machine::look_on(client, &row.node, row.vmid, deadline).await? {
        Found::Absent => return Ok(None),
        Found::Hidden => return Ok(stranger("which the API token may not see".to_owned())),
        Found::Stranger { name } => return Ok(stranger(format!("named {name:?}"))),
        Found::Machine(found) => found,
    };
    site.progress().hosts.insert(row.vmid, found.node.clone());
    if !site.owns(&found.stamp) {
        let Stamp { node, cluster, owner, .. } = &found.stamp;
        return Ok(stranger(format!("machine {node} of cluster {cluster} of owner {owner}")));
    }
    // Somebody may have cloned a machine by hand, stamp and all.
    if target::name_on(site.spec, row.vmid).as_ref() != Some(&found.stamp.node) {
        return Ok(stranger(format!("a copy of {}", found.stamp.node)));
    }
    let status = retry(deadline, || client.vm_status(&found.node, row.vmid)).await?;
    let (disk, disk_gib) = match room::boot_disk(&found.config) {
        Some((key, disk)) => (key, room::gib(disk)),
        None => (String::new(), 0),
    };
    let address = site
        .spec
        .leases
        .iter()
        .flat_map(kubesmith_spec::Lease::places)
        .find(|(_, vmid)| *vmid == row.vmid);
    let pinned = address.is_some_and(|(address, _)| progress.known_hosts.contains(address));
    Ok(Some(Seen::Ours(Ours {
        existing: Existing {
            name: found.stamp.node.clone(),
            vmid: row.vmid,
            host: found.node.clone(),
        },
        standing: standing(site, &found.stamp, progress.cloned.contains(&row.vmid), pinned),
        running: status.running,
        pinned,
        size: MachineSize {
            cores: found.config.cores,
            memory_mib: u32::try_from(found.config.memory_mib).unwrap_or(u32::MAX),
            disk_gib,
        },
        disk,
    })))
}

fn standing(site: &Site<'_>, stamp: &Stamp, cloned: bool, pinned: bool) -> Standing {
    let our_key = stamp.nonce == site.key.nonce();
    match (our_key, stamp.made) {
        (true, true) => Standing::Made,
        (true, false) if cloned => Standing::Begun,
        (true, false) if pinned => Standing::Resumed,
        (_, false) => Standing::Abandoned,
        (false, true) => Standing::Unknown,
    }
}

fn is_usable(seen: Option<&Seen>) -> bool {
    let Some(Seen::Ours(ours)) = seen else { return false };
    matches!(ours.standing, Standing::Made | Standing::Begun | Standing::Resumed)
}

/// What Kubernetes says. An API server that should be there is given a moment, because it may be
/// busy or starting.
async fn kubernetes(site: &Site<'_>, patient: bool) -> Kubernetes {
    let Some(kubeconfig) = site.progress().kubeconfig.clone() else { return Kubernetes::NotAsked };
    let api = match Api::from_kubeconfig(&kubeconfig) {
        Ok(api) => api,
        Err(error) => return Kubernetes::Unreachable(error.to_string()),
    };
    let limits = site.limits.within(if patient { API_PATIENCE } else { Duration::ZERO });
    let look = || async {
        match api.nodes().await {
            Ok(nodes) => Look::Ready(nodes),
            Err(error) => Look::NotYet(error.to_string()),
        }
    };
    match until("the Kubernetes API", &limits, Pacing::CALM, look).await {
        Ok(nodes) => Kubernetes::Nodes(nodes),
        Err(error) => Kubernetes::Unreachable(error.to_string()),
    }
}
