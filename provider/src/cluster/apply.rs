//! Performs one step. Decides nothing: what to do and where is in the step.
//!
//! Before every write the machine's stamp is read, because Proxmox hands a freed VMID out again at once.

use std::net::Ipv4Addr;
use std::time::Duration;

use kubesmith_proxmox::{ConfigUpdate, Error, Upid, retry};
use kubesmith_spec::{NodeName, Role};

use super::clone::clone;
use super::remembered::describe;
use super::room::GIB;
use super::site::Site;
use super::step::{Existing, Step};
use super::target::Machine;
use crate::ansible::inventory::Host;
use crate::ansible::{self, PlayError, Playbook};
use crate::kube::Api;
use crate::machine::{self, Found, RemoveError};
use crate::ssh::{self, ScanError};
use crate::stamp::{self, Stamp};
use crate::wait::{Limits, Look, Pacing, WaitError, until};

/// How long a machine may take from power on to its first SSH answer.
const BOOT: Duration = Duration::from_mins(15);
/// How long nodes may take to become ready after Ansible is done with them.
const READY: Duration = Duration::from_mins(10);
/// How long an orderly shutdown may take before the machine is switched off.
const SHUTDOWN_SECONDS: u32 = 90;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    /// Proxmox did not do it.
    #[error(transparent)]
    Proxmox(#[from] Error),
    /// Proxmox did not remove it.
    #[error(transparent)]
    Remove(#[from] RemoveError),
    /// It did not become true in time.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// The playbook failed.
    #[error(transparent)]
    Play(#[from] PlayError),
    /// Its host key is not to be had.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// What is on the VMID is not the machine that was meant.
    #[error("VM {vmid} is {what}, not the machine that was meant; it was not touched")]
    NotOurs {
        /// The VMID.
        vmid: u32,
        /// What is there.
        what: String,
    },
    /// A machine shows another host key than the one that was pinned.
    #[error("{0} shows another SSH host key than the one that was pinned at its creation")]
    HostKey(String),
    /// The kubeconfig of the cluster is not usable.
    #[error("{0}")]
    Kubeconfig(String),
}

impl StepError {
    /// What a person can do about it.
    pub(super) fn next_step(&self) -> &'static str {
        match self {
            Self::Wait(WaitError::TimedOut { .. })
            | Self::Scan(ScanError::Wait(WaitError::TimedOut { .. })) => {
                "Look at the machine's console in Proxmox. What was reached is kept: apply again to go on, or, after a \
                 failed create, `terraform untaint` first to go on instead of starting over."
            }
            Self::Play(_) => {
                "What was reached is kept. After a failed create the next apply starts over; `terraform untaint` lets it go on \
                 instead. Terraform's log (TF_LOG=debug) has the playbook's output."
            }
            Self::HostKey(_) => {
                "If somebody reinstalled that machine, destroy it in Proxmox and apply again: it is made anew. Else somebody else answers at its address."
            }
            Self::NotOurs { .. } => "Apply again: Kubesmith looks anew before it acts.",
            Self::Scan(ScanError::Program(_)) => {
                "Install the OpenSSH client programs on the machine that runs Terraform."
            }
            Self::Proxmox(_)
            | Self::Remove(_)
            | Self::Wait(_)
            | Self::Scan(_)
            | Self::Kubeconfig(_) => "What was reached is kept: apply again to go on.",
        }
    }
}

/// Performs the step; once more if it is not known whether it was done, because a step looks before it acts,
/// and doing it twice is doing it once.
pub(super) async fn apply(site: &Site<'_>, step: &Step) -> Result<(), StepError> {
    match apply_once(site, step).await {
        Err(StepError::Proxmox(error)) if error.is_unknown_outcome() => {
            tracing::info!(%step, %error, "doing a step again whose answer was lost");
            apply_once(site, step).await
        }
        done => done,
    }
}

async fn apply_once(site: &Site<'_>, step: &Step) -> Result<(), StepError> {
    match step {
        Step::CloneMachine { machine, placement } => clone(site, machine, placement).await,
        Step::ConfigureMachine { machine } => configure(site, machine).await,
        Step::ResizeDisk { machine, disk } => {
            let bytes = u64::from(machine.size.disk_gib) * GIB;
            let found = ours(site, machine).await?;
            let deadline = site.deadline();
            let task = retry(&deadline, || {
                site.client().resize_disk(&found.node, machine.vmid, disk, bytes)
            })
            .await?;
            wait_for(site, task).await
        }
        Step::StartMachine { machine } => start(site, machine).await,
        Step::AwaitSsh { machine } => await_ssh(site, machine).await,
        Step::RunPlaybook { nodes } => run_playbook(site, nodes).await,
        Step::AwaitReady { nodes } => await_ready(site, nodes).await,
        Step::MarkMade { machine } => mark_made(site, machine).await,
        Step::DrainNodes { nodes } => {
            play(site, Playbook::Remove, &[], nodes).await?;
            Ok(())
        }
        Step::ShutDownMachine { machine, .. } => {
            let found = ours(site, machine).await?;
            let deadline = site.deadline();
            let shut_down =
                || site.client().shutdown_vm(&found.node, machine.vmid, SHUTDOWN_SECONDS);
            let task = retry(&deadline, shut_down).await?;
            wait_for(site, Some(task)).await
        }
        Step::StopMachine(existing) => stop(site, existing).await,
        Step::DestroyMachine(existing) => {
            remove(site, existing, |stamp| is_ours(site, existing, stamp)).await
        }
        Step::RemoveUnfinished(existing) => {
            let unfinished =
                |stamp: &Stamp| site.owns(stamp) && stamp.node == existing.name && !stamp.made;
            remove(site, existing, unfinished).await
        }
    }
}

/// The machine on this VMID, if it is the one that was meant.
async fn ours(site: &Site<'_>, machine: &Machine) -> Result<Box<machine::Machine>, StepError> {
    let meant = |stamp: &Stamp| *stamp == site.stamp(machine, stamp.made);
    find(site, machine.vmid, meant).await
}

async fn find(
    site: &Site<'_>,
    vmid: u32,
    meant: impl Fn(&Stamp) -> bool,
) -> Result<Box<machine::Machine>, StepError> {
    let host = site.progress().hosts.get(&vmid).cloned();
    let (client, deadline) = (site.client(), site.deadline());
    let found = match host {
        Some(host) => machine::look_on(client, &host, vmid, &deadline).await?,
        None => machine::look(client, vmid, &deadline).await?,
    };
    let what = match found {
        Found::Machine(found) if meant(&found.stamp) => return Ok(found),
        Found::Machine(found) => format!("{} of cluster {}", found.stamp.node, found.stamp.cluster),
        Found::Stranger { name } => format!("named {name:?}"),
        Found::Hidden => "not visible to the API token".to_owned(),
        Found::Absent => "gone".to_owned(),
    };
    Err(StepError::NotOurs { vmid, what })
}

async fn wait_for(site: &Site<'_>, task: Option<Upid>) -> Result<(), StepError> {
    if let Some(task) = task {
        site.client().wait(&task, &site.deadline()).await?;
    }
    Ok(())
}

/// Sets everything on a machine that is still being made, and only its size on a finished one: other
/// cloud-init values would make it start over.
async fn configure(site: &Site<'_>, machine: &Machine) -> Result<(), StepError> {
    let size =
        || ConfigUpdate::new().cores(machine.size.cores).memory_mib(machine.size.memory_mib.into());
    let deadline = site.deadline();
    let found = ours(site, machine).await?;
    let set = async |update: ConfigUpdate| {
        let update = update.digest(&found.config.digest);
        retry(&deadline, || site.client().set_vm_config(&found.node, machine.vmid, &update)).await
    };
    if found.stamp.made {
        return Ok(set(size()).await?);
    }
    let lease = &site.spec.leases[machine.lease];
    let network = &site.spec.network;
    let tag = network.vlan.map(|tag| format!(",tag={tag}")).unwrap_or_default();
    let whole = || {
        size()
            .set("net0", format!("virtio={},bridge={}{tag}", mac(machine.address), network.bridge))
            .ip_config0(
                &format!("{}/{}", machine.address, lease.prefix_length),
                &lease.gateway.to_string(),
            )
            .nameservers(lease.nameservers.iter().map(ToString::to_string))
            .ci_user(site.spec.ssh_user.as_str())
            .ssh_keys([site.key.public_line()])
            // Else every first boot upgrades all packages.
            .set("ciupgrade", "0")
            .set("onboot", "1")
    };
    let tags = [stamp::TAG.to_owned(), site.stamp(machine, false).nonce_tag()];
    match set(whole().tags(tags)).await {
        // A datacentre may allow registered tags only; the stamp alone is enough.
        Err(error) if error.is_forbidden() => Ok(set(whole()).await.map_err(|_| error)?),
        done => Ok(done?),
    }
}

/// One address, one hardware address: when a machine is made again, its neighbours need not learn anew
/// where it is, which takes some of them a minute. The prefix marks it as locally administered.
fn mac(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("02:4B:{a:02X}:{b:02X}:{c:02X}:{d:02X}")
}

async fn start(site: &Site<'_>, machine: &Machine) -> Result<(), StepError> {
    let found = ours(site, machine).await?;
    let deadline = site.deadline();
    let started = retry(&deadline, || async {
        let task = site.client().start_vm(&found.node, machine.vmid).await?;
        site.client().wait(&task, &deadline).await
    });
    match started.await {
        Err(error) if !error.is_already_running() => Err(error.into()),
        _ => Ok(()),
    }
}

async fn stop(site: &Site<'_>, existing: &Existing) -> Result<(), StepError> {
    let meant = |stamp: &Stamp| is_ours(site, existing, stamp);
    let found = match find(site, existing.vmid, meant).await {
        // The next step sees that it is gone.
        Err(StepError::NotOurs { .. }) => return Ok(()),
        found => found?,
    };
    let deadline = site.deadline();
    let task = retry(&deadline, || site.client().stop_vm(&found.node, existing.vmid)).await?;
    wait_for(site, Some(task)).await
}

/// Whether a stamp is that of a machine which this state's key opens.
fn is_ours(site: &Site<'_>, existing: &Existing, stamp: &Stamp) -> bool {
    site.owns(stamp) && stamp.node == existing.name && stamp.nonce == site.key.nonce()
}

async fn remove(
    site: &Site<'_>,
    existing: &Existing,
    meant: impl Fn(&Stamp) -> bool,
) -> Result<(), StepError> {
    machine::remove(site.client(), existing.vmid, meant, &site.deadline()).await?;
    let mut places = site.spec.leases.iter().flat_map(kubesmith_spec::Lease::places);
    if let Some((address, _)) = places.find(|(_, vmid)| *vmid == existing.vmid) {
        let mut progress = site.progress();
        progress.known_hosts.forget(address);
        progress.removed.insert(existing.vmid, address);
    }
    Ok(())
}

/// Waits for the first answer and pins the host key; a key that is pinned already must be the same.
async fn await_ssh(site: &Site<'_>, machine: &Machine) -> Result<(), StepError> {
    let seen = ssh::scan(machine.address, &site.limits.within(BOOT)).await?;
    let mut progress = site.progress();
    match progress.known_hosts.get(machine.address) {
        Some(pinned) if pinned != seen => Err(StepError::HostKey(machine.to_string())),
        Some(_) => Ok(()),
        None => {
            progress.known_hosts.pin(machine.address, seen);
            Ok(())
        }
    }
}

async fn run_playbook(site: &Site<'_>, nodes: &[NodeName]) -> Result<(), StepError> {
    let kubeconfig = play(site, Playbook::Site, nodes, &[]).await?;
    let mut progress = site.progress();
    // The control plane's own file changes when its certificates are renewed. The one that is in the state counts until
    // its end (which a read sees), and no plan said that it would change.
    if progress.kubeconfig.is_none() {
        progress.kubeconfig = kubeconfig;
    }
    let machines = site.spec.machines();
    progress.configured.extend(machines.iter().filter(|m| nodes.contains(&m.name)).map(|m| m.vmid));
    Ok(())
}

/// Runs a playbook over the control plane and these nodes. Returns the kubeconfig that it fetched.
pub(super) async fn play(
    site: &Site<'_>,
    playbook: Playbook,
    nodes: &[NodeName],
    remove: &[NodeName],
) -> Result<Option<zeroize::Zeroizing<String>>, StepError> {
    let machines = site.spec.machines().into_iter();
    let hosts: Vec<Host> = machines
        .filter(|machine| machine.role == Role::ControlPlane || nodes.contains(&machine.name))
        .map(|machine| Host { name: machine.name, role: machine.role, address: machine.address })
        .collect();
    let known_hosts = site.progress().known_hosts.to_string();
    let run = ansible::Run {
        program: &site.context.ansible_playbook,
        spec: site.spec,
        hosts: &hosts,
        private_key: &site.key.private_text(),
        known_hosts: &known_hosts,
        remove,
    };
    Ok(ansible::play(&run, playbook, &site.limits, &site.events).await?)
}

async fn await_ready(site: &Site<'_>, nodes: &[NodeName]) -> Result<(), StepError> {
    let kubeconfig = site.progress().kubeconfig.clone();
    let kubeconfig = kubeconfig
        .ok_or_else(|| StepError::Kubeconfig("the playbook left no kubeconfig".to_owned()))?;
    let api = Api::from_kubeconfig(&kubeconfig)
        .map_err(|error| StepError::Kubeconfig(error.to_string()))?;
    let limits: Limits = site.limits.within(READY);
    let look = || async {
        match api.nodes().await {
            Err(error) => Look::NotYet(error.to_string()),
            Ok(seen) => {
                let state = |name: &NodeName| match seen.get(name) {
                    Some(true) => None,
                    Some(false) => Some(format!("{name} is NotReady")),
                    None => Some(format!("{name} is not registered")),
                };
                let waiting: Vec<String> = nodes.iter().filter_map(state).collect();
                if waiting.is_empty() { Look::Ready(()) } else { Look::NotYet(waiting.join(", ")) }
            }
        }
    };
    Ok(until("Kubernetes to report its nodes ready", &limits, Pacing::CALM, look).await?)
}

/// The last write of a machine's creation. From here on nobody removes it but who knows its key.
async fn mark_made(site: &Site<'_>, machine: &Machine) -> Result<(), StepError> {
    let found = ours(site, machine).await?;
    let description = describe(site.spec, &site.stamp(machine, true));
    let update = ConfigUpdate::new().description(description).digest(&found.config.digest);
    let deadline = site.deadline();
    Ok(retry(&deadline, || site.client().set_vm_config(&found.node, machine.vmid, &update)).await?)
}
