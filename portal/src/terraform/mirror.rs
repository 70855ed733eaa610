//! The provider in a filesystem mirror, pinned by version and hash. Terraform installs it from nowhere else.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hcl::{Block, Body, Expression};
use sha2::{Digest as _, Sha256};

const SOURCE: &str = "registry.terraform.io/kubesmith/kubesmith";

/// A provider that lies in a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its version.
    pub version: String,
    /// Its hash, as Terraform's lock file writes it.
    pub hash: String,
    /// The program itself.
    pub program: PathBuf,
}

impl Provider {
    /// The newest one for this machine in an unpacked mirror (`HOST/NAMESPACE/TYPE/VERSION/OS_ARCH`). Reads all of it.
    pub fn find(mirror: &Path) -> anyhow::Result<Self> {
        let (version, folder) = newest(mirror)?;
        let hash = package_hash(&folder)
            .with_context(|| format!("the provider in {} cannot be read", folder.display()))?;
        let program = folder.join(format!("terraform-provider-kubesmith_v{version}"));
        anyhow::ensure!(program.is_file(), "{} is missing", program.display());
        Ok(Self { version, hash, program })
    }

    /// The text of `.terraform.lock.hcl`.
    pub fn lock_file(&self) -> String {
        let provider = Block::builder("provider")
            .add_label(SOURCE)
            .add_attribute(("version", self.version.as_str()))
            .add_attribute(("hashes", Expression::Array(vec![self.hash.as_str().into()])))
            .build();
        print(&Body::builder().add_block(provider).build())
    }

    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self { version: "0.1.0".into(), hash: "h1:x=".into(), program: "/nowhere".into() }
    }
}

/// By what it is noticed that a provider was put in the place of another: names, sizes and times, not one byte read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Vec<(PathBuf, u64, SystemTime)>);

/// The stamp of the provider that [`Provider::find`] would read.
pub fn stamp(mirror: &Path) -> anyhow::Result<Stamp> {
    let (_, folder) = newest(mirror)?;
    let reading = || format!("the provider in {} cannot be read", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        let about = std::fs::metadata(&path).with_context(reading)?;
        files.push((path, about.len(), about.modified().with_context(reading)?));
    }
    files.sort();
    Ok(Stamp(files))
}

/// The newest version, and where it lies.
fn newest(mirror: &Path) -> anyhow::Result<(String, PathBuf)> {
    let versions = mirror.join(SOURCE);
    let entries = std::fs::read_dir(&versions)
        .with_context(|| format!("the provider mirror has no folder {}", versions.display()))?;
    let mut newest = None;
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        newest = newest.max(version(&name).map(|order| (order, name)));
    }
    let Some((_, version)) = newest else {
        bail!("{} holds no folder named after a version", versions.display());
    };
    let folder = versions.join(&version).join(platform());
    Ok((version, folder))
}

/// The text of Terraform's own configuration file: providers come from this mirror or not at all.
pub fn cli_config(mirror: &Path) -> String {
    let mirror = Block::builder("filesystem_mirror")
        .add_attribute(("path", mirror.to_string_lossy().into_owned()))
        .build();
    let installation = Block::builder("provider_installation").add_block(mirror).build();
    print(
        &Body::builder()
            .add_attribute(("disable_checkpoint", true))
            .add_block(installation)
            .build(),
    )
}

fn print(body: &Body) -> String {
    hcl::to_string(body).expect("blocks of texts and lists can be printed")
}

/// `linux_amd64`, as Terraform names this machine.
fn platform() -> String {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}_{arch}", std::env::consts::OS)
}

/// Complete versions only, compared by number.
fn version(name: &str) -> Option<[u64; 3]> {
    let mut parts = name.splitn(3, '.').map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

/// Terraform's hash of an unpacked package: over the names and hashes of all its files.
fn package_hash(folder: &Path) -> anyhow::Result<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let mut sum = Sha256::new();
    for name in names {
        let bytes = std::fs::read(folder.join(&name))?;
        sum.update(format!("{}  {name}\n", hex::encode(Sha256::digest(&bytes))));
    }
    Ok(format!("h1:{}", STANDARD.encode(sum.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_pinned_and_other_folders_are_ignored() {
        let mirror = tempfile::tempdir().unwrap();
        for version in ["0.9.0", "0.10.0", "latest", "1.0.0-rc1"] {
            let folder = mirror.path().join(SOURCE).join(version).join(platform());
            std::fs::create_dir_all(&folder).unwrap();
            let name = format!("terraform-provider-kubesmith_v{version}");
            std::fs::write(folder.join(name), version).unwrap();
        }
        let provider = Provider::find(mirror.path()).unwrap();
        assert_eq!(provider.version, "0.10.0");
        insta::assert_snapshot!(provider.lock_file());
        let before = stamp(mirror.path()).unwrap();
        assert_eq!(stamp(mirror.path()).unwrap(), before);
        std::fs::write(&provider.program, "another").unwrap();
        assert_ne!(stamp(mirror.path()).unwrap(), before, "another provider is noticed");
        let missing = Provider::find(&mirror.path().join("x")).unwrap_err().to_string();
        assert!(missing.contains("has no folder"), "{missing}");
    }

    #[test]
    fn a_path_is_a_literal_in_terraforms_configuration() {
        insta::assert_snapshot!(cli_config(Path::new("/srv/a \"${b}\"")));
    }
}
