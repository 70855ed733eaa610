//! Asks a cluster's API how it is: does it answer, which nodes are registered, is each one ready.
//!
//! It enters with the administrator's client certificate out of the kubeconfig that kubeadm wrote. Of
//! that file only four lines are needed, so it is read without a YAML parser.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kubesmith_spec::NodeName;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use x509_parser::time::ASN1Time;
use zeroize::Zeroizing;

/// How long one request may take: the API is near, or it is not there.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A way into one cluster's API.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    server: String,
    http: reqwest::Client,
}

/// A kubeconfig that cannot be used. Never shows its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadKubeconfig {
    /// A line is missing.
    #[error("the kubeconfig has no {0}")]
    Missing(&'static str),
    /// A value is not what it should be.
    #[error("the kubeconfig's {0} cannot be used")]
    Invalid(&'static str),
}

/// The API did not answer as hoped; the text says what was seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unanswered(pub String);

impl Api {
    /// Reads a kubeconfig as kubeadm writes it.
    pub(crate) fn from_kubeconfig(text: &str) -> Result<Self, BadKubeconfig> {
        let server =
            field(text, "server").ok_or(BadKubeconfig::Missing("server"))?.trim_end_matches('/');
        let authority = pem(text, "certificate-authority-data")?;
        let certificate = pem(text, "client-certificate-data")?;
        let key = pem(text, "client-key-data")?;

        let mut roots = rustls::RootCertStore::empty();
        for root in certificates(&authority, "certificate-authority-data")? {
            roots.add(root).map_err(|_| BadKubeconfig::Invalid("certificate-authority-data"))?;
        }
        let chain = certificates(&certificate, "client-certificate-data")?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| BadKubeconfig::Invalid("client-key-data"))?;
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|_| BadKubeconfig::Invalid("client-key-data"))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            // The API has an address of the cluster's own network; a proxy for the outside does not reach it.
            .no_proxy()
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|_| BadKubeconfig::Invalid("certificates"))?;
        Ok(Self { server: server.to_owned(), http })
    }

    /// The registered nodes, and whether each is ready. Fails unless the API itself says it is ready.
    pub(crate) async fn nodes(&self) -> Result<BTreeMap<NodeName, bool>, Unanswered> {
        self.get("/readyz").await?;
        let body = self.get("/api/v1/nodes").await?;
        let list: NodeList = serde_json::from_slice(&body).map_err(|error| {
            Unanswered(format!("the list of nodes at {} is not understood: {error}", self.server))
        })?;
        let nodes = list.items.into_iter().filter_map(|node| {
            let ready =
                node.status.conditions.iter().any(|c| c.kind == "Ready" && c.status == "True");
            Some((NodeName::parse(&node.metadata.name).ok()?, ready))
        });
        Ok(nodes.collect())
    }

    async fn get(&self, path: &str) -> Result<Vec<u8>, Unanswered> {
        let url = format!("{}{path}", self.server);
        let failed = |error: reqwest::Error| Unanswered(format!("{url}: {}", innermost(&error)));
        let response = self.http.get(&url).send().await.map_err(failed)?;
        let status = response.status();
        if !status.is_success() {
            return Err(Unanswered(format!("{url}: HTTP status {status}")));
        }
        Ok(response.bytes().await.map_err(failed)?.to_vec())
    }
}

/// Whether the client certificate of a kubeconfig is past its end: nobody gets in with it any more. One that cannot be
/// read is not taken for ended.
pub(crate) fn has_ended(kubeconfig: &str) -> bool {
    let name = "client-certificate-data";
    let chain = pem(kubeconfig, name).and_then(|text| certificates(&text, name));
    let first = chain.ok().and_then(|chain| chain.into_iter().next());
    first.is_some_and(|first| {
        let read = x509_parser::parse_x509_certificate(&first);
        read.is_ok_and(|(_, read)| read.validity().not_after < ASN1Time::now())
    })
}

#[derive(Deserialize)]
struct NodeList {
    items: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    metadata: Metadata,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Default, Deserialize)]
struct NodeStatus {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

/// The value of the first line `name: value`, whatever its depth and whether or not it begins a list item.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = text.lines().find_map(|line| {
        line.trim_start()
            .trim_start_matches("- ")
            .strip_prefix(name)?
            .strip_prefix(':')
            .map(str::trim)
    })?;
    Some(value.trim_matches(['"', '\'']))
}

fn pem(text: &str, name: &'static str) -> Result<Zeroizing<Vec<u8>>, BadKubeconfig> {
    let value = field(text, name).ok_or(BadKubeconfig::Missing(name))?;
    BASE64_STANDARD.decode(value).map(Zeroizing::new).map_err(|_| BadKubeconfig::Invalid(name))
}

fn certificates(
    pem: &[u8],
    name: &'static str,
) -> Result<Vec<CertificateDer<'static>>, BadKubeconfig> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or(BadKubeconfig::Invalid(name))
}

/// The last cause says what happened ("connection refused"); those before it only wrap it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: bm8=\n    \
        server: https://10.40.19.201:6443\n  name: demo\nusers:\n- name: admin\n  user:\n    client-certificate-data: bm8=\n";

    #[test]
    fn the_few_fields_are_found_and_what_is_wrong_is_named() {
        assert_eq!(field(KUBECONFIG, "server"), Some("https://10.40.19.201:6443"));
        assert_eq!(field("- server: \"x\"", "server"), Some("x"));
        let error = Api::from_kubeconfig(KUBECONFIG).unwrap_err();
        assert_eq!(error.to_string(), "the kubeconfig has no client-key-data");
        let all = format!("{KUBECONFIG}    client-key-data: bm8=\n");
        let error = Api::from_kubeconfig(&all).unwrap_err();
        assert_eq!(error.to_string(), "the kubeconfig's certificate-authority-data cannot be used");
    }

    #[test]
    fn only_a_certificate_past_its_end_has_ended() {
        let until = |year| {
            let mut wanted = rcgen::CertificateParams::default();
            wanted.not_before = rcgen::date_time_ymd(2020, 1, 1);
            wanted.not_after = rcgen::date_time_ymd(year, 1, 1);
            let key = rcgen::KeyPair::generate().unwrap();
            let pem = wanted.self_signed(&key).unwrap().pem();
            format!("    client-certificate-data: {}\n", BASE64_STANDARD.encode(pem))
        };
        assert!(has_ended(&until(2021)));
        assert!(!has_ended(&until(2100)));
        assert!(!has_ended(KUBECONFIG) && !has_ended("x"));
    }
}
