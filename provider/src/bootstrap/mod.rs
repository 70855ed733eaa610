//! `terraform-provider-kubesmith bootstrap`: what an administrator makes once, so that tenants need no more than a token.
//!
//! Looks at the access control, plans what is missing (`plan`, PURE, from what `wanted` says), shows it, and does it if
//! asked to. Running it again finishes or repairs; `--remove` is the way back.

mod carry_out;
mod observe;
mod plan;
mod settings;
mod tenant;
mod wanted;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use kubesmith_proxmox::{Client, Deadline};
use kubesmith_spec::StorageName;
use kubesmith_tfplugin::{CancellationToken, Diag, Diags, Result};

use self::tenant::{Site, Tenant};
use crate::diagnose;
use crate::provider::ProviderConfig;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// Make the roles, users, tokens, pools and the address ledger that tenants need, and nothing they do not need. Without
/// --apply it only shows what it would do.
///
/// The administrator is given by `KUBESMITH_API_TOKEN`, or by --user and `KUBESMITH_ADMIN_PASSWORD`; where Proxmox VE is, by
/// `KUBESMITH_ENDPOINT` and `KUBESMITH_CA_FILE` or `KUBESMITH_FINGERPRINT`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A tenant and its network, NAME=BRIDGE or NAME=BRIDGE/VLAN: net1=vmbr0/119. Its Proxmox pool has its name.
    #[arg(long = "tenant", value_name = "NAME=BRIDGE[/VLAN]", required = true)]
    tenants: Vec<Tenant>,
    /// VMID of a template that tenants may clone.
    #[arg(long = "template", value_name = "VMID", required_unless_present = "remove")]
    templates: Vec<u32>,
    /// Storage that tenants' disks may lie on.
    #[arg(long = "storage", value_name = "NAME", required_unless_present = "remove")]
    storages: Vec<StorageName>,
    /// VMID of the machine that holds the address ledger.
    #[arg(long, value_name = "VMID", env = "KUBESMITH_LEDGER_VMID", default_value_t = crate::provider::DEFAULT_LEDGER_VMID)]
    ledger_vmid: u32,
    /// Log in as this user, for instance root@pam, with the password in `KUBESMITH_ADMIN_PASSWORD`.
    #[arg(long, value_name = "USER@REALM")]
    user: Option<String>,
    /// Do what is shown.
    #[arg(long)]
    apply: bool,
    /// Take away again what was made for these tenants. What still has machines in it stays.
    #[arg(long)]
    remove: bool,
    /// Folder for the tenants' settings, one file each that only its owner can read.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
}

/// Does it, and says on standard error what went wrong.
pub(crate) fn run(options: &Options) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return diagnose::complain(&Diag::from_error(&error).into()),
    };
    match runtime.block_on(answer(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(diags) => diagnose::complain(&diags),
    }
}

async fn answer(options: &Options) -> Result<()> {
    let site = Site {
        templates: options.templates.clone(),
        storages: options.storages.clone(),
        ledger_vmid: options.ledger_vmid,
    };
    let client = administrator(options).await?;
    let deadline = Deadline::after(PATIENCE, &CancellationToken::new());
    let seen = observe::observe(&client, &site, &options.tenants, &deadline).await?;
    let actions = if options.remove {
        plan::remove(&options.tenants, &seen)
    } else {
        plan::make(&site, &options.tenants, &seen)
    };
    if actions.is_empty() {
        say("Nothing to do: all of it is as it should be.\n");
        return Ok(());
    }
    if !options.apply {
        say("This would be done:\n\n");
        actions.iter().for_each(|action| say(&format!("  {action}\n")));
        say("\nDo it with --apply.\n");
        return Ok(());
    }
    carry_out::carry_out(&client, &site, options, &actions, &deadline).await
}

/// A client that acts for the administrator.
async fn administrator(options: &Options) -> Result<Client> {
    let failed = |error| Diags::from(diagnose::proxmox("Unable to reach Proxmox VE", &error));
    let config = ProviderConfig::default();
    let Some(user) = &options.user else {
        return Client::new(config.options("none")?).map_err(failed);
    };
    let password = crate::provider::environment("KUBESMITH_ADMIN_PASSWORD").ok_or_else(|| {
        Diag::error("Unable to log in")
            .detail(format!("Set KUBESMITH_ADMIN_PASSWORD to the password of {user}."))
    })?;
    Client::log_in(config.place("none")?, user, &password).await.map_err(failed)
}

/// Prints. Whoever closes our standard output does not stop what was begun.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
