//! Where the stand-ins keep their files: Kubernetes' own places, under `STANDIN_ROOT` in tests.

use std::{
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

pub(super) const KUBERNETES: &str = "/etc/kubernetes";
pub(super) const PKI: &str = "/etc/kubernetes/pki";
pub(super) const MANIFESTS: &str = "/etc/kubernetes/manifests";
pub(super) const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";
pub(super) const KUBELET_CONF: &str = "/etc/kubernetes/kubelet.conf";
pub(super) const BOOTSTRAP_CONF: &str = "/etc/kubernetes/bootstrap-kubelet.conf";
pub(super) const API_SERVER_MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
pub(super) const KUBELET: &str = "/var/lib/kubelet";
pub(super) const KUBELET_CONFIG: &str = "/var/lib/kubelet/config.yaml";
pub(super) const KUBELET_FLAGS: &str = "/var/lib/kubelet/kubeadm-flags.env";
pub(super) const KUBELET_CLIENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
pub(super) const ETCD: &str = "/var/lib/etcd";
pub(super) const STORE: &str = "/var/lib/etcd/standin.json";
pub(super) const CNI: &str = "/etc/cni/net.d";
pub(super) const CNI_CONFIG: &str = "/etc/cni/net.d/10-flannel.conflist";
pub(super) const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";

/// The version that a program without a package reports (in tests, run from cargo's folder).
const UNPACKAGED: &str = "1.36.4";

/// Puts an absolute path under `STANDIN_ROOT`, if there is one.
pub(super) fn under_root(path: &str) -> PathBuf {
    match std::env::var_os("STANDIN_ROOT") {
        Some(root) => Path::new(&root).join(path.trim_start_matches('/')),
        None => PathBuf::from(path),
    }
}

pub(super) fn exists(path: &str) -> bool {
    under_root(path).exists()
}

pub(super) fn read(path: &str) -> anyhow::Result<String> {
    let file = under_root(path);
    std::fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))
}

/// Writes a file whole or not at all, with exactly this mode, and makes its folder.
pub(super) fn write(path: &str, content: &str, mode: u32) -> anyhow::Result<()> {
    let file = under_root(path);
    write_file(&file, content.as_bytes(), mode)
        .with_context(|| format!("failed to write {}", file.display()))
}

pub(super) fn write_file(file: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder)?;
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".new");
    let mut output = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&temporary)?;
    output.write_all(content)?;
    output.set_permissions(std::fs::Permissions::from_mode(mode))?;
    std::fs::rename(&temporary, file)
}

/// The version of a program's package, without a leading `v`.
pub(super) fn version_of(program: &str) -> String {
    read(&format!("/usr/share/kubesmith-standin/{program}.version"))
        .map(|text| text.trim().trim_start_matches('v').to_owned())
        .unwrap_or_else(|_| UNPACKAGED.to_owned())
}

/// The machine's name as Kubernetes uses it: lower case.
pub(super) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().trim().to_lowercase()
}

pub(super) fn has_systemd() -> bool {
    std::env::var_os("STANDIN_NO_SYSTEMD").is_none()
}
