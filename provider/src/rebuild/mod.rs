//! `terraform-provider-kubesmith ledger rebuild`: the ledger again, from the states of all who lease from it.
//!
//! For the day on which the ledger's machine was destroyed. What it must hold is decided in `wanted` (pure); it is written by
//! the same requests as every lease, which make what is missing and change nothing that is there.

mod wanted;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kubesmith_proxmox::{Deadline, retry};
use kubesmith_spec::OwnerName;
use kubesmith_tfplugin::{CancellationToken, Diag, Provider as _, Result};

use self::wanted::Wanted;
use crate::diagnose;
use crate::ledger::{Ledger, home};
use crate::machine::{self, Found};
use crate::orphans::say;
use crate::provider::{Context, Kubesmith, ProviderConfig};
use crate::stamp::TAG;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_mins(30);
/// How many machines are looked at at once.
const AT_ONCE: usize = 4;

/// Tasks for the address ledger.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Task {
    /// Make the ledger again from states, after its machine was lost. Shows what it would do, and does it with --write.
    ///
    /// Settings come from the environment, as those of the provider block do: `KUBESMITH_ENDPOINT`,
    /// `KUBESMITH_API_TOKEN`, `KUBESMITH_CA_FILE` or `KUBESMITH_FINGERPRINT`, `KUBESMITH_LEDGER_VMID`.
    Rebuild(Options),
}

/// What to rebuild it from.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// An owner, and its state as `terraform state pull` or `terraform show -json` wrote it. Give them all.
    #[arg(long = "state", value_name = "OWNER=FILE", required = true)]
    states: Vec<State>,
    /// Do it.
    #[arg(long)]
    write: bool,
    /// Do it although machines exist whose lease no given state has. Their addresses are passed over as long as the machines
    /// exist, but not those that their leases hold for machines to come.
    #[arg(long, requires = "write")]
    incomplete: bool,
}

/// `OWNER=FILE`.
#[derive(Debug, Clone)]
struct State {
    owner: OwnerName,
    file: PathBuf,
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (owner, file) = text
            .split_once('=')
            .ok_or("give the owner as well, for instance course-42=course.json")?;
        let owner = owner.parse().map_err(|error| format!("{error}"))?;
        Ok(Self { owner, file: file.into() })
    }
}

/// Does it, and says on standard error what went wrong.
pub(crate) fn run(Task::Rebuild(options): &Task) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return diagnose::complain(&Diag::from_error(&error).into()),
    };
    match runtime.block_on(rebuild(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(diags) => diagnose::complain(&diags),
    }
}

async fn rebuild(options: &Options) -> Result<()> {
    let wanted = read(options)?;
    let context = Kubesmith.configure("none", ProviderConfig::default()).await?;
    // A stop between two requests loses nothing: the next run makes what is missing.
    let deadline = Deadline::after(PATIENCE, &CancellationToken::new());
    let strangers = machines_without(&context, &wanted, &deadline).await?;
    for stranger in &strangers {
        say(&format!("No given state has the lease that {stranger} stands on.\n"));
    }
    if !options.write {
        for pool in &wanted.pools {
            say(&format!("Pool {} ({}) would be there.\n", pool.name, pool.range));
        }
        for lease in &wanted.leases {
            say(&format!("{} would be there.\n", capital(&lease.to_string())));
        }
        let vmid = context.ledger_vmid;
        say(&format!(
            "\nNothing was changed. To write this into the ledger (VMID {vmid}), add --write.\n"
        ));
        return Ok(());
    }
    if !strangers.is_empty() && !options.incomplete {
        return Err(Diag::error("Unable to rebuild the ledger from these states alone")
            .detail(
                "Machines exist whose lease is in none of them (above). Give their owners' states as well, or --incomplete if \
                 those are lost.",
            )
            .into());
    }
    write(&context, &wanted, &deadline).await
}

fn read(options: &Options) -> Result<Wanted> {
    let mut wanted = Wanted::default();
    for State { owner, file } in &options.states {
        let refused = |reason: &str| {
            Diag::error(format!("Unable to read the state {}", file.display()))
                .detail(diagnose::sentence(reason))
        };
        let text = std::fs::read_to_string(file).map_err(|error| refused(&error.to_string()))?;
        wanted.add(owner, &text).map_err(|error| refused(&error.to_string()))?;
    }
    let faults = wanted.faults();
    if faults.is_empty() {
        return Ok(wanted);
    }
    Err(Diag::error("Unable to rebuild the ledger from these states")
        .detail(diagnose::sentence(&faults.join("; ")))
        .into())
}

/// The stamped machines whose lease is not wanted, in words.
async fn machines_without(
    context: &Context,
    wanted: &Wanted,
    deadline: &Deadline,
) -> Result<Vec<String>> {
    let client = &context.proxmox;
    let failed = |error| diagnose::proxmox("Unable to look for machines", &error);
    let rows = retry(deadline, || client.vms()).await.map_err(failed)?;
    let stamped = rows.iter().filter(|row| {
        row.vmid != context.ledger_vmid
            && (row.tags.contains(TAG)
                || wanted.pools.iter().any(|pool| pool.address(row.vmid).is_some()))
    });
    let vmids: Vec<u32> = stamped.map(|row| row.vmid).collect();
    let looks = stream::iter(vmids).map(async |vmid| {
        Ok(match machine::look(client, vmid, deadline).await? {
            Found::Machine(found) if !wanted.has(&found.stamp) => {
                let stamp = found.stamp;
                let (node, owner) = (stamp.node, stamp.owner);
                Some(format!(
                    "{node} (VM {vmid}, owner {owner}, lease {}/{})",
                    stamp.pool, stamp.lease
                ))
            }
            _ => None,
        })
    });
    let found: Vec<_> = looks.buffered(AT_ONCE).try_collect().await.map_err(failed)?;
    Ok(found.into_iter().flatten().collect())
}

/// Makes what is missing: the machine, the pools, the rows.
async fn write(context: &Context, wanted: &Wanted, deadline: &Deadline) -> Result<()> {
    home::ensure(context, deadline).await?;
    let ledger = Ledger::open(context, deadline).await?;
    for pool in &wanted.pools {
        match ledger.find_pool(&pool.name).await? {
            None => ledger.create_pool(pool).await?,
            Some(found) if found == *pool => {}
            Some(found) => {
                return Err(Diag::error(format!("Unable to rebuild pool {}", pool.name))
                    .detail(format!(
                        "The ledger has a pool of that name that is another one ({}, first VMID {}). Nothing that is there is \
                         changed: remove it if it is a mistake.",
                        found.range, found.first_vmid
                    ))
                    .into());
            }
        }
        say(&format!("Pool {} is there.\n", pool.name));
    }
    for lease in &wanted.leases {
        let pool = ledger.pool(&lease.pool).await?;
        ledger.repair(&pool, lease.claim.clone()).await?;
        say(&format!("{} is there.\n", capital(&lease.to_string())));
    }
    Ok(())
}

/// A sentence begins with it.
fn capital(text: &str) -> String {
    let (first, rest) = text.split_at(text.len().min(1));
    first.to_uppercase() + rest
}
