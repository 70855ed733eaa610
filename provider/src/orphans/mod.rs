//! `terraform-provider-kubesmith orphans`: stamped machines and leases that no given state knows.
//!
//! For people, after a run was killed or a state was lost. Here is what reads and changes the datacentre;
//! what counts as unknown and what may be removed is decided in `known` and `find` (pure).

mod find;
mod known;
mod report;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kubesmith_proxmox::{Deadline, retry};
use kubesmith_spec::ClusterName;
use kubesmith_tfplugin::{CancellationToken, Diag, Diags, Provider as _, Result};

use self::find::{Machine, OrphanLease, Orphans, Question, Survey, orphans};
use self::known::Known;
use crate::diagnose;
use crate::ledger::{Ledger, home};
use crate::machine::{self, Found, Removal};
use crate::provider::{Context, Kubesmith, ProviderConfig};
use crate::stamp::{Stamp, TAG};

/// How long looking around may take.
const LOOKING: Duration = Duration::from_mins(5);
/// How long the removal of one machine or lease may take.
const REMOVING: Duration = Duration::from_mins(10);
/// How many machines are looked at, or removed, at once.
const AT_ONCE: usize = 4;

/// List machines and leases that no given Terraform state knows, and remove them if asked to.
///
/// Settings come from the environment, as those of the provider block do: `KUBESMITH_ENDPOINT`,
/// `KUBESMITH_API_TOKEN`, `KUBESMITH_CA_FILE` or `KUBESMITH_FINGERPRINT`, `KUBESMITH_OWNER`,
/// `KUBESMITH_LEDGER_VMID`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A state that is in use: what `terraform state pull` or `terraform show -json` wrote. Give them all.
    #[arg(long = "state", value_name = "FILE")]
    states: Vec<PathBuf>,
    /// Only the machines of this cluster.
    #[arg(long, value_name = "NAME")]
    cluster: Option<ClusterName>,
    /// Stop and destroy the machines listed, and (unless --cluster is given) release the leases listed.
    /// Things of another owner always stay.
    #[arg(long)]
    remove: bool,
    /// With --remove and without --state and --cluster: the owner has no state any more, nothing is in use.
    #[arg(long, conflicts_with_all = ["states", "cluster"])]
    all: bool,
}

/// Does it, and says on standard error what went wrong.
pub(crate) fn run(options: &Options) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return diagnose::complain(&Diag::from_error(&error).into()),
    };
    let cancel = CancellationToken::new();
    let interrupted = cancel.clone();
    runtime.spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupted.cancel();
        }
    });
    match runtime.block_on(answer(options, &cancel)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(diags) => diagnose::complain(&diags),
    }
}

async fn answer(options: &Options, cancel: &CancellationToken) -> Result<()> {
    let known = read_states(options)?;
    let context = Kubesmith.configure("none", ProviderConfig::default()).await?;
    let question =
        Question { owner: context.owner()?.clone(), cluster: options.cluster.clone(), known };
    if options.remove && question.known.is_none() && question.cluster.is_none() && !options.all {
        return Err(too_much(&question).into());
    }
    let survey = survey(&context, &Deadline::after(LOOKING, cancel)).await?;
    let found = orphans(&survey, &question);
    say(&report::list(&found, &question, options.states.len()));
    if options.remove {
        remove(&context, found, cancel).await
    } else {
        say(&report::advice(&found, &question, &options.again()));
        Ok(())
    }
}

/// What the states know; `None` if there are none.
fn read_states(options: &Options) -> Result<Option<Known>> {
    let mut known = Known::default();
    for path in &options.states {
        let refused = |reason: &str| {
            Diag::error(format!("Unable to read the state {}", path.display()))
                .detail(diagnose::sentence(reason))
        };
        let text = std::fs::read_to_string(path).map_err(|error| refused(&error.to_string()))?;
        known.add(&text).map_err(|error| refused(&error.to_string()))?;
    }
    Ok((!options.states.is_empty()).then_some(known))
}

/// Every machine with a stamp, and every lease.
async fn survey(context: &Context, deadline: &Deadline) -> Result<Survey> {
    let failed = |error| diagnose::proxmox("Unable to look for machines and leases", &error);
    let client = &context.proxmox;
    let mut pools = Vec::new();
    if home::find(context, deadline).await?.is_some() {
        let ledger = Ledger::open(context, deadline).await?;
        for pool in ledger.pools().await? {
            let claims = ledger.rows(&pool.name).await?.0.claims();
            pools.push((pool, claims));
        }
    } else {
        say(&format!(
            "There is no address ledger (VMID {}), so no lease is known and no machine will be removed.\n",
            context.ledger_vmid
        ));
    }
    let rows = retry(deadline, || client.vms()).await.map_err(failed)?;
    // Where a token may not set tags, only the VMID hints at what the description then says.
    let mut vmids: Vec<_> = rows
        .iter()
        .filter(|row| row.kind == "qemu" && row.vmid != context.ledger_vmid)
        .filter(|row| {
            row.tags.contains(TAG) || pools.iter().any(|(pool, _)| pool.address(row.vmid).is_some())
        })
        .map(|row| row.vmid)
        .collect();
    vmids.sort_unstable();
    let looks = stream::iter(vmids).map(async |vmid| {
        Ok(match machine::look(client, vmid, deadline).await? {
            Found::Machine(found) => Some(Machine { vmid, host: found.node, stamp: found.stamp }),
            Found::Absent | Found::Hidden | Found::Stranger { .. } => None,
        })
    });
    let machines: Vec<_> = looks.buffered(AT_ONCE).try_collect().await.map_err(failed)?;
    Ok(Survey { machines: machines.into_iter().flatten().collect(), pools })
}

/// Removes what may be removed: first machines, then the leases that no machine stands on any more. A
/// failure does not keep the rest from being removed.
async fn remove(context: &Context, found: Orphans, cancel: &CancellationToken) -> Result<()> {
    let mut problems = Diags::none();
    let machines = found.machines.into_iter().filter(|orphan| orphan.stays.is_none());
    let removals = stream::iter(machines).map(async |orphan| {
        let Machine { vmid, stamp, .. } = orphan.machine;
        let deadline = Deadline::after(REMOVING, cancel);
        let same = |found: &Stamp| *found == stamp;
        let removal = machine::remove(&context.proxmox, vmid, same, &deadline).await;
        (vmid, stamp.node, removal)
    });
    let mut removals = std::pin::pin!(removals.buffered(AT_ONCE));
    say("\n");
    while let Some((vmid, node, removal)) = removals.next().await {
        match removal {
            Ok(Removal::Gone) => say(&format!("Removed {node}: VMID {vmid} was seen absent.\n")),
            Ok(Removal::Reused) => {
                say(&format!(
                    "{node} is not there any more: VMID {vmid} is another machine's, which stays.\n"
                ));
            }
            Err(error) => {
                problems.push(diagnose::removal(
                    format!("Unable to remove {node} (VMID {vmid})"),
                    &error,
                ));
            }
        }
    }
    for orphan in found.leases.into_iter().filter(|orphan| orphan.stays.is_none()) {
        let deadline = Deadline::after(REMOVING, cancel);
        if let Err(diags) = release(context, &orphan, &deadline).await {
            problems.extend(diags);
        }
    }
    problems.into_result(())
}

/// Releases a lease if none of Kubesmith's machines stands on its addresses. A stranger only has the number.
async fn release(context: &Context, orphan: &OrphanLease, deadline: &Deadline) -> Result<()> {
    let OrphanLease { pool, claim, .. } = orphan;
    let id = format!("{}/{}", pool.name, claim.lease);
    for (address, vmid) in
        claim.range.addresses().filter_map(|address| Some((address, pool.vmid(address)?)))
    {
        let found = machine::look(&context.proxmox, vmid, deadline).await;
        let found = found
            .map_err(|error| diagnose::proxmox(format!("Unable to release lease {id}"), &error))?;
        let who = match found {
            Found::Absent | Found::Stranger { .. } => continue,
            Found::Machine(machine) => machine.stamp.node.to_string(),
            Found::Hidden => "a machine that the API token may not see".to_owned(),
        };
        say(&format!("Lease {id} stays: {who} (VMID {vmid}) stands on {address}.\n"));
        return Ok(());
    }
    Ledger::open(context, deadline).await?.release(&pool.name, claim).await?;
    say(&format!("Released lease {id}: its entries for {} were seen absent.\n", claim.range));
    Ok(())
}

fn too_much(question: &Question) -> Diag {
    let owner = &question.owner;
    Diag::error("Unable to tell what may be removed").detail(format!(
        "Without --state and --cluster everything of owner {owner} counts as unknown, also clusters that are \
         in use. Give the states that are in use (--state FILE), or one cluster (--cluster NAME), or --all if \
         owner {owner} has no state any more."
    ))
}

impl Options {
    /// The options that `--remove` needs to do what was listed with these.
    fn again(&self) -> String {
        let mut text = String::new();
        for path in &self.states {
            let _ = write!(text, " --state {}", path.display());
        }
        match &self.cluster {
            Some(cluster) => text + " --cluster " + cluster.as_str(),
            None if self.states.is_empty() => " --all".to_owned(),
            None => text,
        }
    }
}

/// Prints. Whoever closes our standard output does not stop a removal.
pub(crate) fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
