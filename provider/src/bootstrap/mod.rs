//! `terraform-provider-kubesmith bootstrap`: what an administrator makes once, so that tenants need no more than a token.
//!
//! Looks at the access control, plans what is missing (`plan`, from what `wanted` says), shows it, and does it if
//! asked to. Running it again finishes or repairs; `--remove` is the way back.

mod carry_out;
mod observe;
mod plan;
mod settings;
mod tenant;
mod wanted;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use kubesmith_proxmox::{Client, Deadline};
use kubesmith_spec::StorageName;
use kubesmith_tfplugin::{CancellationToken, Diag, Diags, Result};
use zeroize::Zeroizing;

use self::tenant::{Site, Tenant};
use crate::diagnose;
use crate::orphans::say;
use crate::provider::{ProviderConfig, environment};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// Make the roles, users, tokens, pools and the address ledger that tenants need, and nothing they do not need. Without
/// --apply it only shows what it would do.
///
/// The administrator is given by `KUBESMITH_API_TOKEN`, or by --user and a password; where Proxmox VE is, by
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
    /// Log in as this user, for instance root@pam. Without --password-file the password is the one in
    /// `KUBESMITH_ADMIN_PASSWORD`, or else it is asked for.
    #[arg(long, value_name = "USER@REALM")]
    user: Option<String>,
    /// File whose first line is the password.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
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
        for action in &actions {
            say(&format!("  {action}\n"));
        }
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
    let password = password(options, user)?;
    Client::log_in(config.place("none")?, user, &password).await.map_err(failed)
}

/// The administrator's password: from the file, from the environment, or from the person at the terminal.
fn password(options: &Options, user: &str) -> Result<Zeroizing<String>> {
    if let Some(path) = &options.password_file {
        let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
            Diag::error("Unable to read the password")
                .detail(format!("{}: {error}.", path.display()))
        })?;
        return Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()));
    }
    if let Some(password) = environment("KUBESMITH_ADMIN_PASSWORD") {
        return Ok(Zeroizing::new(password));
    }
    let asked = rpassword::prompt_password(format!("Password of {user}: ")).map(Zeroizing::new);
    asked.map_err(|error| {
        let detail = format!(
            "There is no terminal to ask for the password of {user} ({error}). Name a file that holds it with \
             --password-file, or set KUBESMITH_ADMIN_PASSWORD."
        );
        Diag::error("Unable to ask for the password").detail(detail).into()
    })
}
