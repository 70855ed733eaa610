//! `terraform import <address> <cluster name>`: the machines show most of what a cluster is, the control
//! plane's description and the ledger the rest. Only the SSH key must be given, by a file.

use std::collections::BTreeSet;

use kubesmith_proxmox::{Deadline, retry};
use kubesmith_spec::{
    BridgeName, ClusterName, ClusterSpec, Lease, MachineNetwork, MachineSize, Role, VlanTag,
};
use kubesmith_tfplugin::{Diag, Result, Secret};

use super::apply::play;
use super::model::Cluster;
use super::remembered::{Remembered, Shown};
use super::room;
use super::site::{Progress, Site};
use crate::ansible::Playbook;
use crate::diagnose::{self, sentence};
use crate::ledger::Ledger;
use crate::machine::{self, Found, Machine};
use crate::provider::{Context, environment};
use crate::ssh::{self, KeyPair};
use crate::stamp;
use crate::wait::Limits;

/// Names the file with the private key.
const KEY_FILE: &str = "KUBESMITH_IMPORT_SSH_KEY_FILE";

/// Finds the cluster; `None` if it has no machine.
pub(super) async fn import(context: &Context, id: &str, limits: Limits) -> Result<Option<Cluster>> {
    let summary = format!("Unable to import cluster {id}");
    let wrong = |detail: String| Diag::error(summary.as_str()).detail(detail);
    let name = ClusterName::parse(id).map_err(|error| wrong(sentence(&error.to_string())))?;
    let owner = context.owner()?;
    let deadline = Deadline::after(limits.left(), &limits.cancel);

    let found = machines(context, &name, &deadline)
        .await
        .map_err(|e| diagnose::proxmox(summary.as_str(), &e))?;
    let mut machines: Vec<_> = found.into_iter().map(|(_, machine)| machine).collect();
    if let Some(other) =
        machines.iter().find(|machine| machine.stamp.owner != *owner).map(|m| &m.stamp.owner)
    {
        return Err(wrong(format!(
            "It belongs to owner {other}, but this provider acts for owner {owner}. One owner is one Terraform state: import it \
             where that owner's state is, or, if that state is lost and this one takes its place, set the provider's owner to {other}."
        ))
        .into());
    }
    machines.retain(|machine| machine.stamp.made);
    machines.sort_by_key(|machine| {
        (machine.stamp.role, machine.stamp.node.as_str().len(), machine.stamp.node.clone())
    });
    let Some((control_plane, workers)) = machines
        .split_first()
        .filter(|(control_plane, _)| control_plane.stamp.role == Role::ControlPlane)
    else {
        return Ok(None);
    };
    let key = key().map_err(wrong)?;
    if let Some(locked) = machines.iter().find(|machine| machine.stamp.nonce != key.nonce()) {
        let node = &locked.stamp.node;
        return Err(wrong(format!("The private key in the file that {KEY_FILE} names does not open {node}: it was made for another key.")).into());
    }

    let remembered = Remembered::parse(&control_plane.config.description).ok_or_else(|| {
        let node = &control_plane.stamp.node;
        wrong(format!("The description of {node} in Proxmox has no line \"kubesmith-spec:\" any more, without which its settings are not known."))
    })?;
    let leases = leases(context, &remembered, &machines, &deadline).await?;
    let spec = remembered.complete(shown(name, leases, control_plane, workers).map_err(wrong)?);
    take_over(context, spec, &key, limits, &summary).await.map(Some)
}

/// The machines of that name with their VMIDs, whoever owns them.
pub(super) async fn machines(
    context: &Context,
    name: &ClusterName,
    deadline: &Deadline,
) -> std::result::Result<Vec<(u32, Box<Machine>)>, kubesmith_proxmox::Error> {
    let client = &context.proxmox;
    let prefix = format!("{name}-");
    let mut found = Vec::new();
    for vm in retry(deadline, || client.vms()).await? {
        let named = vm.name.as_ref().is_some_and(|vm| vm.starts_with(&prefix));
        if vm.kind != "qemu"
            || vm.template == Some(true)
            || !(named || vm.tags.contains(stamp::TAG))
        {
            continue;
        }
        if let Found::Machine(machine) =
            machine::look_on(client, &vm.node, vm.vmid, deadline).await?
            && machine.stamp.cluster == *name
        {
            found.push((vm.vmid, machine));
        }
    }
    Ok(found)
}

fn key() -> std::result::Result<KeyPair, String> {
    let Some(file) = environment(KEY_FILE) else {
        return Err(format!(
            "Set {KEY_FILE} to a file with the private key of its machines (OpenSSH format, Ed25519)."
        ));
    };
    let text =
        std::fs::read_to_string(&file).map_err(|error| format!("{KEY_FILE}: {file}: {error}"))?;
    KeyPair::parse(&text).map_err(|error| format!("{KEY_FILE}: {file}: {error}"))
}

/// The leases in the order in which the cluster takes their addresses, as the ledger has them.
async fn leases(
    context: &Context,
    remembered: &Remembered,
    machines: &[Box<Machine>],
    deadline: &Deadline,
) -> Result<Vec<Lease>> {
    let ledger = Ledger::open(context, deadline).await?;
    let mut leases = Vec::new();
    let mut seen = BTreeSet::new();
    let used: Vec<String> = machines
        .iter()
        .map(|machine| format!("{}/{}", machine.stamp.pool, machine.stamp.lease))
        .collect();
    for id in remembered.leases.iter().chain(&used) {
        if !seen.insert(id.clone()) {
            continue;
        }
        let lost = || {
            Diag::error(format!("Unable to find lease {id}")).detail(
                "The ledger has no complete lease of that name. Import or apply the lease first.",
            )
        };
        let (pool, name) = id.split_once('/').ok_or_else(lost)?;
        let pool = ledger.pool(&pool.parse().map_err(|_| lost())?).await?;
        let (rows, _) = ledger.rows(&pool.name).await?;
        let claim = rows
            .claims()
            .into_iter()
            .find(|claim| claim.lease.as_str() == name && claim.is_complete());
        // A lease that was given up since the control plane was made is no loss.
        if claim.is_none() && !used.contains(id) {
            continue;
        }
        let claim = claim.ok_or_else(lost)?;
        leases.push(Lease {
            name: claim.lease.clone(),
            first_vmid: pool.vmid(claim.range.first()).ok_or_else(lost)?,
            transaction: claim.transaction.clone(),
            addresses: claim.range.addresses().collect(),
            prefix_length: pool.prefix_length,
            gateway: pool.gateway,
            nameservers: pool.nameservers.clone(),
            pool: pool.name,
        });
    }
    Ok(leases)
}

/// What the machines show of themselves.
fn shown(
    name: ClusterName,
    leases: Vec<Lease>,
    control_plane: &Machine,
    workers: &[Box<Machine>],
) -> std::result::Result<Shown, String> {
    let size = |machine: &Machine| MachineSize {
        cores: machine.config.cores,
        memory_mib: u32::try_from(machine.config.memory_mib).unwrap_or(u32::MAX),
        disk_gib: room::boot_disk(&machine.config).map_or(0, |(_, disk)| room::gib(disk)),
    };
    let net = control_plane.config.net0.as_ref();
    let bridge =
        net.and_then(|net| net.bridge.as_deref()).and_then(|bridge| BridgeName::parse(bridge).ok());
    let node = &control_plane.stamp.node;
    let bridge = bridge.ok_or_else(|| format!("{node} is attached to no bridge (net0)."))?;
    let vlan = net.and_then(|net| net.vlan).and_then(|tag| VlanTag::try_from(tag).ok());
    Ok(Shown {
        name,
        leases,
        network: MachineNetwork { bridge, vlan },
        control_plane: size(control_plane),
        workers: (
            u32::try_from(workers.len()).unwrap_or(u32::MAX),
            workers.first().map(|machine| size(machine)),
        ),
    })
}

/// Pins the machines' host keys, fetches the kubeconfig, and makes the state.
async fn take_over(
    context: &Context,
    spec: ClusterSpec,
    key: &KeyPair,
    limits: Limits,
    summary: &str,
) -> Result<Cluster> {
    let site = Site::new(context, context.owner()?, &spec, key, limits, Progress::default());
    let failed = |error: String| Diag::error(summary).detail(sentence(&error));
    for machine in spec.machines() {
        let seen = ssh::scan(machine.address, &site.limits)
            .await
            .map_err(|error| failed(error.to_string()))?;
        site.progress().known_hosts.pin(machine.address, seen);
    }
    let kubeconfig = play(&site, Playbook::Kubeconfig, &[], &[])
        .await
        .map_err(|error| failed(error.to_string()))?;
    let known_hosts = site.progress().known_hosts.to_string();
    let mut state = Cluster::of(spec.clone());
    state.endpoint = spec.api_endpoint().map(|endpoint| format!("https://{endpoint}")).into();
    state.kubeconfig = kubeconfig.map(|kubeconfig| Secret::new(kubeconfig.to_string())).into();
    state.ssh_private_key = Secret::new(key.private_text().to_string()).into();
    state.known_hosts = known_hosts.into();
    Ok(state)
}
