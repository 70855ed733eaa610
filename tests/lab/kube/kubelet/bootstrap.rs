//! TLS bootstrap: from a token to a client certificate of the node's own.

use std::time::Duration;

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::json;

use crate::kube::{
    client::Client,
    kubeconfig::{Identity, Kubeconfig},
    paths, pki, random_name,
};

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/// Between two tries while the API server does not answer or has not signed yet.
const AGAIN: Duration = Duration::from_millis(500);

/// Returns when the kubeconfig with the node's identity is there.
pub(super) async fn ensure_identity(
    kubeconfig: &str,
    bootstrap: &str,
    node: &str,
) -> anyhow::Result<()> {
    if paths::exists(kubeconfig) {
        return Ok(());
    }
    let config = Kubeconfig::of_machine(bootstrap)
        .context("failed to run Kubelet: unable to load bootstrap kubeconfig")?;
    let client = Client::new(&config)?;
    let user = format!("system:node:{node}");
    let request =
        pki::request(&pki::Subject { common_name: &user, organizations: &["system:nodes"] })?;
    let name = format!("csr-{}", random_name(5));
    let object = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
        "spec": {
            "request": BASE64.encode(&request.certificate), "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["digital signature", "client auth"],
        },
    });
    let certificate = loop {
        let answer = match client.post(REQUESTS, &object).await {
            Err(error) if error.is(409) => client.get(&format!("{REQUESTS}/{name}")).await,
            other => other,
        };
        match answer {
            Ok(answer) => {
                if let Some(certificate) = answer["status"]["certificate"].as_str() {
                    break String::from_utf8(BASE64.decode(certificate)?)?;
                }
                tracing::info!(name, "waiting for the certificate to be issued");
            }
            Err(error) => tracing::warn!(%error, "failed to request a client certificate"),
        }
        tokio::time::sleep(AGAIN).await;
    };
    paths::write(paths::KUBELET_CLIENT, &format!("{certificate}{}", request.key), 0o600)?;
    let identity = Identity::CertificateFile(paths::KUBELET_CLIENT.to_owned());
    let config = Kubeconfig::new(config.server, config.authority, identity);
    paths::write(kubeconfig, &config.render("default-cluster", "default-auth"), 0o600)
}
