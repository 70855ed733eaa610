//! Bakes the packages into an image's root, as the real golden images are.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::command::run;

/// Our own small Flannel-shaped manifest: what the roles apply, and what makes a stand-in node Ready.
const FLANNEL: &str = include_str!("kube-flannel.yml");
const FLANNEL_PATH: &str = "etc/kubesmith/manifests/kube-flannel.yml";

/// Installs `debs` (from [`super::build_debs`]) into the Debian root `root` and writes the golden image's marker.
///
/// Needs root, because dpkg runs the packages' scripts inside `root`.
pub async fn install_golden(root: &Path, debs: &[PathBuf]) -> anyhow::Result<()> {
    let version = debs
        .iter()
        .filter_map(|deb| deb.file_name()?.to_str())
        .find_map(|name| name.strip_prefix("kubeadm_")?.split('-').next())
        .context("no kubeadm package among those to install")?
        .to_owned();
    // `--root` leaves files alone that dpkg would ask about, and no service starts in an image.
    let mut arguments = ["--root"].map(OsStr::new).to_vec();
    arguments.push(root.as_os_str());
    arguments.extend(["--force-confold", "--install"].map(OsStr::new));
    arguments.extend(debs.iter().map(|deb| deb.as_os_str()));
    run("dpkg", &arguments)
        .await
        .with_context(|| format!("failed to install packages into {}", root.display()))?;

    write_marker(root, Some(&version))
}

/// Writes what an image says of itself, and the pod network's manifest, which no guest could download.
pub fn write_marker(root: &Path, kubernetes_version: Option<&str>) -> anyhow::Result<()> {
    let manifest = root.join(FLANNEL_PATH);
    if let Some(folder) = manifest.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&manifest, FLANNEL)?;
    let mut marker = serde_json::json!({ "flannel_manifest": format!("/{FLANNEL_PATH}") });
    if let Some(version) = kubernetes_version {
        marker["kubernetes_version"] = version.into();
    }
    std::fs::write(root.join("etc/kubesmith/image.json"), format!("{marker:#}\n"))?;
    Ok(())
}
