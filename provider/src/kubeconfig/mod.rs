//! `ephemeral "kubesmith_kubeconfig"`: a credential for one run, which no state ever holds.

mod issue;
mod model;

use std::net::Ipv4Addr;
use std::time::Duration;

use kubesmith_tfplugin::{Cx, Diag, EphemeralResource, Result, Secret};
use tokio::time::Instant;

use self::issue::{Request, issue};
use self::model::Credential;
use crate::diagnose::sentence;
use crate::provider::Context;
use crate::ssh::{KeyPair, KnownHosts};

/// How long it may take if Terraform sets no limit.
const PATIENCE: Duration = Duration::from_mins(2);

/// The ephemeral resource.
pub(crate) struct Kubeconfigs;

impl EphemeralResource for Kubeconfigs {
    type Model = Credential;
    type Client = Context;

    async fn open(&self, cx: &Cx<Context>, mut config: Credential) -> Result<Credential> {
        let host = config.host()?;
        let hosts = KnownHosts::parse(&config.known_hosts);
        if !hosts.contains(host) {
            let detail = format!(
                "There is no host key of {host} in it, and no machine is entered unseen. Give known_hosts of the \
                 cluster that has this machine."
            );
            return Err(Diag::error("The control plane's host key is not known")
                .detail(detail)
                .at("known_hosts")
                .into());
        }
        let key = KeyPair::parse(config.ssh_private_key.expose()).map_err(|error| {
            Diag::error("The private key cannot be used")
                .detail(sentence(&error.to_string()))
                .at("ssh_private_key")
        })?;

        let request = Request {
            host,
            user: &config.ssh_user,
            private_key: &key.private_text(),
            known_hosts: &hosts.to_string(),
            client_name: &config.client_name,
            groups: &config.groups,
            validity: config.validity,
        };
        let left = cx.deadline().map(|at| at.saturating_duration_since(Instant::now()));
        let issued = issue(&request, left.unwrap_or(PATIENCE), cx.token()).await;
        let issued = issued.map_err(|error| {
            Diag::error(format!("Unable to get a credential from {host}")).detail(format!(
                "{} The control plane must be up and reachable over SSH from here, and {} must be its account.",
                sentence(&error.to_string()),
                config.ssh_user
            ))
        })?;

        let endpoint = config.endpoint.as_str().trim_end_matches('/');
        let kubeconfig = issued.kubeconfig(endpoint, &config.client_name);
        config.kubeconfig = Secret::new(kubeconfig.to_string()).into();
        config.client_key = Secret::new(issued.key.to_string()).into();
        config.client_certificate = issued.certificate.into();
        config.cluster_ca_certificate = issued.authority.into();
        Ok(config)
    }
}

impl Credential {
    /// The machine to ask.
    fn host(&self) -> Result<Ipv4Addr> {
        if let Some(host) = self.control_plane {
            return Ok(host);
        }
        let host = self.endpoint.host_str().unwrap_or_default();
        host.parse().map_err(|_| {
            Diag::error("Which machine is the control plane?")
                .detail(format!(
                    "The endpoint has a name, {host:?}, and no address. Set control_plane to the address of a \
                     control plane machine."
                ))
                .at("control_plane")
                .into()
        })
    }
}
