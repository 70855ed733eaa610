//! kubelet: crash-loops until kubeadm has written its configuration, then registers its node, keeps it alive, and on the
//! control plane serves the API as well.
//!
//! Real: the files it needs, TLS bootstrap with a token, the Node object, leases, conditions, the CNI's part in readiness.
//! Not real: pods are said to run.

mod bootstrap;
mod node;
mod pods;
pub(super) mod ports;
mod services;

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};

use super::{
    api,
    arguments::{Arguments, Known},
    paths, say, yaml,
};

const KNOWN: Known = Known {
    valued: &[
        "bootstrap-kubeconfig",
        "kubeconfig",
        "config",
        "node-ip",
        "hostname-override",
        "container-runtime-endpoint",
        "node-labels",
        "register-with-taints",
        "pod-infra-container-image",
        "cgroup-driver",
        "root-dir",
        "cert-dir",
    ],
    switches: &["version", "fail-swap-on"],
};

/// How often files are looked at that appear once in a machine's life.
const LOOK: Duration = Duration::from_millis(250);

pub(super) async fn run(arguments: Vec<String>) -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse(&arguments, &KNOWN)?;
    if arguments.is_set("help") {
        say(
            "The kubelet is the primary \"node agent\" that runs on each node.\n\nUsage:\n  kubelet [flags]",
        );
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.is_set("version") {
        say(format!("Kubernetes v{}", paths::version_of("kubelet")));
        return Ok(ExitCode::SUCCESS);
    }
    start_log();
    let config = arguments.value("config").unwrap_or(paths::KUBELET_CONFIG);
    let config = paths::read(config)
        .with_context(|| format!("failed to load kubelet config file, path: {config}"))?;
    let config = yaml::document(&config).context("failed to decode the kubelet's configuration")?;
    if config["kind"] != "KubeletConfiguration" {
        bail!(
            "failed to decode the kubelet's configuration: no kind \"KubeletConfiguration\" is registered in the file"
        );
    }
    let kubeconfig = arguments.value("kubeconfig").unwrap_or(paths::KUBELET_CONF).to_owned();
    let token = arguments.value("bootstrap-kubeconfig").unwrap_or(paths::BOOTSTRAP_CONF).to_owned();
    if !paths::exists(&kubeconfig) && !paths::exists(&token) {
        bail!(
            "failed to run Kubelet: unable to load bootstrap kubeconfig: stat {token}: no such file or directory"
        );
    }
    let options = node::Options {
        name: arguments.value("hostname-override").map_or_else(paths::hostname, str::to_lowercase),
        address: arguments.value("node-ip").map(str::to_owned),
        labels: arguments.list("node-labels"),
        taints: arguments.list("register-with-taints"),
        config,
    };
    tokio::select! {
        result = serve_api() => result?,
        result = async {
            bootstrap::ensure_identity(&kubeconfig, &token, &options.name).await?;
            node::run(&kubeconfig, &options).await
        } => result?,
        () = ports::hold() => {}
        () = terminated() => tracing::info!("stopping"),
    }
    Ok(ExitCode::SUCCESS)
}

fn start_log() {
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_env_filter(filter)
        .try_init();
}

async fn terminated() {
    let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match signal {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// Serves the API while the static pod manifest of kube-apiserver is there; on a worker it never is.
async fn serve_api() -> anyhow::Result<()> {
    loop {
        // The store's own manifest as well: kubeadm writes etcd's last.
        if paths::exists(paths::API_SERVER_MANIFEST) {
            let options = api_options()?;
            tokio::select! {
                result = api::serve(options) => result?,
                () = manifest_gone() => tracing::info!("the manifest of kube-apiserver is gone"),
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn manifest_gone() {
    while paths::exists(paths::API_SERVER_MANIFEST) {
        tokio::time::sleep(LOOK).await;
    }
}

/// The flags in the manifests, as the real programs would get them.
fn api_options() -> anyhow::Result<api::Options> {
    let server = yaml::document(&paths::read(paths::API_SERVER_MANIFEST)?)?;
    let flag = |name: &str| command_flag(&server, name);
    let address = flag("advertise-address")
        .context("kube-apiserver's manifest has no --advertise-address")?;
    let port = flag("secure-port").context("kube-apiserver's manifest has no --secure-port")?;
    let address: SocketAddr = format!("{address}:{port}")
        .parse()
        .context("kube-apiserver's address is not an IPv4 address and a port")?;
    let manager = paths::read(&format!("{}/kube-controller-manager.yaml", paths::MANIFESTS))
        .and_then(|text| yaml::document(&text));
    let image = server["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    Ok(api::Options {
        address,
        service_subnet: flag("service-cluster-ip-range")
            .unwrap_or_else(|| "10.96.0.0/12".to_owned()),
        pod_subnet: manager.ok().and_then(|manager| command_flag(&manager, "cluster-cidr")),
        version: image
            .rsplit_once(":v")
            .map_or_else(|| paths::version_of("kubelet"), |(_, tag)| tag.to_owned()),
    })
}

fn command_flag(manifest: &serde_json::Value, name: &str) -> Option<String> {
    let prefix = format!("--{name}=");
    let command = manifest["spec"]["containers"][0]["command"].as_array()?;
    command.iter().find_map(|argument| Some(argument.as_str()?.strip_prefix(&prefix)?.to_owned()))
}
