//! Trees from which Terraform installs the provider without its registry.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use crate::package::{Package, SOURCE, VERSION};

/// Unpacked, `HOST/NAMESPACE/TYPE/VERSION/OS_ARCH/PROGRAM`: Terraform links to it instead of copying it.
pub(crate) fn write_filesystem(package: &Package, folder: &Path) -> anyhow::Result<()> {
    let file =
        folder.join(SOURCE).join(VERSION).join(&package.platform).join(Package::program_name());
    crate::write(&file, &package.program)?;
    Ok(std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))?)
}

/// Static files by the provider network mirror protocol.
pub(crate) fn write_network(package: &Package, folder: &Path) -> anyhow::Result<()> {
    let folder = folder.join(SOURCE);
    let versions = json!({ "versions": { VERSION: {} } });
    let archive = json!({ "url": package.zip_name(), "hashes": [package.hash()] });
    let archives = json!({ "archives": { package.platform.as_str(): archive } });
    crate::write(&folder.join("index.json"), format!("{versions:#}\n"))?;
    crate::write(&folder.join(format!("{VERSION}.json")), format!("{archives:#}\n"))?;
    crate::write(&folder.join(package.zip_name()), &package.zip)
}
