//! kubeconfig files: written as kubeadm writes them, read as kubectl reads them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use super::{paths, pki::Pair, yaml};

/// How a client says who it is.
#[derive(Debug, Clone)]
pub(super) enum Identity {
    Anonymous,
    Token(String),
    Certificate(Pair),
    /// One file that holds both, replaced when the kubelet rotates it.
    CertificateFile(String),
}

/// A server, how to trust it, and who asks.
#[derive(Debug, Clone)]
pub(super) struct Kubeconfig {
    pub(super) server: String,
    /// PEM; `None` means that the server's certificate is not checked (discovery, before the pin is known).
    pub(super) authority: Option<String>,
    pub(super) identity: Identity,
    pub(super) namespace: Option<String>,
}

impl Kubeconfig {
    pub(super) fn new(
        server: impl Into<String>,
        authority: Option<String>,
        identity: Identity,
    ) -> Self {
        Self { server: server.into(), authority, identity, namespace: None }
    }

    /// The file's text, with the context name that kubeadm gives: `user@cluster`.
    pub(super) fn render(&self, cluster: &str, user: &str) -> String {
        let context = format!("{user}@{cluster}");
        let mut cluster_entry = json!({"server": self.server});
        if let Some(authority) = &self.authority {
            cluster_entry["certificate-authority-data"] = BASE64.encode(authority).into();
        }
        let user_entry = match &self.identity {
            Identity::Anonymous => json!({}),
            Identity::Token(token) => json!({"token": token}),
            Identity::Certificate(pair) => json!({
                "client-certificate-data": BASE64.encode(&pair.certificate),
                "client-key-data": BASE64.encode(&pair.key),
            }),
            Identity::CertificateFile(file) => {
                json!({"client-certificate": file, "client-key": file})
            }
        };
        yaml::render(&json!({
            "apiVersion": "v1",
            "kind": "Config",
            "preferences": {},
            "clusters": [{"name": cluster, "cluster": cluster_entry}],
            "users": [{"name": user, "user": user_entry}],
            "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
            "current-context": context,
        }))
    }

    /// Reads one of the machine's own files, under `STANDIN_ROOT`.
    pub(super) fn of_machine(path: &str) -> anyhow::Result<Self> {
        Self::load(&paths::under_root(path))
    }

    pub(super) fn load(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("failed to read kubeconfig {}", file.display()))?;
        Self::parse(&text, None)
            .with_context(|| format!("failed to load kubeconfig {}", file.display()))
    }

    /// Reads the text's current context, or the one named.
    pub(super) fn parse(text: &str, context: Option<&str>) -> anyhow::Result<Self> {
        let config = yaml::document(text)?;
        let current = context.or_else(|| config["current-context"].as_str()).unwrap_or_default();
        let context = &named(&config, "contexts", current)["context"];
        // A cluster-info file has one cluster and neither contexts nor users.
        let cluster = match context["cluster"].as_str() {
            Some(name) => named(&config, "clusters", name),
            None => &config["clusters"][0],
        };
        let user =
            context["user"].as_str().map_or(&Value::Null, |name| named(&config, "users", name));
        let (cluster, user) = (&cluster["cluster"], &user["user"]);
        let Some(server) = cluster["server"].as_str() else {
            bail!("the kubeconfig names no server")
        };
        let authority = pem(cluster, "certificate-authority")?;
        if authority.is_none() && cluster["insecure-skip-tls-verify"] != true {
            bail!("the kubeconfig has no certificate-authority-data");
        }
        let identity = if let Some(token) = user["token"].as_str() {
            Identity::Token(token.to_owned())
        } else if let Some(certificate) = pem(user, "client-certificate")? {
            let key = pem(user, "client-key")?.context("client-certificate without client-key")?;
            Identity::Certificate(Pair { certificate, key })
        } else {
            Identity::Anonymous
        };
        let namespace = context["namespace"].as_str().map(str::to_owned);
        Ok(Self { server: server.trim_end_matches('/').to_owned(), authority, identity, namespace })
    }
}

fn named<'a>(config: &'a Value, list: &str, name: &str) -> &'a Value {
    config[list]
        .as_array()
        .into_iter()
        .flatten()
        .find(|entry| entry["name"] == name)
        .unwrap_or(&Value::Null)
}

/// A PEM text given as `<key>-data` in Base64, or in the file that `<key>` names.
fn pem(entry: &Value, key: &str) -> anyhow::Result<Option<String>> {
    if let Some(data) = entry[format!("{key}-data")].as_str() {
        let bytes =
            BASE64.decode(data.trim()).with_context(|| format!("{key}-data is not Base64"))?;
        return Ok(Some(
            String::from_utf8(bytes).with_context(|| format!("{key}-data is not PEM"))?,
        ));
    }
    let Some(file) = entry[key].as_str() else { return Ok(None) };
    let file = if file.starts_with('/') { paths::under_root(file) } else { PathBuf::from(file) };
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("failed to read {key} {}", file.display()))?;
    Ok(Some(text))
}
