//! `kubeadm join` of a worker: discovery, trust, TLS bootstrap by the kubelet.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    config::{Settings, array, text, timeout},
    manifests, preflight, token,
};
use crate::kube::{
    api,
    arguments::Arguments,
    client::Client,
    kubeconfig::{Identity, Kubeconfig},
    paths, pki, say, yaml,
};

const AGAIN: Duration = Duration::from_millis(500);
const CLUSTER_INFO: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";

pub(super) async fn run(arguments: &Arguments, endpoint: Option<&str>) -> anyhow::Result<()> {
    let mut settings = Settings::load(arguments)?;
    if arguments.value("config").is_none() {
        settings.join["discovery"] = discovery_of_flags(arguments, endpoint);
    }
    if !settings.join["controlPlane"].is_null() || arguments.is_set("control-plane") {
        bail!("the stand-in joins workers only");
    }
    preflight::announce();
    preflight::Checks::join(&settings).finish(arguments, &settings.join)?;
    let limit = timeout(&settings.join, "discovery", Duration::from_mins(5))?;
    let (cluster, token) = discover(&settings.join["discovery"], limit)
        .await
        .context("error execution phase preflight")?;

    let bootstrap =
        Kubeconfig::new(cluster.server.clone(), cluster.authority.clone(), Identity::Token(token));
    let client = Client::new(&bootstrap)?;
    say(
        "[preflight] Reading configuration from the \"kubeadm-config\" ConfigMap in namespace \"kube-system\"...",
    );
    let configuration =
        kubelet_configuration(&client).await.context("error execution phase preflight")?;
    let registration = &settings.join["nodeRegistration"];
    let name = text(&registration["name"]);
    refuse_taken_name(&client, name).await.context("error execution phase kubelet-start")?;

    paths::write(
        paths::BOOTSTRAP_CONF,
        &bootstrap.render("kubernetes", "tls-bootstrap-token-user"),
        0o600,
    )?;
    let authority = cluster.authority.unwrap_or_default();
    paths::write(&format!("{}/ca.crt", paths::PKI), &authority, 0o644)?;
    manifests::kubelet(&configuration, registration)
        .context("error execution phase kubelet-start")?;
    super::start_kubelet().await;

    let limit = timeout(&settings.join, "tlsBootstrap", Duration::from_mins(5))?;
    say(format!(
        "[kubelet-start] Waiting for the kubelet to perform the TLS Bootstrap. This can take up to {limit:?}"
    ));
    let started = Instant::now();
    while !paths::exists(paths::KUBELET_CONF) {
        if started.elapsed() > limit {
            bail!(
                "error execution phase kubelet-wait: timed out waiting for the condition: {} does not exist",
                paths::KUBELET_CONF
            );
        }
        tokio::time::sleep(AGAIN / 5).await;
    }
    std::fs::remove_file(paths::under_root(paths::BOOTSTRAP_CONF))
        .context("failed to remove the bootstrap kubeconfig")?;
    annotate(name, registration).await;
    say(
        "\nThis node has joined the cluster:\n* Certificate signing request was sent to apiserver and a response was received.\n\
         * The Kubelet was informed of the new secure connection details.\n\n\
         Run 'kubectl get nodes' on the control-plane to see this node join the cluster.\n",
    );
    Ok(())
}

fn discovery_of_flags(arguments: &Arguments, endpoint: Option<&str>) -> Value {
    if let Some(file) = arguments.value("discovery-file") {
        return json!({"file": {"kubeConfigPath": file}, "tlsBootstrapToken": arguments.value("tls-bootstrap-token")});
    }
    let token = arguments.value("discovery-token").or_else(|| arguments.value("token"));
    json!({
        "bootstrapToken": {
            "apiServerEndpoint": endpoint, "token": token, "caCertHashes": arguments.list("discovery-token-ca-cert-hash"),
            "unsafeSkipCAVerification": arguments.is_set("discovery-token-unsafe-skip-ca-verification"),
        },
        "tlsBootstrapToken": arguments.value("tls-bootstrap-token"),
    })
}

/// Finds the cluster and its authority; also the token for the kubelet's own bootstrap.
async fn discover(discovery: &Value, limit: Duration) -> anyhow::Result<(Kubeconfig, String)> {
    let method = &discovery["bootstrapToken"];
    if let Some(file) = discovery["file"]["kubeConfigPath"].as_str() {
        let config = Kubeconfig::load(Path::new(file))?;
        let own = match &config.identity {
            Identity::Token(token) => Some(token.clone()),
            _ => None,
        };
        let token = discovery["tlsBootstrapToken"].as_str().map(str::to_owned).or(own);
        return Ok((
            config,
            token.context("discovery.tlsBootstrapToken: Required value: token is required")?,
        ));
    }
    let Some(given) = method["token"].as_str().filter(|token| !token.is_empty()) else {
        bail!("discovery: Invalid value: \"\": bootstrapToken or file must be set");
    };
    let Some((id, secret)) = token::parse(given) else {
        bail!(
            "discovery.bootstrapToken.token: Invalid value: \"{given}\": the bootstrap token is invalid"
        );
    };
    let Some(endpoint) = method["apiServerEndpoint"].as_str() else {
        bail!(
            "discovery.bootstrapToken.apiServerEndpoint: Required value: APIServerEndpoint is not set"
        );
    };
    let pins = array(&method["caCertHashes"]);
    if pins.is_empty() && method["unsafeSkipCAVerification"] != true {
        bail!(
            "discovery.bootstrapToken: Invalid value: \"\": using token-based discovery without caCertHashes can be unsafe. Set unsafeSkipCAVerification as true in your kubeadm config file or pass --discovery-token-unsafe-skip-ca-verification flag to continue"
        );
    }
    let cluster = from_cluster_info(endpoint, id, secret, pins, limit)
        .await
        .context("couldn't validate the identity of the API Server")?;
    let token =
        discovery["tlsBootstrapToken"].as_str().filter(|token| !token.is_empty()).unwrap_or(given);
    Ok((cluster, token.to_owned()))
}

/// Reads cluster-info without trust, checks the token's signature and the pin, and reads it again with trust.
async fn from_cluster_info(
    endpoint: &str,
    id: &str,
    secret: &str,
    pins: &[Value],
    limit: Duration,
) -> anyhow::Result<Kubeconfig> {
    let insecure =
        Client::new(&Kubeconfig::new(format!("https://{endpoint}"), None, Identity::Anonymous))?;
    let started = Instant::now();
    let info = loop {
        // A token that the cluster does not know (yet) is waited for, as by the real one.
        let problem = match insecure.get(CLUSTER_INFO).await {
            Ok(info) if info["data"][format!("jws-kubeconfig-{id}")].is_string() => break info,
            Ok(_) => format!(
                "could not find a JWS signature in the cluster-info ConfigMap for token ID \"{id}\""
            ),
            Err(error) => format!("failed to request the cluster-info ConfigMap: {error}"),
        };
        if started.elapsed() > limit {
            bail!("{problem}");
        }
        tokio::time::sleep(AGAIN).await;
    };
    let content = text(&info["data"]["kubeconfig"]);
    if info["data"][format!("jws-kubeconfig-{id}")] != api::detached_signature(content, id, secret)
    {
        bail!(
            "failed to verify JWS signature of received cluster info object, can't trust this API Server"
        );
    }
    let cluster = Kubeconfig::parse(content, None)
        .context("failed to parse the kubeconfig in the cluster-info ConfigMap")?;
    let authority = cluster
        .authority
        .clone()
        .context("the cluster-info ConfigMap has no certificate authority")?;
    if pins.is_empty() {
        return Ok(cluster);
    }
    let pin = pki::pin(&authority)?;
    if !pins.iter().any(|wanted| text(wanted).eq_ignore_ascii_case(&pin)) {
        bail!(
            "cluster CA found in cluster-info ConfigMap is invalid: none of the public keys \"{pin}\" are pinned"
        );
    }
    let secure = Client::new(&Kubeconfig::new(
        format!("https://{endpoint}"),
        Some(authority),
        Identity::Anonymous,
    ))?;
    let again = secure
        .get(CLUSTER_INFO)
        .await
        .context("failed to request the cluster-info ConfigMap over a trusted connection")?;
    if text(&again["data"]["kubeconfig"]) != content {
        bail!(
            "the second kubeconfig from the cluster-info ConfigMap (using validated TLS) was different from the first"
        );
    }
    Ok(cluster)
}

/// The kubelet's configuration that init stored.
async fn kubelet_configuration(client: &Client) -> anyhow::Result<Value> {
    for map in ["kubeadm-config", "kubelet-config"] {
        let found = client
            .get(&format!("/api/v1/namespaces/kube-system/configmaps/{map}"))
            .await
            .with_context(|| format!("unable to fetch the {map} ConfigMap"))?;
        if map == "kubelet-config" {
            return yaml::document(text(&found["data"]["kubelet"]))
                .context("the kubelet-config ConfigMap is not usable");
        }
    }
    bail!("the cluster has no kubelet-config ConfigMap")
}

/// Two machines of one name would fight over one Node.
async fn refuse_taken_name(client: &Client, name: &str) -> anyhow::Result<()> {
    match client.get(&format!("/api/v1/nodes/{name}")).await {
        Err(error) if error.is(404) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot get Node \"{name}\"")),
        Ok(node) => {
            let ready = array(&node["status"]["conditions"])
                .iter()
                .any(|one| one["type"] == "Ready" && one["status"] == "True");
            if ready {
                bail!(
                    "a Node with name \"{name}\" and status \"Ready\" already exists in the cluster. You must delete the existing Node or change the name of this new joining Node"
                );
            }
            Ok(())
        }
    }
}

/// Notes the runtime's socket on the Node, once it is there; the join does not depend on it.
async fn annotate(name: &str, registration: &Value) {
    let Ok(client) = super::machine_client(paths::KUBELET_CONF) else { return };
    let patch = json!({"metadata": {"annotations": {"kubeadm.alpha.kubernetes.io/cri-socket": registration["criSocket"]}}});
    for _ in 0..50 {
        if client.patch(&format!("/api/v1/nodes/{name}"), &patch).await.is_ok() {
            return;
        }
        tokio::time::sleep(AGAIN / 5).await;
    }
    tracing::debug!(name, "the node did not appear");
}
