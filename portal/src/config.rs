//! The configuration file: TOML, every key known, every problem named.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use jiff::SignedDuration;
use kubesmith_spec::{PackageMirror, RegistryMirror, StorageName};
use serde::Deserialize;
use url::Url;

use crate::cluster::catalogue::{self, Template};

/// What `kubesmith-portal init` writes: every key with its meaning.
pub const COMMENTED: &str = include_str!("../kubesmith-portal.toml");

/// As the operator wrote it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where pages and API are served, in plain HTTP.
    pub listen: SocketAddr,
    /// What people type into the browser.
    pub public_url: Url,
    /// Where everything of the portal lies.
    pub data: PathBuf,
    /// Where metrics are served; nowhere if not given.
    pub metrics_listen: Option<SocketAddr>,
    /// Proxies whose `X-Forwarded-For` is believed.
    #[serde(default)]
    pub trusted_proxies: Vec<IpAddr>,
    /// How many requests are served at once.
    #[serde(default = "parallel_requests")]
    pub parallel_requests: usize,
    /// Sessions and keys.
    #[serde(default)]
    pub people: People,
    /// The Proxmox that the provider talks to.
    pub proxmox: Proxmox,
    /// The program and its limits.
    pub terraform: Terraform,
    /// What clusters can be made from; the first is the one that a form begins with.
    #[serde(rename = "template", default)]
    pub templates: Vec<Template>,
}

/// How long sessions and keys live.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct People {
    /// A session ends after so long without a request.
    pub session_idle: SignedDuration,
    /// A session ends after so long, whatever happens.
    pub session_absolute: SignedDuration,
    /// The lifetime of an API key, in days, if none is asked for.
    pub key_days: u32,
    /// The longest lifetime of an API key, in days.
    pub key_days_max: u32,
    /// How long a link that sets a password is good.
    pub invitation: SignedDuration,
}

impl Default for People {
    fn default() -> Self {
        Self {
            session_idle: SignedDuration::from_hours(8),
            session_absolute: SignedDuration::from_hours(24),
            key_days: 30,
            key_days_max: 180,
            invitation: SignedDuration::from_hours(72),
        }
    }
}

/// What the provider is told by its environment. The portal itself never talks to Proxmox.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxmox {
    /// `https://pve.example.edu:8006`.
    pub endpoint: Url,
    /// A file that holds `user@realm!name=secret`, readable by the portal alone.
    pub api_token_file: PathBuf,
    /// The certificate of the cluster's own authority.
    pub ca_file: Option<PathBuf>,
    /// VMID of the address ledger.
    pub ledger_vmid: Option<u32>,
    /// The storage of machines' disks; the template's own if not given.
    pub storage: Option<StorageName>,
    /// Where Kubernetes packages come from, if a template lacks them.
    pub package_mirror: Option<PackageMirror>,
    /// What machines ask first for every container image.
    pub registry_mirror: Option<RegistryMirror>,
}

/// Terraform and where the provider comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terraform {
    /// The program.
    #[serde(default = "terraform")]
    pub program: PathBuf,
    /// A filesystem mirror that holds the provider.
    pub provider_mirror: PathBuf,
    /// The `ansible-playbook` that the provider starts; found on the PATH if not given.
    pub ansible_playbook: Option<PathBuf>,
    /// How many runs at once.
    #[serde(default = "parallel_runs")]
    pub parallel_runs: usize,
}

fn parallel_requests() -> usize {
    500
}

fn terraform() -> PathBuf {
    "terraform".into()
}

fn parallel_runs() -> usize {
    4
}

impl Config {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("could not read {}", path.display()))?;
        Self::parse(&text)
            .with_context(|| format!("{} is not a valid configuration", path.display()))
    }

    /// Checks a text.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text)?;
        ensure!(
            matches!(config.public_url.scheme(), "https" | "http")
                && config.public_url.has_host()
                && config.public_url.path() == "/",
            "public_url: give https://name without a path; the portal wants a host of its own"
        );
        ensure!(
            config.is_https() || config.is_local(),
            "public_url: plain http is only for localhost; people's passwords need https, which a proxy in front can bring"
        );
        ensure!(
            (1..=100_000).contains(&config.parallel_requests),
            "parallel_requests: from 1 to 100000"
        );
        ensure!(config.terraform.parallel_runs > 0, "terraform.parallel_runs: at least 1");
        catalogue::problems(&config.templates)
            .map_or(Ok(()), |problem| Err(anyhow::anyhow!("template: {problem}")))?;
        ensure!(
            config.people.key_days > 0 && config.people.key_days <= config.people.key_days_max,
            "people.key_days: from 1 to key_days_max"
        );
        Ok(config)
    }

    /// Whether people reach the portal over https, so that cookies may be bound to it.
    pub fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    fn is_local(&self) -> bool {
        match self.public_url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// `scheme://host[:port]`, as a browser sends it.
    pub fn origin(&self) -> String {
        self.public_url.origin().ascii_serialization()
    }

    /// An address of a page for somebody who is not on a page yet.
    pub fn address_of(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.data.join("portal.sqlite")
    }

    /// The folder for connections to clusters: sockets, and keys for a moment.
    pub fn ssh_folder(&self) -> PathBuf {
        self.data.join("ssh")
    }

    /// The folder with a workspace per cluster.
    pub fn workspaces(&self) -> PathBuf {
        self.data.join("workspaces")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_init_writes_is_valid_and_says_what_happens_by_default() {
        let config = Config::parse(COMMENTED).expect("valid");
        assert!(config.is_https());
        assert_eq!(config.people.key_days_max, People::default().key_days_max);
        let places = format!("\n# parallel_requests = {}\n", config.parallel_requests);
        assert!(COMMENTED.contains(&places), "{places}");
    }

    #[test]
    fn unknown_keys_and_plain_http_are_refused_by_name() {
        let unknown = format!("colour = 1\n{COMMENTED}");
        assert!(Config::parse(&unknown).expect_err("unknown").to_string().contains("colour"));
        let http =
            COMMENTED.replace("https://kubesmith.example.edu", "http://kubesmith.example.edu");
        assert!(Config::parse(&http).expect_err("http").to_string().contains("public_url"));
        let local = COMMENTED.replace("https://kubesmith.example.edu", "http://127.0.0.1:8080");
        assert_eq!(Config::parse(&local).expect("local").origin(), "http://127.0.0.1:8080");
    }
}
