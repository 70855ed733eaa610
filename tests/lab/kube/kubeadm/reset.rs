//! `kubeadm reset`: takes back what init or join did to this machine.

use std::io::BufRead as _;

use anyhow::{Context as _, bail};

use crate::kube::{arguments::Arguments, paths, say, say_error};

pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if !arguments.is_set("force") {
        say_error(
            "[reset] WARNING: Changes made to this host by 'kubeadm init' or 'kubeadm join' will be reverted.",
        );
        say("[reset] Are you sure you want to proceed? [y/N]: ");
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if !answer.trim().eq_ignore_ascii_case("y") {
            bail!("won't proceed; the user didn't answer (Y|y) in order to continue");
        }
    }
    super::preflight::announce();
    if !rustix::process::geteuid().is_root() {
        bail!(
            "error execution phase preflight: [preflight] Some fatal errors occurred:\n\t[ERROR IsPrivilegedUser]: user is not running as root"
        );
    }
    say("[reset] Stopping the kubelet service");
    if let Err(error) = super::systemctl(&["stop", "kubelet"]).await {
        say_error(format!(
            "[reset] WARNING: the kubelet service could not be stopped by kubeadm: [{error:#}]"
        ));
    }
    say(format!("[reset] Deleting contents of directories: [{} {}]", paths::MANIFESTS, paths::PKI));
    // Kept as folders, as by the real one.
    for folder in [paths::MANIFESTS, paths::PKI, paths::KUBELET, paths::ETCD] {
        empty(folder)?;
    }
    let files = [
        "admin.conf",
        "super-admin.conf",
        "kubelet.conf",
        "bootstrap-kubelet.conf",
        "controller-manager.conf",
        "scheduler.conf",
    ];
    let files = files.map(|file| format!("{}/{file}", paths::KUBERNETES));
    say(format!("[reset] Deleting files: [{}]", files.join(" ")));
    for file in &files {
        match std::fs::remove_file(paths::under_root(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("failed to remove {file}"));
            }
            _ => {}
        }
    }
    say(
        "\nThe reset process does not perform cleanup of CNI plugin configuration,\nnetwork filtering rules and kubeconfig files.",
    );
    Ok(())
}

fn empty(folder: &str) -> anyhow::Result<()> {
    let Ok(entries) = std::fs::read_dir(paths::under_root(folder)) else { return Ok(()) };
    for entry in entries.flatten() {
        let path = entry.path();
        let removed = if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.with_context(|| format!("failed to remove {}", path.display()))?;
    }
    Ok(())
}
