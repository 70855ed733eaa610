//! The package repository of the lab: Kubernetes' Debian packages, made from the stand-ins, signed and served.
//!
//! Layout, names, versions and files are those of the real repositories (`/core:/stable:/v1.36/deb/`, one minor each), so
//! that a role cannot tell them apart. The programs inside are `kubesmith-standin` under four names (`kube/mod.rs`), or
//! Kubernetes' own in the image of `components/`.

mod deb;
mod golden;
mod repository;
mod serve;

use std::path::PathBuf;

use anyhow::Context as _;

pub(crate) use deb::stripped;
pub use deb::{Programs, build_debs};
pub use golden::{FLANNEL, install, write_marker};
pub(crate) use repository::index;
pub use repository::{Repository, build_repository};
pub use serve::{respond, serve};

/// The stand-in program that cargo built beside the running one.
pub fn standin_binary() -> anyhow::Result<PathBuf> {
    lab_binary("kubesmith-standin")
}

/// A program of the lab for its guests, which cargo built beside the running one.
///
/// A test binary lies in `deps/`, one folder below the programs, so that folder's parent is searched as well.
pub(crate) fn lab_binary(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("failed to find the running program")?;
    program
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .with_context(|| {
            format!(
                "no {name} beside {}: build it with `cargo build -p kubesmith-lab --bin {name}`",
                program.display()
            )
        })
}

/// The minor that a version belongs to, as repositories name it: `1.36.4` and `1.36.4-1.1` are in `v1.36`.
fn minor(version: &str) -> anyhow::Result<String> {
    let mut parts = version.trim_start_matches('v').split('.');
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) => Ok(format!("v{major}.{minor}")),
        _ => {
            anyhow::bail!("\"{version}\" is not a Kubernetes version: expected a form like 1.36.4")
        }
    }
}
