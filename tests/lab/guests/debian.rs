//! Packages of the guests' distribution for guests that bake an image, because no guest has a way out.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::mirror::Release;
use crate::{command, components, packages};

/// What an image gets and the lab's `plain` lacks, and what a node gets that a distribution's own image lacks.
pub(super) const PACKAGES: [&str; 5] =
    ["qemu-guest-agent", "chrony", "nfs-common", "containerd", "runc"];

/// Downloads them, and all that they need and the image `plain` lacks, into a repository that apt takes as it lies there.
pub(super) async fn download(
    root: &Path,
    work: &Path,
    plain: &Path,
    release: &Release,
) -> Result<()> {
    let mirror = release.mirror().await?;
    for folder in ["lists/partial", "cache/archives/partial", "empty", "dpkg"] {
        fs::create_dir_all(work.join(folder))?;
    }
    fs::copy(plain.join("var/lib/dpkg/status"), work.join("dpkg/status"))?;
    let source = release.source(&mirror);
    let source = if source.starts_with("deb ") {
        source
    } else {
        format!("deb {source} {} {}", release.suite, release.components.replace(',', " "))
    };
    fs::write(work.join("sources.list"), source + "\n")?;
    for arguments in [
        &["update"][..],
        &["--download-only", "--yes", "--no-install-recommends", "--reinstall", "install"],
    ] {
        let mut apt = command::command("apt-get");
        for (key, path) in [
            ("Dir::Etc::SourceList", "sources.list"),
            ("Dir::Etc::SourceParts", "empty"),
            ("Dir::State::Lists", "lists"),
            ("Dir::State::status", "dpkg/status"),
            ("Dir::Cache", "cache"),
        ] {
            apt.arg("-o").arg(format!("{key}={}", work.join(path).display()));
        }
        apt.args(["-o", "APT::Sandbox::User=root", "--quiet"]).args(arguments);
        apt.args(PACKAGES.iter().filter(|_| arguments.contains(&"install")));
        command::output(&mut apt).await.context("apt-get")?;
    }
    let pool = root.join(components::architecture());
    fs::create_dir_all(&pool)?;
    for file in fs::read_dir(work.join("cache/archives"))?.flatten() {
        if file.path().extension().is_some_and(|extension| extension == "deb") {
            fs::rename(file.path(), pool.join(file.file_name()))?;
        }
    }
    packages::index(root).await
}
