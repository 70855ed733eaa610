//! The calls of Terraform that a run makes, with exactly the environment that they need.
//!
//! Secrets reach Terraform and the provider through the environment only; no argument and no file has any.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use kubesmith_process::Tool;
use url::Url;
use zeroize::Zeroizing;

use super::mirror::{self, Provider, Stamp};
use crate::cluster::folder::Folder;
use crate::cluster::hcl::Backend;
use crate::config::Config;
use crate::ids::{ClusterId, RunId};

/// By this variable the processes of a run are found again after the portal was killed.
pub const MARK: &str = "KUBESMITH_RUN";

/// Terraform's own configuration file, in the portal's folder.
const CLI_CONFIG: &str = "terraform.rc";

/// All of our own environment that is handed on.
const HANDED_ON: [&str; 8] =
    ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Terraform as the operator configured it.
#[derive(Debug, Clone)]
pub struct Terraform {
    program: PathBuf,
    cli_config: PathBuf,
    mirror: PathBuf,
    /// The provider as it was last read.
    known: Arc<Mutex<Option<(Stamp, Provider)>>>,
    proxmox: crate::config::Proxmox,
    ansible_playbook: Option<PathBuf>,
    public: Url,
    own: Url,
}

/// On whose behalf Terraform runs.
#[derive(Debug, Clone)]
pub struct Session {
    /// The cluster, which is also the owner of its leases and machines.
    pub cluster: ClusterId,
    /// The run.
    pub run: RunId,
    /// What Terraform shows to the state's address.
    pub token: Zeroizing<String>,
    /// Where it runs.
    pub folder: PathBuf,
}

impl Terraform {
    /// As it is configured; nothing is looked at yet.
    pub fn of(config: &Config) -> anyhow::Result<Self> {
        // Not through the name that people use: that may lead through a proxy, which may be down.
        let own = Url::parse(&format!("http://{}", reachable(config.listen)))?;
        Ok(Self {
            program: config.terraform.program.clone(),
            cli_config: std::path::absolute(config.data.join(CLI_CONFIG))?,
            mirror: std::path::absolute(&config.terraform.provider_mirror)?,
            known: Arc::default(),
            proxmox: config.proxmox.clone(),
            ansible_playbook: config.terraform.ansible_playbook.clone(),
            public: config.public_url.clone(),
            own,
        })
    }

    /// Writes Terraform's own configuration file and reads the provider. Takes a moment.
    pub fn prepare(&self, config: &Config) -> anyhow::Result<()> {
        self.provider()?;
        let data = Folder::make(&config.data)
            .with_context(|| format!("could not open {}", config.data.display()))?;
        data.write(CLI_CONFIG, mirror::cli_config(&self.mirror).as_bytes())?;
        Ok(())
    }

    /// The newest provider in the mirror. Its hash takes a moment, so it is read once, and again only when it was replaced.
    pub fn provider(&self) -> anyhow::Result<Provider> {
        let stamp = mirror::stamp(&self.mirror)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, provider)) = &*known
            && *seen == stamp
        {
            return Ok(provider.clone());
        }
        let provider = Provider::find(&self.mirror)?;
        *known = Some((stamp, provider.clone()));
        Ok(provider)
    }

    /// Where everybody finds the state of a cluster.
    pub fn backend(&self, cluster: &ClusterId) -> Backend {
        Backend { address: state_address(&self.public, cluster) }
    }

    /// `terraform init`: the provider from the mirror, the state from this portal.
    pub fn init(&self, session: &Session) -> anyhow::Result<Tool> {
        let address = state_address(&self.own, &session.cluster);
        let tool =
            self.tool(session)?.args(["init", "-input=false", "-no-color", "-lockfile=readonly"]);
        let parts = [
            format!("-backend-config=address={address}"),
            format!("-backend-config=lock_address={address}/lock"),
            format!("-backend-config=unlock_address={address}/lock"),
        ];
        Ok(tool.arg("-reconfigure").args(parts))
    }

    /// `terraform plan` into a file.
    pub fn plan(&self, session: &Session, plan: &Path, destroy: bool) -> anyhow::Result<Tool> {
        let tool = self.tool(session)?.args(["plan", "-json", "-input=false", "-lock-timeout=30s"]);
        let tool = if destroy { tool.arg("-destroy") } else { tool };
        Ok(tool.arg(option("-out=", plan)))
    }

    /// `terraform show -json` of a saved plan.
    pub fn show(&self, session: &Session, plan: &Path) -> anyhow::Result<Tool> {
        Ok(self.tool(session)?.args(["show", "-json"]).arg(plan))
    }

    /// `terraform apply` of a saved plan, and of nothing else.
    pub fn apply(&self, session: &Session, plan: &Path) -> anyhow::Result<Tool> {
        let tool =
            self.tool(session)?.args(["apply", "-json", "-input=false", "-lock-timeout=30s"]);
        Ok(tool.arg(plan))
    }

    /// `terraform untaint`: what was half made is finished instead of made again.
    pub fn untaint(&self, session: &Session) -> anyhow::Result<Tool> {
        let address = "module.cluster.kubesmith_cluster.this";
        let tool = self.tool(session)?.args(["untaint", "-no-color", "-allow-missing"]);
        Ok(tool.args(["-lock-timeout=30s", address]))
    }

    /// The provider's own look at what is left of an owner; with `remove` it removes that, as far as no state knows it.
    pub fn orphans(
        &self,
        session: &Session,
        state: Option<&Path>,
        remove: bool,
    ) -> anyhow::Result<Tool> {
        let tool = self.environment(Tool::new(self.provider()?.program), session)?.arg("orphans");
        let tool = if remove { tool.arg("--remove") } else { tool };
        Ok(match state {
            Some(state) => tool.arg("--state").arg(state),
            None if remove => tool.arg("--all"),
            None => tool,
        })
    }

    /// What the provider shows to Proxmox; read anew each time, so that it can be replaced.
    pub fn api_token(&self) -> anyhow::Result<Zeroizing<String>> {
        let file = &self.proxmox.api_token_file;
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("could not read {}", file.display()))?;
        let text = Zeroizing::new(text);
        Ok(Zeroizing::new(text.trim().to_owned()))
    }

    fn tool(&self, session: &Session) -> anyhow::Result<Tool> {
        self.environment(Tool::new(&self.program), session)
    }

    fn environment(&self, tool: Tool, session: &Session) -> anyhow::Result<Tool> {
        let proxmox = &self.proxmox;
        let token = self.api_token()?;
        let run = session.folder.join("runs").join(session.run.as_str());
        let mut tool = tool
            .current_dir(&session.folder)
            .only_env(&HANDED_ON)
            .env("TF_CLI_CONFIG_FILE", &self.cli_config)
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_HTTP_USERNAME", "run")
            .secret_env("TF_HTTP_PASSWORD", &session.token)
            // After 1, 2, 4 and 8 seconds: a portal that was killed answers again meanwhile.
            .env("TF_HTTP_RETRY_MAX", "4")
            .env("KUBESMITH_ENDPOINT", proxmox.endpoint.as_str().trim_end_matches('/'))
            .secret_env("KUBESMITH_API_TOKEN", &token)
            .env("KUBESMITH_OWNER", session.cluster.as_str().to_ascii_lowercase())
            .env("KUBESMITH_EVENTS", run.join("events.jsonl"))
            .env(MARK, session.run.as_str());
        if let Some(file) = &proxmox.ca_file {
            tool = tool.env("KUBESMITH_CA_FILE", std::path::absolute(file)?);
        }
        if let Some(vmid) = proxmox.ledger_vmid {
            tool = tool.env("KUBESMITH_LEDGER_VMID", vmid.to_string());
        }
        if let Some(playbook) = &self.ansible_playbook {
            tool = tool.env("KUBESMITH_ANSIBLE_PLAYBOOK", playbook);
        }
        Ok(tool)
    }
}

fn state_address(base: &Url, cluster: &ClusterId) -> String {
    format!("{}/api/v1/clusters/{cluster}/state", base.as_str().trim_end_matches('/'))
}

/// An address that listens everywhere is reached on the loopback.
fn reachable(listen: std::net::SocketAddr) -> std::net::SocketAddr {
    let mut address = listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push(path);
    option
}
