//! Stand-ins for Kubernetes' programs: one binary that is kubeadm, kubelet, kubectl or crictl by the name it is called with.
//!
//! They keep the contract that installers and a real kubectl rely on (files, exit codes, TLS, tokens, the API's answers),
//! fast and anywhere. **No pod ever runs**: objects are stored, pods are bound to nodes and said to be running, nothing else.
//!
//! Two environment variables exist for tests without a guest: `STANDIN_ROOT` is a folder that all absolute paths are put
//! under, and `STANDIN_NO_SYSTEMD` makes kubeadm leave the kubelet's service alone (the test runs `kubelet` itself).

mod api;
mod arguments;
mod client;
mod cri;
pub(crate) mod crictl;
mod kubeadm;
mod kubeconfig;
mod kubectl;
mod kubelet;
mod paths;
mod pki;
pub(crate) mod yaml;

use std::{io::Write as _, process::ExitCode};

/// Runs the program that `argv[0]` names, or that the first argument names when called as `kubesmith-standin`.
pub fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    let mut arguments: Vec<String> = arguments.collect();
    let mut name = program_name(&arguments);
    if name == "kubesmith-standin" && arguments.len() > 1 {
        arguments.remove(0);
        name = program_name(&arguments);
    }
    let arguments = arguments.split_off(arguments.len().min(1));
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&name, &error.into()),
        };
    let result = runtime.block_on(async {
        match name.as_str() {
            "kubeadm" => kubeadm::run(arguments).await,
            "kubelet" => kubelet::run(arguments).await,
            "kubectl" => kubectl::run(arguments).await,
            "crictl" => crictl::run(arguments, &paths::version_of("crictl")).await,
            other => anyhow::bail!("\"{other}\" is none of kubeadm, kubelet, kubectl, crictl"),
        }
    });
    // A client's keep-alive connections must not hold up the exit.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) => fail(&name, &error),
    }
}

fn program_name(arguments: &[String]) -> String {
    let path = std::path::Path::new(arguments.first().map_or("", String::as_str));
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn fail(name: &str, error: &anyhow::Error) -> ExitCode {
    // kubectl's messages are complete sentences of their own; the others say "error:" as cobra programs do.
    let text = match error.downcast_ref::<client::ApiError>() {
        Some(api) if name == "kubectl" => api.to_string(),
        _ => format!("error: {error:#}"),
    };
    say_error(&text);
    ExitCode::FAILURE
}

/// Writes one line to stdout; a closed pipe (`| head`) is no reason to fail.
fn say(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let _ = out
        .write_all(line.as_ref().as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
}

/// Writes one line to stderr.
fn say_error(line: impl AsRef<str>) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(line.as_ref().as_bytes()).and_then(|()| out.write_all(b"\n"));
}

/// This moment as Kubernetes writes times: whole seconds, UTC.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `length` random characters of Kubernetes' name and token alphabet.
fn random_name(length: usize) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    (0..length).map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())])).collect()
}
