//! Bakes the packages into an image's root, as the real golden images are.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::command::run;

/// Our own small Flannel-shaped manifest: what the roles apply, and what makes a stand-in node Ready.
pub const FLANNEL: (&str, &str) = ("kube-flannel.yml", include_str!("kube-flannel.yml"));

/// Installs `debs` (from [`super::build_debs`]) into the Debian root `root`.
///
/// Needs root, because dpkg runs the packages' scripts inside `root`.
pub async fn install(root: &Path, debs: &[PathBuf]) -> anyhow::Result<()> {
    // `--root` leaves files alone that dpkg would ask about, and no service starts in an image.
    let mut arguments = ["--root"].map(OsStr::new).to_vec();
    arguments.push(root.as_os_str());
    arguments.extend(["--force-confold", "--install"].map(OsStr::new));
    arguments.extend(debs.iter().map(|deb| deb.as_os_str()));
    run("dpkg", &arguments)
        .await
        .with_context(|| format!("failed to install packages into {}", root.display()))?;
    Ok(())
}

/// Writes what an image says of itself, and the pod network's manifest (its file name and text), which no guest could
/// download.
pub fn write_marker(
    root: &Path,
    kubernetes_version: Option<&str>,
    (name, manifest): (&str, &str),
) -> anyhow::Result<()> {
    let folder = "etc/kubesmith/manifests";
    std::fs::create_dir_all(root.join(folder))?;
    std::fs::write(root.join(folder).join(name), manifest)?;
    let mut marker = serde_json::json!({ "flannel_manifest": format!("/{folder}/{name}") });
    if let Some(version) = kubernetes_version {
        marker["kubernetes_version"] = version.into();
    }
    std::fs::write(root.join("etc/kubesmith/image.json"), format!("{marker:#}\n"))?;
    Ok(())
}
