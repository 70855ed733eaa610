//! The provider block, what is made of it, and the lists of what there is.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kubesmith_proxmox::{ApiToken, Client, Credentials, Deadline, Options, Trust};
use kubesmith_spec::OwnerName;
use kubesmith_tfplugin::{
    Cx, DataSources, Diag, EphemeralResources, Model, Provider, Resources, Result, Secret, Text,
};
use tokio::time::Instant;
use url::Url;

use crate::cluster::Clusters;
use crate::cluster::lookup::ClusterLookup;
use crate::ip_lease::IpLeases;
use crate::ip_pool::IpPools;
use crate::ip_pool::lookup::{PoolList, PoolLookup};
use crate::kubeconfig::Kubeconfigs;
use crate::looks::Looks;
use crate::templates::TemplateLookup;
use crate::{ansible, diagnose};

/// How long an operation may take that Terraform sets no limit to: refresh, plan, import.
const LOOKING: Duration = Duration::from_mins(2);
/// Where the endpoint may come from.
const ENDPOINT: &str = "KUBESMITH_ENDPOINT";
/// The VMID of the ledger if none is configured.
pub(crate) const DEFAULT_LEDGER_VMID: u32 = 9990;

/// The provider.
pub(crate) struct Kubesmith;

/// Self-service Kubernetes clusters on Proxmox VE.
#[derive(Default, Model)]
pub(crate) struct ProviderConfig {
    /// Address of the Proxmox VE API, for instance `https://pve.example.org:8006`. May come from
    /// `KUBESMITH_ENDPOINT`, where commas separate the addresses of several nodes.
    #[tf(optional)]
    endpoint: Option<Text<Url>>,
    /// Addresses of further nodes of the same cluster, which are asked when that one cannot be reached.
    #[tf(optional)]
    endpoints: Option<Vec<Text<Url>>>,
    /// API token, `user@realm!name=secret`. Better given by `KUBESMITH_API_TOKEN` than written down.
    #[tf(optional)]
    api_token: Option<Secret<String>>,
    /// File with the certificate authority that signed the API's certificate (PEM). May come from
    /// `KUBESMITH_CA_FILE`.
    #[tf(optional)]
    ca_file: Option<String>,
    /// The certificate authority itself (PEM), instead of a file.
    #[tf(optional)]
    ca_pem: Option<String>,
    /// SHA-256 fingerprint of the API's certificate, which then needs no authority. May come from
    /// `KUBESMITH_FINGERPRINT`.
    #[tf(optional)]
    fingerprint: Option<String>,
    /// Names this one Terraform state: leases and machines belong to it. 1 to 40 lower-case letters,
    /// digits and hyphens; needed for leases and clusters. May come from `KUBESMITH_OWNER`.
    #[tf(optional)]
    owner: Option<Text<OwnerName>>,
    /// VMID of the machine that holds the address ledger, 9990 if not given. May come from
    /// `KUBESMITH_LEDGER_VMID`.
    #[tf(optional)]
    ledger_vmid: Option<u32>,
    /// The `ansible-playbook` program, searched on the `PATH` if not given. May come from
    /// `KUBESMITH_ANSIBLE_PLAYBOOK`.
    #[tf(optional)]
    ansible_playbook: Option<String>,
}

impl Provider for Kubesmith {
    type Config = ProviderConfig;
    type Client = Context;

    async fn configure(&self, terraform_version: &str, config: ProviderConfig) -> Result<Context> {
        let proxmox = Client::new(config.options(terraform_version)?).map_err(unreachable)?;
        // One request now gives one clear error, instead of the same one from each resource.
        proxmox.version().await.map_err(unreachable)?;
        // Nobody has to wait for it.
        drop(tokio::task::spawn_blocking(ansible::sweep));

        let owner = config.owner.map(|owner| owner.0);
        let ledger_vmid = setting("ledger_vmid", config.ledger_vmid, "KUBESMITH_LEDGER_VMID")?;
        let ledger_vmid = ledger_vmid.unwrap_or(DEFAULT_LEDGER_VMID);
        let playbook = config.ansible_playbook;
        let looks = Arc::new(Looks::new(proxmox.clone()));
        drop(tokio::spawn(Arc::clone(&looks).ahead(ledger_vmid)));
        Ok(Context {
            looks,
            proxmox,
            ledger_vmid,
            ansible_playbook: program(
                setting("ansible_playbook", playbook, "KUBESMITH_ANSIBLE_PLAYBOOK")?
                    .unwrap_or_else(|| "ansible-playbook".to_owned()),
            ),
            owner: setting("owner", owner, "KUBESMITH_OWNER")?,
            leases: Mutex::default(),
        })
    }

    fn resources(&self) -> Resources<Context> {
        Resources::new().with(IpPools).with(IpLeases).with(Clusters)
    }

    fn data_sources(&self) -> DataSources<Context> {
        DataSources::new().with(PoolLookup).with(PoolList).with(TemplateLookup).with(ClusterLookup)
    }

    fn ephemeral_resources(&self) -> EphemeralResources<Context> {
        EphemeralResources::new().with(Kubeconfigs)
    }
}

impl ProviderConfig {
    /// How to reach Proxmox, and as whom.
    pub(crate) fn options(&self, terraform_version: &str) -> Result<Options> {
        let token = self.api_token.as_ref().map(|token| token.expose().parse::<ApiToken>());
        let token = match token {
            Some(Err(error)) => return Err(faulty("api_token", &error.to_string()).into()),
            Some(Ok(token)) => Some(token),
            None => setting("api_token", None, "KUBESMITH_API_TOKEN")?,
        };
        let mut options = self.place(terraform_version)?;
        let token = token.ok_or_else(|| {
            needed("api_token", "KUBESMITH_API_TOKEN", "an API token, user@realm!name=secret")
        })?;
        options.credentials = token.into();
        Ok(options)
    }

    /// How to reach Proxmox, as nobody yet.
    pub(crate) fn place(&self, terraform_version: &str) -> Result<Options> {
        let mut options = Options::new(self.addresses()?, Credentials::Nobody);
        options.trust = self.trust()?;
        let version = env!("CARGO_PKG_VERSION");
        options.user_agent =
            format!("terraform-provider-kubesmith/{version} terraform/{terraform_version}");
        Ok(options)
    }

    /// Where Proxmox is. What stands in the block goes before the environment.
    fn addresses(&self) -> Result<Vec<Url>> {
        let more = self.endpoints.iter().flatten();
        let mut given: Vec<_> = self.endpoint.iter().chain(more).map(|url| url.0.clone()).collect();
        if given.is_empty()
            && let Some(text) = environment(ENDPOINT)
        {
            for address in text.split(',').map(str::trim).filter(|address| !address.is_empty()) {
                let url = address.parse::<Url>().map_err(|error| {
                    faulty("endpoint", &format!("{ENDPOINT} is set to {text:?}: {error}"))
                })?;
                given.push(url);
            }
        }
        if given.is_empty() {
            let what = "the address of the Proxmox VE API";
            return Err(needed("endpoint", ENDPOINT, what).into());
        }
        match given.iter().find(|url| url.scheme() != "https" || url.host_str().is_none()) {
            Some(url) => {
                Err(faulty("endpoint", &format!("{url} is not an https:// address")).into())
            }
            None => Ok(given),
        }
    }

    /// Whose certificate is accepted. What stands in the block goes before the environment.
    fn trust(&self) -> Result<Trust> {
        let from_block =
            self.fingerprint.is_some() || self.ca_pem.is_some() || self.ca_file.is_some();
        let environment = |name: &str| if from_block { None } else { environment(name) };
        if let Some(text) =
            self.fingerprint.clone().or_else(|| environment("KUBESMITH_FINGERPRINT"))
        {
            let fingerprint =
                text.parse().map_err(|error: kubesmith_proxmox::InvalidFingerprint| {
                    faulty("fingerprint", &error.to_string())
                })?;
            return Ok(Trust::Fingerprints(vec![fingerprint]));
        }
        if let Some(pem) = &self.ca_pem {
            return Ok(Trust::Ca(pem.clone().into_bytes()));
        }
        let Some(file) = self.ca_file.clone().or_else(|| environment("KUBESMITH_CA_FILE")) else {
            return Ok(Trust::SystemRoots);
        };
        let pem =
            std::fs::read(&file).map_err(|error| faulty("ca_file", &format!("{file}: {error}")))?;
        Ok(Trust::Ca(pem))
    }
}

/// The time an operation has, and the user's wish to stop.
pub(crate) fn deadline(cx: &Cx<Context>) -> Deadline {
    let left = cx.deadline().map(|at| at.saturating_duration_since(Instant::now()));
    Deadline::after(left.unwrap_or(LOOKING), cx.token())
}

/// A value from the block, or else from the environment.
fn setting<T: FromStr<Err: std::fmt::Display>>(
    attribute: &str,
    given: Option<T>,
    variable: &str,
) -> Result<Option<T>> {
    match (given, environment(variable)) {
        (None, Some(text)) => match text.parse() {
            Ok(value) => Ok(Some(value)),
            // A token's text is not shown: it may be a secret with a slip of the pen.
            Err(error) if attribute == "api_token" => {
                Err(faulty(attribute, &format!("{variable}: {error}")).into())
            }
            Err(error) => {
                Err(faulty(attribute, &format!("{variable} is set to {text:?}: {error}")).into())
            }
        },
        (given, _) => Ok(given),
    }
}

/// A program to start: a bare name stays one, a path no longer depends on where we are, because playbooks run elsewhere.
fn program(given: String) -> PathBuf {
    let path = PathBuf::from(given);
    if path.components().count() > 1 { std::path::absolute(&path).unwrap_or(path) } else { path }
}

/// The one place of this program that reads its settings from the environment.
pub(crate) fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

fn needed(attribute: &str, variable: &str, what: &str) -> Diag {
    Diag::error("Unable to configure the provider")
        .detail(format!("Set \"{attribute}\" in the provider block, or {variable}, to {what}."))
        .at(attribute)
}

fn faulty(attribute: &str, reason: &str) -> Diag {
    Diag::error("Unable to configure the provider").detail(diagnose::sentence(reason)).at(attribute)
}

#[expect(clippy::needless_pass_by_value, reason = "map_err gives it away")]
fn unreachable(error: kubesmith_proxmox::Error) -> Diag {
    diagnose::proxmox("Unable to reach Proxmox VE", &error)
}

/// What every resource works with.
pub(crate) struct Context {
    /// The client of the Proxmox VE API.
    pub(crate) proxmox: Client,
    /// What was seen through it a moment ago.
    pub(crate) looks: Arc<Looks>,
    /// The VMID of the machine that holds the ledger.
    pub(crate) ledger_vmid: u32,
    /// The program that runs playbooks.
    pub(crate) ansible_playbook: PathBuf,
    owner: Option<OwnerName>,
    /// The leases that resources of this run manage.
    leases: Mutex<BTreeSet<String>>,
}

impl Context {
    /// For an administrator, who manages no lease and runs no playbook.
    pub(crate) fn of_administrator(proxmox: Client, ledger_vmid: u32) -> Self {
        Self {
            looks: Arc::new(Looks::new(proxmox.clone())),
            proxmox,
            ledger_vmid,
            ansible_playbook: PathBuf::new(),
            owner: None,
            leases: Mutex::default(),
        }
    }

    /// The Terraform state on whose behalf this runs.
    pub(crate) fn owner(&self) -> Result<&OwnerName> {
        self.owner.as_ref().ok_or_else(|| {
            Diag::error("Unable to act without an owner")
                .detail(
                    "Leases and clusters belong to an owner, which names one Terraform state. Set \
                     \"owner\" in the provider block, or KUBESMITH_OWNER, to a name that no other state \
                     uses, for instance \"course-42\".",
                )
                .into()
        })
    }

    /// Notes that a resource manages this lease; false if another one already does.
    pub(crate) fn hold(&self, lease: &str) -> bool {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).insert(lease.to_owned())
    }

    /// Whether a resource of this run is known to manage this lease.
    pub(crate) fn holds(&self, lease: &str) -> bool {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).contains(lease)
    }

    /// The lease is gone.
    pub(crate) fn let_go(&self, lease: &str) {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).remove(lease);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_from_any_folder() {
        assert_eq!(program("ansible-playbook".to_owned()), PathBuf::from("ansible-playbook"));
        assert_eq!(
            program("/opt/a/ansible-playbook".to_owned()),
            PathBuf::from("/opt/a/ansible-playbook")
        );
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            program("venv/bin/ansible-playbook".to_owned()),
            here.join("venv/bin/ansible-playbook")
        );
        assert_eq!(program("./play".to_owned()), here.join("play"));
    }
}
