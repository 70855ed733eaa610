//! Somebody who asks the simulation over the wire, as a client would.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::ext::ReasonPhrase;
use reqwest::{Client, Method};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use crate::pve::{Options, Pve, Seed, Version};

/// Somebody who asks; knows the secrets of the tokens that were made.
pub(super) struct Asker {
    pub(super) pve: Pve,
    pub(super) client: Client,
    pub(super) secrets: BTreeMap<String, String>,
}

/// An answer.
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) body: Value,
}

impl Asker {
    pub(super) async fn new(version: Version, seed: Seed) -> Self {
        let pve = Pve::start(Options { version, seed, ..Options::default() }).await.unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pve.ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let client = Client::builder().tls_backend_preconfigured(config).build().unwrap();
        let secrets = BTreeMap::from([(
            "root@pam!tf".to_owned(),
            pve.token.rsplit('=').next().unwrap().to_owned(),
        )]);
        Self { pve, client, secrets }
    }

    pub(super) async fn ask(
        &self,
        who: &str,
        method: &str,
        path: &str,
        params: &[(&str, &str)],
    ) -> Seen {
        let authorization =
            self.secrets.get(who).map(|secret| format!("PVEAPIToken={who}={secret}"));
        self.send(authorization, method, path, params, method == "POST" || method == "PUT")
            .await
            .unwrap()
    }

    pub(super) async fn root(&self, method: &str, path: &str, params: &[(&str, &str)]) -> Seen {
        self.ask("root@pam!tf", method, path, params).await
    }

    pub(super) async fn send(
        &self,
        authorization: Option<String>,
        method: &str,
        path: &str,
        params: &[(&str, &str)],
        in_body: bool,
    ) -> reqwest::Result<Seen> {
        let url = format!("{}/api2/json{path}", self.pve.url);
        let request = self.client.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        let request = if in_body { request.form(params) } else { request.query(params) };
        let request = match authorization {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        };
        let response = request.send().await?;
        let status = response.status();
        let reason = response.extensions().get::<ReasonPhrase>();
        let reason = reason.map_or_else(
            || status.canonical_reason().unwrap_or_default().to_owned(),
            |reason| String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        );
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Seen { status: status.as_u16(), reason, body })
    }

    /// The end of the task that an answer began.
    pub(super) async fn finish(&self, body: &Value) -> Option<String> {
        let upid = body["data"].as_str().filter(|data| data.starts_with("UPID:"))?;
        let node = upid.split(':').nth(1)?;
        loop {
            let task = self.root("GET", &format!("/nodes/{node}/tasks/{upid}/status"), &[]).await;
            if task.body["data"]["status"] == "stopped" {
                return task.body["data"]["exitstatus"].as_str().map(str::to_owned);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
