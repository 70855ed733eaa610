//! A plan without changes, beside two others: what Terraform itself takes, and what it takes with any provider.

use std::{path::Path, time::Instant};

use anyhow::{Result, ensure};

use super::{Row, median, ratio};
use crate::session::{self, Session, Workspace};

/// The yardstick: a plan for which Terraform needs no plugin.
const NOTHING: &str = "resource \"terraform_data\" \"nothing\" {}\n";

/// The floor: three things that name each other, of an idle provider, which asks nobody. Terraform starts a plugin three
/// times for a plan, and each time makes a certificate for it.
const SHELF: &str = r#"
terraform {
  required_providers {
    shelf = { source = "example/shelf" }
  }
}
provider "shelf" {
  directory = "."
}
resource "shelf_box" "pool" {
  name = "pool"
}
resource "shelf_box" "lease" {
  name  = "lease"
  label = shelf_box.pool.id
}
resource "shelf_box" "cluster" {
  name  = "cluster"
  label = shelf_box.lease.id
}
"#;

/// The workspaces that ours is compared with.
pub(super) struct Others {
    nothing: Workspace,
    shelf: Workspace,
}

impl Others {
    /// Makes and applies them.
    pub(super) async fn prepare(
        session: &Session,
        provider: &Path,
        shelf: &Path,
        ansible_playbook: &Path,
    ) -> Result<Self> {
        let workspace = |name, hcl| session.workspace(name, hcl, provider, ansible_playbook);
        let others =
            Self { nothing: workspace("nothing", NOTHING)?, shelf: workspace("shelf", SHELF)? };
        session::mirror(&others.shelf.dir().join(".mirror"), "example/shelf", shelf)?;
        for workspace in [&others.nothing, &others.shelf] {
            for arguments in [&["init"][..], &["apply", "-auto-approve"]] {
                workspace.terraform(arguments).await?;
            }
        }
        Ok(others)
    }
}

/// Measures them in turn, so that all see the same machine.
pub(super) async fn measure(ours: &Workspace, others: &Others, runs: usize) -> Result<[Row; 2]> {
    let workspaces = [ours, &others.nothing, &others.shelf];
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..runs {
        for (workspace, times) in workspaces.iter().zip(&mut times) {
            let began = Instant::now();
            let text = workspace.terraform(&["plan", "-no-color"]).await?;
            times.push(began.elapsed());
            ensure!(text.contains("No changes."), "the plan is not empty:\n{text}");
        }
    }
    let [ours, nothing, shelf] = times.map(median);
    let floor = shelf.as_secs_f64() / nothing.as_secs_f64();
    let mut row = ratio("empty plan / Terraform's own", ours, nothing, 2.5);
    row.detail = format!("{}; an idle provider: {floor:.3}", row.detail);
    Ok([row, ratio("empty plan / an idle provider's", ours, shelf, 1.25)])
}
