//! One version of the provider for one platform, as Terraform installs it.

use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;

/// The version of this checkout.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where the provider is known under, as a path.
pub(crate) const SOURCE: &str = "registry.terraform.io/kubesmith/kubesmith";

/// This machine, as Terraform names it.
pub(crate) const HERE: &str =
    if cfg!(target_arch = "aarch64") { "linux_arm64" } else { "linux_amd64" };

/// The program, and the zip in which it is sent around.
pub(crate) struct Package {
    /// `linux_amd64`.
    pub platform: String,
    /// The program's bytes.
    pub program: Vec<u8>,
    /// The zip's bytes; the program is its only file.
    pub zip: Vec<u8>,
}

impl Package {
    /// Reads a built program.
    pub(crate) fn read(file: &Path, platform: &str) -> anyhow::Result<Self> {
        let known = ["linux_amd64", "linux_arm64"];
        ensure!(
            known.contains(&platform),
            "{platform} is not a platform of ours: {}",
            known.join(", ")
        );
        let program =
            std::fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
        let zip = zipped(&program).context("failed to pack the provider")?;
        Ok(Self { platform: platform.to_owned(), program, zip })
    }

    /// The program's name inside the package.
    pub(crate) fn program_name() -> String {
        format!("terraform-provider-kubesmith_v{VERSION}")
    }

    /// The zip's name.
    pub(crate) fn zip_name(&self) -> String {
        format!("terraform-provider-kubesmith_{VERSION}_{}.zip", self.platform)
    }

    /// Terraform's hash of the unpacked package, as lock files have it: over names and hashes of its files.
    pub(crate) fn hash(&self) -> String {
        let lines = format!("{}  {}\n", sha256(&self.program), Self::program_name());
        format!("h1:{}", STANDARD.encode(Sha256::digest(lines)))
    }
}

/// In lower-case hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Without a time, so that the same program is the same zip.
fn zipped(program: &[u8]) -> zip::result::ZipResult<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(Package::program_name(), SimpleFileOptions::DEFAULT.unix_permissions(0o755))?;
    zip.write_all(program)?;
    Ok(zip.finish()?.into_inner())
}
