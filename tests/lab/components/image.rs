//! Two layers above the `plain` image: Kubernetes' own programs as packages with all container images in containerd, and
//! above that the shims.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    Components,
    shim::translate::{ETCD_TAG, REPOSITORY},
};
use crate::{
    command,
    containers::{IMPORT, import},
    packages::{self, Programs},
};

const IMAGES: &str = include_str!("images.sh");
const NETWORK: &str = include_str!("network.yml");
const NETWORK_AGENT: &str = include_str!("network.sh");

/// All that goes into the layer besides the programs.
pub(crate) const RECIPE: [&str; 5] = [IMAGES, IMPORT, NETWORK, NETWORK_AGENT, CONTAINERD];

/// Debian's packages that the layer takes files from.
pub(crate) const DEBIAN: &str = "etcd-server,etcd-client,containernetworking-plugins";

/// As the roles would write it, with the images' name for `pause`, and with one more line: on some machines nobody may
/// lower a process's score for the out-of-memory killer.
const CONTAINERD: &str = r#"version = 2

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "kubesmith.invalid/pause:3.2"
  restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = true
"#;

/// Where the real kubeadm is, behind the shim.
pub(super) const KUBEADM: &str = "/usr/libexec/kubesmith-lab/kubeadm";

/// Fills the layer. `merged` is the root with the layer as its topmost, `debian` a folder with the files of [`DEBIAN`],
/// and `work` an empty one beside the layer. Answers the folder that is to become `/var/lib/containerd` of the layer.
pub(crate) async fn build(
    components: &Components,
    merged: &Path,
    debian: &Path,
    work: &Path,
) -> Result<PathBuf> {
    let programs = unpack(components, work).await?;
    let plugins = debian.join("usr/lib/cni");
    let from = Programs::Own { folder: &programs, plugins: &plugins };
    let debs = packages::build_debs(&work.join("debs"), &components.version, &from).await?;
    packages::install(merged, &debs).await?;
    let kubeadm = merged.join(KUBEADM.trim_start_matches('/'));
    fs::create_dir_all(kubeadm.parent().context("it lies in a folder")?)?;
    fs::copy(programs.join("kubeadm"), kubeadm)?;
    packages::write_marker(merged, Some(&components.version), ("lab-network.yml", NETWORK))?;
    fs::create_dir_all(merged.join("etc/containerd/certs.d"))?;
    fs::write(merged.join("etc/containerd/config.toml"), CONTAINERD)?;

    let archives = work.join("archives");
    fs::create_dir(&archives)?;
    let agent = work.join("network.sh");
    fs::write(&agent, NETWORK_AGENT)?;
    let mut images = command::command("bash");
    images.args(["-c", IMAGES, "images", REPOSITORY, &components.version, ETCD_TAG]);
    images.args([merged, &programs, debian, &agent, &archives]);
    command::output(&mut images).await.context("failed to make the container images")?;

    let state = work.join("containerd");
    fs::create_dir(&state)?;
    import(merged, &state, &archives).await?;
    Ok(state)
}

/// Fills the thin layer above: what changes with the lab's own code, and is made in seconds.
pub(crate) async fn add_shims(components: &Components, merged: &Path, work: &Path) -> Result<()> {
    let shim = packages::stripped(&packages::lab_binary("kubesmith-shim")?, work).await;
    let debs =
        packages::build_debs(work, &components.version, &Programs::Shims { shim: &shim }).await?;
    packages::install(merged, &debs).await
}

/// The programs, each with the sum that the archive says it has.
async fn unpack(components: &Components, work: &Path) -> Result<PathBuf> {
    let archive = &components.archive;
    let folder = work.join("programs");
    fs::create_dir(&folder)?;
    let mut tar = command::command("tar");
    tar.arg("--extract").arg("--file").arg(archive).arg("--directory").arg(&folder);
    command::output(tar.args(["--strip-components=1", "--no-same-owner"])).await?;
    let mut sums = command::command("sha256sum");
    sums.args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(&folder);
    command::output(&mut sums)
        .await
        .with_context(|| format!("{} is damaged, or has no SHA256SUMS", archive.display()))?;
    let listed = fs::read_to_string(folder.join("SHA256SUMS"))?;
    let listed: Vec<&OsStr> = listed
        .lines()
        .filter_map(|line| Some(OsStr::new(line.split_whitespace().last()?)))
        .collect();
    for entry in fs::read_dir(&folder)?.flatten() {
        let name = entry.file_name();
        anyhow::ensure!(
            name == "SHA256SUMS" || listed.contains(&name.as_os_str()),
            "{}: SHA256SUMS says nothing of {}",
            archive.display(),
            name.display()
        );
    }
    Ok(folder)
}
