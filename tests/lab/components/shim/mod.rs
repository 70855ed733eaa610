//! The two programs that stand between the lab's guests and an old Kubernetes: kubeadm, which hands a translated
//! configuration to the real one, and crictl, which Debian does not have.
//!
//! Both are things of the lab: roles and provider see a kubeadm that reads `v1beta4`, and nothing else.

mod kubeadm;
pub(crate) mod translate;

use std::{io::Write as _, process::ExitCode};

/// What it does has nothing to do with Kubernetes' version.
const CRICTL_VERSION: &str = "1.36.0";

/// Runs the program that `argv[0]` names.
pub fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    let mut arguments: Vec<String> = arguments.collect();
    let path = if arguments.is_empty() { String::new() } else { arguments.remove(0) };
    let result = match path.rsplit('/').next().unwrap_or_default() {
        "kubeadm" => kubeadm::run(arguments),
        "crictl" => crictl(arguments),
        other => Err(anyhow::anyhow!("the lab's shim is kubeadm or crictl, not \"{other}\"")),
    };
    result.unwrap_or_else(|error| {
        say_error(format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

/// The stand-ins' own speaks to any container runtime.
fn crictl(arguments: Vec<String>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(crate::kube::crictl::run(arguments, CRICTL_VERSION))
}

/// Writes one line to stderr.
fn say_error(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", line.as_ref());
}
