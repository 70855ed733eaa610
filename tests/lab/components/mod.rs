//! Kubernetes' own programs for the lab's guests, for those who have them: `KUBESMITH_LAB_KUBERNETES` names their folder.
//!
//! What differs from a cluster on real machines, and is said by the programs themselves: kubeadm and crictl are shims
//! (`shim/`), the pod network is the lab's own in place of Flannel (`network.yml`), there is no `CoreDNS`, and kubelet
//! takes no notice of the disk, which belongs to the whole machine. `source.rs` builds the folder's content.

mod image;
pub mod shim;
mod source;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

pub(crate) use image::{DEBIAN, RECIPE, add_shims, build};
pub use source::{BuildOptions, build_from_source};

/// Names the folder with `kubernetes-VERSION-linux-amd64.tar.xz`.
pub const FOLDER: &str = "KUBESMITH_LAB_KUBERNETES";

/// An archive of Kubernetes' static programs. What is in it counts only after its own `SHA256SUMS` were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    /// The version, without a leading `v`.
    pub version: String,
    /// The archive.
    pub archive: PathBuf,
}

impl Components {
    /// Those in the folder that `KUBESMITH_LAB_KUBERNETES` names; nothing where it is not set.
    pub fn of_environment() -> Result<Option<Self>> {
        match std::env::var_os(FOLDER).filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::find(Path::new(&folder)).map(Some),
            None => Ok(None),
        }
    }

    fn find(folder: &Path) -> Result<Self> {
        let entries = std::fs::read_dir(folder).with_context(|| {
            format!("{FOLDER} names {}, which cannot be read", folder.display())
        })?;
        let mut found: Vec<Self> =
            entries.flatten().filter_map(|entry| Self::of_archive(entry.path())).collect();
        match (found.pop(), found.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(_), false) => bail!(
                "{} holds several archives of Kubernetes: leave the one that guests are to carry",
                folder.display()
            ),
            (None, _) => bail!(
                "{FOLDER} names {}, which holds no kubernetes-VERSION-linux-{}.tar.xz: make one with `kubesmith-lab kubernetes \
                 build --out {}`",
                folder.display(),
                architecture(),
                folder.display()
            ),
        }
    }

    fn of_archive(archive: PathBuf) -> Option<Self> {
        let name = archive.file_name()?.to_str()?;
        let ending = format!("-linux-{}.tar.xz", architecture());
        let version = name.strip_prefix("kubernetes-")?.strip_suffix(&ending)?.to_owned();
        Some(Self { version, archive })
    }

    /// The name of the template whose machines carry them.
    pub fn template(&self) -> String {
        let minor = self.version.rsplit_once('.').map_or(self.version.as_str(), |(minor, _)| minor);
        format!("debian-13-k8s-{minor}")
    }
}

/// Go's name of this machine's architecture.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_says_which_version_guests_carry() {
        let folder = tempfile::tempdir().unwrap();
        let none = Components::find(folder.path()).unwrap_err().to_string();
        assert!(none.contains("kubesmith-lab kubernetes build --out"), "{none}");
        let name = format!("kubernetes-1.20.2-linux-{}.tar.xz", architecture());
        std::fs::write(folder.path().join(name), "").unwrap();
        std::fs::write(folder.path().join("README.md"), "").unwrap();
        let found = Components::find(folder.path()).unwrap();
        assert_eq!(
            (found.version.as_str(), found.template().as_str()),
            ("1.20.2", "debian-13-k8s-1.20")
        );
    }
}
