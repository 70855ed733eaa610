//! A release as a registry wants it: zips, a manifest, checksums of all of them, the checksums' signature.

use std::io::Write as _;
use std::path::Path;

use kubesmith_process::Tool;
use serde_json::json;

use crate::package::{Package, VERSION, sha256};

/// Writes a release into a new folder; with a key, signed.
pub(crate) async fn write(
    package: &Package,
    folder: &Path,
    key: Option<&str>,
) -> anyhow::Result<()> {
    let base = format!("terraform-provider-kubesmith_{VERSION}");
    let manifest = json!({ "version": 1, "metadata": { "protocol_versions": ["6.0"] } });
    let manifest = format!("{manifest:#}\n").into_bytes();
    let mut sums = Vec::new();
    for (name, bytes) in
        [(package.zip_name(), &package.zip), (format!("{base}_manifest.json"), &manifest)]
    {
        writeln!(sums, "{}  {name}", sha256(bytes))?;
        crate::write(&folder.join(name), bytes)?;
    }
    let file = folder.join(format!("{base}_SHA256SUMS"));
    crate::write(&file, sums)?;
    if let Some(key) = key {
        // Registries take the binary form, detached.
        let gpg =
            Tool::new("gpg").args(["--batch", "--local-user", key, "--detach-sign"]).arg(&file);
        crate::tool(gpg).await?;
    }
    Ok(())
}
