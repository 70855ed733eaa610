//! One command makes what is published, from programs to a folder that can be copied to where people fetch it:
//!
//! ```text
//! dist/
//!   registry/                 zips, manifest, SHA256SUMS (and its signature): a release as a registry wants it
//!   mirror/filesystem/        `filesystem_mirror` of Terraform's configuration, or ~/.terraform.d/plugins
//!   mirror/network/           `network_mirror`: static files for any web server that speaks https
//!   kubesmith-portal_*.deb    the portal with its unit, its configuration and the provider that it runs
//! ```
//!
//! The same programs give the same bytes, whenever and wherever they are packed.

mod debian;
mod mirror;
mod package;
mod registry;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Parser;
use kubesmith_process::Tool;
use tokio_util::sync::CancellationToken;

use crate::package::Package;

/// Makes registry packages, mirrors and the portal's Debian package in a new folder.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The folder to make.
    #[arg(long, default_value = "dist")]
    out: PathBuf,
    /// A provider that is built already, instead of a release build of this checkout.
    #[arg(long, requires = "portal", value_name = "FILE")]
    provider: Option<PathBuf>,
    /// A portal that is built already.
    #[arg(long, requires = "provider", value_name = "FILE")]
    portal: Option<PathBuf>,
    /// What the programs were built for, as Terraform names it.
    #[arg(long, default_value = package::HERE, value_name = "OS_ARCH")]
    platform: String,
    /// The `GnuPG` key that signs the checksums; a registry wants them signed.
    #[arg(long, value_name = "KEY")]
    sign: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(made) => {
            for file in made {
                let _ = writeln!(std::io::stdout(), "{}", file.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What was made.
async fn run(arguments: Arguments) -> anyhow::Result<Vec<PathBuf>> {
    let out = &arguments.out;
    ensure!(
        !out.exists(),
        "{} is there already: remove it, or name another with --out",
        out.display()
    );
    let (provider, portal) = match (arguments.provider, arguments.portal) {
        (Some(provider), Some(portal)) => (provider, portal),
        _ => build().await?,
    };
    let provider = Package::read(&provider, &arguments.platform)?;
    registry::write(&provider, &out.join("registry"), arguments.sign.as_deref()).await?;
    mirror::write_filesystem(&provider, &out.join("mirror/filesystem"))?;
    mirror::write_network(&provider, &out.join("mirror/network"))?;
    debian::write(&portal, &provider, out).await?;
    listed(out)
}

/// A release build of this checkout: provider and portal.
async fn build() -> anyhow::Result<(PathBuf, PathBuf)> {
    let mut args = vec!["build", "--release", "--message-format=json-render-diagnostics"];
    args.extend(["-p", "terraform-provider-kubesmith", "-p", "kubesmith-portal"]);
    let output = tool(Tool::new("cargo").args(args).timeout(Duration::from_hours(2))).await?;
    let built = |name: &str| {
        let messages =
            output.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut programs = messages.filter(|message| message["target"]["name"] == name);
        let program =
            programs.find_map(|message| message["executable"].as_str().map(PathBuf::from));
        program.with_context(|| format!("cargo did not say where it put {name}"))
    };
    Ok((built("terraform-provider-kubesmith")?, built("kubesmith-portal")?))
}

/// Runs a program to its end; what it wrote to standard output.
async fn tool(tool: Tool) -> anyhow::Result<String> {
    Ok(tool.stdin_null().output(&CancellationToken::new()).await?.stdout)
}

/// Writes a file and the folders above it.
fn write(file: &Path, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let made = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(file, bytes))
        .with_context(|| format!("failed to write {}", file.display()))
}

/// All files under a folder, sorted.
fn listed(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}
