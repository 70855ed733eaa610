//! `kubesmith-lab kubernetes build`: the archive for `KUBESMITH_LAB_KUBERNETES`, from Debian's source package.
//!
//! The newest source package that can build the servers is that of Debian 12; later ones were cut down to kubectl. Go of
//! the same release builds it, once its vendored `reflect2` is replaced by Debian's newer package.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::architecture;
use crate::{command, guests::image};

const BUILD: &str = include_str!("source.sh");

/// What `kubesmith-lab kubernetes build` was asked to do.
#[derive(Debug, clap::Args)]
pub struct BuildOptions {
    /// The folder that gets the archive.
    #[arg(long)]
    out: PathBuf,
    /// Where sources and objects lie meanwhile: 6 GB. A temporary folder otherwise.
    #[arg(long)]
    work: Option<PathBuf>,
}

/// Builds the archive; takes most of an hour on two busy cores. What it says is the build's own output.
pub async fn build_from_source(options: BuildOptions) -> Result<()> {
    for (program, package) in [
        ("apt-get", "apt"),
        ("dpkg-source", "dpkg-dev"),
        ("make", "make"),
        ("gcc", "gcc"),
        ("rsync", "rsync"),
    ] {
        ensure!(
            crate::host::find(program).is_some(),
            "{program} is missing: on Debian or Ubuntu, apt-get install {package}"
        );
    }
    let mirror = image::debian_mirror().await?;
    std::fs::create_dir_all(&options.out)
        .with_context(|| format!("failed to make {}", options.out.display()))?;
    let out = std::path::absolute(&options.out)?;
    let temporary = match options.work {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("kubesmith-kubernetes-").tempdir()?),
    };
    let work = options.work.or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned()));
    let work = work.context("one of the two is set")?;
    std::fs::create_dir_all(&work)?;
    let mut build = command::command("bash");
    build.args(["-c", BUILD, "build", &mirror, architecture()]).args([&work, &out]);
    let status = build.stdin(std::process::Stdio::null()).status().await?;
    ensure!(status.success(), "the build failed ({status}); its last lines say why");
    Ok(())
}
