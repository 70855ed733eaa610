//! `kubeadm init`: the phases, in the real one's order.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::Instant;

use super::{
    certificates, cluster,
    config::{Settings, array, text, timeout},
    manifests, preflight, token,
};
use crate::kube::{arguments::Arguments, client::Client, paths, pki, say};

const AGAIN: Duration = Duration::from_millis(100);

pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut settings = Settings::load(arguments)?;
    if arguments.is_set("dry-run") || settings.init["dryRun"] == true {
        bail!("the stand-in has no dry run");
    }
    say(format!("[init] Using Kubernetes version: v{}", settings.version()));
    let skipped: Vec<String> = arguments
        .list("skip-phases")
        .into_iter()
        .chain(array(&settings.init["skipPhases"]).iter().map(|phase| text(phase).to_owned()))
        .collect();
    let skips = |phase: &str| skipped.iter().any(|skipped| skipped == phase);
    if !skips("preflight") {
        preflight::announce();
        preflight::Checks::init(&settings).finish(arguments, &settings.init)?;
        say("[preflight] Pulling images required for setting up a Kubernetes cluster");
        say(
            "[preflight] This might take a minute or two, depending on the speed of your internet connection",
        );
        say(
            "[preflight] You can also perform this action beforehand using 'kubeadm config images pull'",
        );
        preflight::Checks::images(&settings).await.finish(arguments, &settings.init)?;
    }
    certificates::make(&settings).context("error execution phase certs")?;
    certificates::kubeconfigs(&settings).context("error execution phase kubeconfig")?;
    manifests::write(&settings).context("error execution phase control-plane")?;
    manifests::kubelet(&settings.kubelet, &settings.init["nodeRegistration"])
        .context("error execution phase kubelet-start")?;
    super::start_kubelet().await;

    // The administrator's group has its rights only after the cluster was told so.
    let client = super::machine_client(&format!("{}/super-admin.conf", paths::KUBERNETES))?;
    let limit =
        timeout(&settings.init, "controlPlaneComponentHealthCheck", Duration::from_mins(4))?;
    wait_for_control_plane(&client, limit)
        .await
        .context("error execution phase wait-control-plane")?;
    let node = text(&settings.init["nodeRegistration"]["name"]).to_owned();
    wait_for_node(&client, &node, limit).await.context("error execution phase kubelet-start")?;

    if array(&settings.init["bootstrapTokens"]).is_empty() {
        settings.init["bootstrapTokens"] = serde_json::json!([{"token": token::generate()}]);
    }
    cluster::upload(&client, &settings).await.context("error execution phase upload-config")?;
    if arguments.is_set("upload-certs") {
        say("[upload-certs] The stand-in keeps no certificates for further control planes");
    } else {
        say("[upload-certs] Skipping phase. Please see --upload-certs");
    }
    cluster::mark_control_plane(&client, &settings)
        .await
        .context("error execution phase mark-control-plane")?;
    cluster::bootstrap_tokens(&client, &settings)
        .await
        .context("error execution phase bootstrap-token")?;
    cluster::addons(&client, &settings, &skipped).await.context("error execution phase addon")?;
    finish(&settings, arguments)
}

async fn wait_for_control_plane(client: &Client, limit: Duration) -> anyhow::Result<()> {
    say(format!(
        "[wait-control-plane] Waiting for the kubelet to boot up the control plane as static Pods from directory \"{}\"",
        paths::MANIFESTS
    ));
    say(format!(
        "[control-plane-check] Waiting for healthy control plane components. This can take up to {limit:?}"
    ));
    let started = Instant::now();
    loop {
        match client.get("/readyz").await {
            Ok(_) => break,
            Err(error) if started.elapsed() > limit => {
                bail!(
                    "failed while waiting for the control plane to start: kube-apiserver check failed at /readyz: {error}"
                )
            }
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
    say(format!("[control-plane-check] kube-apiserver is healthy after {:?}", started.elapsed()));
    Ok(())
}

async fn wait_for_node(client: &Client, node: &str, limit: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    while let Err(error) = client.get(&format!("/api/v1/nodes/{node}")).await {
        if started.elapsed() > limit {
            bail!("the kubelet has not registered node \"{node}\": {error}");
        }
        tokio::time::sleep(AGAIN).await;
    }
    Ok(())
}

fn finish(settings: &Settings, arguments: &Arguments) -> anyhow::Result<()> {
    let pin = pki::pin(&certificates::read("ca")?.certificate)?;
    let token = text(&settings.init["bootstrapTokens"][0]["token"]);
    let token = if arguments.is_set("skip-token-print") { "<value withheld>" } else { token };
    say(format!(
        "\nYour Kubernetes control-plane has initialized successfully!\n\n\
         To start using your cluster, you need to run the following as a regular user:\n\n  \
         mkdir -p $HOME/.kube\n  sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config\n  \
         sudo chown $(id -u):$(id -g) $HOME/.kube/config\n\n\
         You should now deploy a pod network to the cluster.\n\n\
         Then you can join any number of worker nodes by running the following on each as root:\n\n\
         kubeadm join {} --token {token} \\\n\t--discovery-token-ca-cert-hash {pin}",
        settings.endpoint()
    ));
    Ok(())
}
