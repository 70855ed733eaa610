//! The loop that makes what is into what should be: observe, plan, do the steps, again, until no step is
//! left. It ends: a step that is planned again right after it was done is an error.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use kubesmith_spec::events::Status;
use kubesmith_tfplugin::{Diag, Diags, Result};

use super::apply::apply;
use super::model::Node;
use super::observe::observe;
use super::plan::{Observed, Seen, plan};
use super::site::Site;
use super::step::Step;
use super::target::Target;
use crate::diagnose::{self, sentence};

/// Converges. `save` is called whenever something was made or learnt, so that nothing is lost if this
/// does not come to its end.
///
/// Returns what was observed last, when nothing was left to do.
pub(super) async fn converge(
    site: &Site<'_>,
    target: &Target,
    save: &(dyn Fn(&Site<'_>) + Sync),
) -> Result<Observed> {
    let summary = summary(site);
    let mut previous: Vec<Step> = Vec::new();
    loop {
        if site.limits.cancel.is_cancelled() {
            return Err(Diag::error(summary)
                .detail("It was interrupted. Apply again to go on.")
                .into());
        }
        let (observed, steps) = look_ahead(site, target).await?;
        if steps.is_empty() {
            return Ok(observed);
        }
        if let Some(step) = steps.iter().find(|step| previous.contains(step)) {
            let detail = format!(
                "It was tried to {step}, and it ended well, but the same is needed again. Something else seems to \
                 change these machines, or Proxmox does not show what it did. Kubernetes: {}.",
                observed.kubernetes
            );
            return Err(Diag::error(summary).detail(detail).into());
        }
        perform(site, &steps, &summary, save).await?;
        previous = steps;
    }
}

/// Plans once and does nothing: finds what is in the way before anything is touched.
pub(super) async fn check(site: &Site<'_>, target: &Target) -> Result<()> {
    look_ahead(site, target).await.map(|_| ())
}

async fn look_ahead(site: &Site<'_>, target: &Target) -> Result<(Observed, Vec<Step>)> {
    let observed = observe(site, target).await;
    let observed = observed.map_err(|error| diagnose::proxmox(summary(site), &error))?;
    let steps = plan(target, &observed);
    let steps = steps
        .map_err(|refusal| Diag::error(summary(site)).detail(sentence(&refusal.to_string())))?;
    Ok((observed, steps))
}

/// The machines with the Proxmox nodes that they are on.
pub(super) fn nodes(target: &Target, observed: &Observed) -> Vec<Node> {
    let host = |vmid| match observed.machines.get(&vmid) {
        Some(Seen::Ours(ours)) => Some(ours.existing.host.as_str()),
        Some(Seen::Stranger { .. } | Seen::OutOfReach { .. }) | None => None,
    };
    target
        .machines
        .iter()
        .filter_map(|machine| Some(Node::of(machine, host(machine.vmid)?)))
        .collect()
}

fn summary(site: &Site<'_>) -> String {
    format!("Unable to finish cluster {}", site.spec.name)
}

/// Does the steps: those of one machine in their order, everything else side by side.
async fn perform(
    site: &Site<'_>,
    steps: &[Step],
    summary: &str,
    save: &(dyn Fn(&Site<'_>) + Sync),
) -> Result<()> {
    let mut chains: BTreeMap<Option<u32>, Vec<&Step>> = BTreeMap::new();
    for step in steps {
        chains.entry(step.machine().map(|(_, vmid)| vmid)).or_default().push(step);
    }
    let chains = chains.into_values().map(|chain| async move {
        for step in chain {
            perform_one(site, step, summary).await?;
            save(site);
        }
        Ok::<(), Diag>(())
    });
    let failures: Diags =
        join_all(chains).await.into_iter().filter_map(std::result::Result::err).collect();
    failures.into_result(())
}

async fn perform_one(site: &Site<'_>, step: &Step, summary: &str) -> std::result::Result<(), Diag> {
    let (phase, node) = (step.phase(), step.machine().map(|(name, _)| name));
    let (kind, text) = (Some(step.kind()), step.to_string());
    if site.limits.cancel.is_cancelled() {
        return Err(Diag::error(summary)
            .detail(format!("Interrupted before this step: {text}. Apply again to go on.")));
    }
    site.events.tell(phase, Status::Started, kind, &text, node, None);
    match apply(site, step).await {
        Ok(()) => {
            site.events.tell(phase, Status::Done, kind, &text, node, None);
            Ok(())
        }
        Err(error) => {
            site.events.tell(phase, Status::Failed, kind, &text, node, Some(error.to_string()));
            Err(Diag::error(summary)
                .detail(format!("Failed to {text}: {error}\n\n{}", error.next_step())))
        }
    }
}
