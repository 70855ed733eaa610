//! What Terraform's plan needs to know beyond single attributes. As far as values go a pure function of
//! configuration and prior state; the look at the datacentre gives diagnostics only.

use kubesmith_tfplugin::{Cx, Diag, Plan, Result, Severity, Value};

use super::model::{Cluster, Node};
use super::preflight;
use super::target::Target;
use crate::provider::{Context, deadline};

/// Adds to the plan.
pub(super) async fn plan(cx: &Cx<Context>, plan: &mut Plan<Cluster>) -> Result<()> {
    if plan.is_destroy() {
        return Ok(());
    }
    refuse_changes(plan);
    let target = plan.planned().map(|planned| Target::of(&planned.spec()));
    let before: Vec<Node> = plan.before("nodes").into_known().unwrap_or_default();
    let existing: Vec<u32> = before.iter().map(|node| node.vmid).collect();
    let new = match &target {
        Some(target) => preflight::missing(target, &existing),
        None => Vec::new(),
    };
    if !plan.is_create() {
        let surplus =
            target.as_ref().is_some_and(|t| existing.iter().any(|vmid| t.machine(*vmid).is_none()));
        if !new.is_empty() || surplus {
            plan.set_unknown("nodes");
            plan.set_unknown("known_hosts");
        }
        let whole: Value<String> = plan.before("kubeconfig");
        if whole.is_null() {
            plan.set_unknown("nodes");
            plan.set_unknown("known_hosts");
            plan.set_unknown("kubeconfig");
        }
    }
    if let (Some(context), Some(planned)) = (cx.configured_client(), plan.planned())
        && (plan.is_create() || !new.is_empty())
    {
        for diag in preflight::preflight(context, &planned.spec(), &new, &deadline(cx)).await {
            // Only a warning here: Terraform plans before a destroy too, which must not fail for the want of
            // a template. Apply begins with the same look, and refuses.
            plan.diag(Diag { severity: Severity::Warning, ..diag });
        }
    }
    Ok(())
}

/// Changes that cannot be made, and must not silently become a new cluster.
fn refuse_changes(plan: &mut Plan<Cluster>) {
    if plan.changes("kubernetes_version") {
        let detail = "Upgrades are not supported yet. Keep the version, or create a new cluster with the new one.";
        plan.diag(
            Diag::error("Unable to change the Kubernetes version")
                .detail(detail)
                .at("kubernetes_version"),
        );
    }
    for path in ["control_plane.disk_gib", "workers.disk_gib"] {
        let (before, planned): (Value<u32>, Value<u32>) = (plan.before(path), plan.get(path));
        if let (Some(before), Some(planned)) = (before.as_ref(), planned.as_ref())
            && planned < before
        {
            let detail = format!(
                "It has {before} GiB, and disks cannot shrink. Give at least {before}, or replace the cluster."
            );
            plan.diag(Diag::error("Unable to shrink a disk").detail(detail).at(path));
        }
    }
}
