//! Images in a guest's image: what its container runtime has before it ever starts.

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use super::Image;
use crate::command;

/// Imports archives by a containerd that runs for this alone.
pub(crate) const IMPORT: &str = include_str!("import.sh");

/// Imports the archives `*.tar` of a folder with the containerd of the root `merged`. The empty folder `state` becomes what
/// that containerd keeps in `/var/lib/containerd`.
///
/// Needs root, because containerd mounts what it unpacks.
pub(crate) async fn import(merged: &Path, state: &Path, archives: &Path) -> anyhow::Result<()> {
    let mut import = command::command("unshare");
    import.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", IMPORT, "import"]);
    import.args([merged, state, archives]);
    command::output(&mut import).await.context("failed to import the container images")?;
    Ok(())
}

/// Writes an archive in OCI's layout with images of these names (`registry.k8s.io/pause:3.10.2`), all of them empty.
pub(crate) fn pack(names: &[&str], file: &Path) -> anyhow::Result<()> {
    let mut archive = tar::Builder::new(std::fs::File::create(file)?);
    let mut add = |path: &str, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, content)
    };
    let mut described = Vec::new();
    for name in names {
        let Image { config, layer, manifest } = Image::empty(name);
        for blob in [&config, &layer, &manifest] {
            add(&format!("blobs/{}", blob.digest.replace(':', "/")), &blob.content)?;
        }
        let mut descriptor = manifest.descriptor();
        descriptor["annotations"] = json!({"io.containerd.image.name": name});
        described.push(descriptor);
    }
    add("index.json", json!({"schemaVersion": 2, "manifests": described}).to_string().as_bytes())?;
    add("oci-layout", br#"{"imageLayoutVersion": "1.0.0"}"#)?;
    archive.finish()?;
    Ok(())
}
