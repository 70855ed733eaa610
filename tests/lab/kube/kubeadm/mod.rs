//! kubeadm: init, join, reset, tokens and certificates, with the real one's files, messages and exit codes.

mod certificates;
mod cluster;
mod config;
mod init;
mod join;
mod manifests;
mod preflight;
mod queries;
mod reset;
mod token;

use std::{
    net::{ToSocketAddrs as _, UdpSocket},
    process::{ExitCode, Stdio},
};

use anyhow::{Context as _, bail};

use super::{
    arguments::{Arguments, Known},
    client::Client,
    kubeconfig::Kubeconfig,
    paths, say, say_error,
};

const KNOWN: Known = Known {
    valued: &[
        "config",
        "output",
        "ttl",
        "token",
        "token-ttl",
        "discovery-token",
        "discovery-token-ca-cert-hash",
        "discovery-file",
        "tls-bootstrap-token",
        "ignore-preflight-errors",
        "skip-phases",
        "node-name",
        "cri-socket",
        "pod-network-cidr",
        "service-cidr",
        "service-dns-domain",
        "apiserver-advertise-address",
        "apiserver-bind-port",
        "apiserver-cert-extra-sans",
        "control-plane-endpoint",
        "kubernetes-version",
        "image-repository",
        "certificate-key",
        "patches",
        "description",
        "groups",
        "usages",
        "kubeconfig",
        "client-name",
        "org",
        "validity-period",
        "cert-dir",
        "apiserver",
        "rootfs",
        "feature-gates",
    ],
    switches: &[
        "print-join-command",
        "force",
        "upload-certs",
        "skip-token-print",
        "skip-certificate-key-print",
        "dry-run",
        "discovery-token-unsafe-skip-ca-verification",
        "control-plane",
        "allow-missing-template-keys",
        "cleanup-tmp-dir",
    ],
};

const HELP: &str = "\
kubeadm: easily bootstrap a secure Kubernetes cluster

Usage:
  kubeadm [command]

Available Commands:
  certs       Commands related to handling kubernetes certificates (check-expiration)
  config      Manage configuration for a kubeadm cluster (images, validate)
  init        Run this command in order to set up the Kubernetes control plane
  join        Run this on any machine you wish to join an existing cluster
  kubeconfig  Kubeconfig file utilities (user)
  reset       Performs a best effort revert of changes made to this host by 'kubeadm init' or 'kubeadm join'
  token       Manage bootstrap tokens (create, delete, list, generate)
  version     Print the version of kubeadm";

pub(super) async fn run(arguments: Vec<String>) -> anyhow::Result<ExitCode> {
    match dispatch(arguments).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            say_error(format!(
                "{error:#}\nTo see the stack trace of this error execute with --v=5 or higher"
            ));
            // The real one's codes: 3 for a configuration that is read and found wrong, 1 for everything else.
            Ok(if error.is::<config::Invalid>() { ExitCode::from(3) } else { ExitCode::FAILURE })
        }
    }
}

async fn dispatch(arguments: Vec<String>) -> anyhow::Result<()> {
    let arguments = Arguments::parse(&arguments, &KNOWN)?;
    let words: Vec<&str> = arguments.positional.iter().map(String::as_str).collect();
    if arguments.is_set("help") || words.is_empty() {
        say(HELP);
        return Ok(());
    }
    match words.as_slice() {
        ["version"] => queries::version(&arguments),
        ["init"] => init::run(&arguments).await,
        ["join", rest @ ..] => join::run(&arguments, rest.first().copied()).await,
        ["reset"] => reset::run(&arguments).await,
        ["token", "create", rest @ ..] => token::create(&arguments, rest.first().copied()).await,
        ["token", "list"] => token::list(&arguments).await,
        ["token", "delete", tokens @ ..] => token::delete(&arguments, tokens).await,
        ["token", "generate"] => {
            say(token::generate());
            Ok(())
        }
        ["kubeconfig", "user"] => queries::kubeconfig_user(&arguments),
        ["config", "images", action @ ("list" | "pull")] => {
            queries::images(&arguments, action).await
        }
        ["config", "validate"] => config::Settings::load(&arguments).map(|_| ()),
        ["certs", "check-expiration"] => {
            queries::check_expiration(&arguments);
            Ok(())
        }
        other => bail!(
            "unknown command \"{}\" for \"kubeadm\" (the stand-in does not know it)",
            other.join(" ")
        ),
    }
}

/// A client of this control plane's API with a kubeconfig of this machine.
fn machine_client(path: &str) -> anyhow::Result<Client> {
    Client::new(&Kubeconfig::of_machine(path)?)
}

/// The file that a command talks to the cluster with: `--kubeconfig`, or the administrator's.
fn admin_client(arguments: &Arguments) -> anyhow::Result<Client> {
    match arguments.value("kubeconfig") {
        Some(file) => Client::new(&Kubeconfig::load(std::path::Path::new(file))?),
        None => machine_client(paths::ADMIN_CONF),
    }
}

/// The local address that packets to a server leave from. Nothing is sent: connecting a UDP socket only picks a route.
pub(super) fn route_address(server: &str) -> Option<String> {
    let host = server.trim_start_matches("https://").to_owned();
    let target = host.to_socket_addrs().ok()?.next()?;
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect(target).ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}

/// Runs `systemctl`, or does nothing where a test runs the kubelet itself.
async fn systemctl(arguments: &[&str]) -> anyhow::Result<()> {
    if !paths::has_systemd() {
        return Ok(());
    }
    let output = crate::command::asynchronous("systemctl")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .context("failed to run systemctl")?;
    if !output.status.success() {
        bail!(
            "systemctl {} failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// (Re)starts the kubelet; a failure is a warning, as in the real one: what waits for the kubelet tells the rest.
async fn start_kubelet() {
    say("[kubelet-start] Starting the kubelet");
    let started = async {
        systemctl(&["daemon-reload"]).await?;
        systemctl(&["restart", "kubelet"]).await
    };
    if let Err(error) = started.await {
        say_error(format!(
            "[kubelet-start] WARNING: unable to start the kubelet service: {error:#}"
        ));
    }
}
