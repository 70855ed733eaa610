//! `kubesmith_cluster`: Terraform's calls become one thing, a converge to a target.
//!
//! `observe` looks, `plan` (pure) says which steps are next, `apply` performs one. Create, change, repair
//! and destroy differ only in the target. Read this file first, then `plan.rs`.

mod apply;
mod clone;
mod converge;
mod hook;
mod import;
pub(crate) mod lookup;
mod model;
mod observe;
mod placement;
mod plan;
mod preflight;
mod read;
mod remembered;
mod room;
mod site;
mod step;
mod target;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kubesmith_spec::ClusterSpec;
use kubesmith_spec::events::Receipt;
use kubesmith_tfplugin::{Cx, Diag, Diags, Plan, Resource, Result, Secret, Severity, Value};
use tokio::time::Instant;
use zeroize::Zeroizing;

use self::converge::{check, converge};
use self::model::Cluster;
use self::site::{Progress, Site};
use self::target::Target;
use crate::diagnose;
use crate::ledger::Ledger;
use crate::machine::{self, Found, RemoveError};
use crate::provider::{Context, deadline};
use crate::ssh::{KeyPair, KnownHosts};
use crate::wait::Limits;

/// How long an operation may take that Terraform sets no limit to: refresh, import.
const LOOKING: Duration = Duration::from_mins(3);

/// The resource.
pub(crate) struct Clusters;

impl Resource for Clusters {
    type Model = Cluster;
    type Client = Context;

    async fn create(&self, cx: &Cx<Context>, mut plan: Cluster) -> Result<Cluster> {
        let context = cx.client()?;
        let spec = plan.spec();
        let key = KeyPair::generate(&format!("kubesmith {}", spec.name));
        let site =
            Site::new(context, context.owner()?, &spec, &key, limits(cx), Progress::default());
        let target = Target::of(&spec);
        ready_to_build(cx, &spec, &target).await?;
        check(&site, &target).await?;

        // From here on something may exist: whatever happens, the state knows its name and its key.
        plan.id = spec.name.to_string().into();
        plan.endpoint = spec.api_endpoint().map(|endpoint| format!("https://{endpoint}")).into();
        plan.ssh_private_key = Secret::new(key.private_text().to_string()).into();
        build(cx, &site, &target, plan).await
    }

    async fn read(&self, cx: &Cx<Context>, state: Cluster) -> Result<Option<Cluster>> {
        let context = cx.client()?;
        let spec = state.spec();
        // Without a key nothing was ever made.
        let Some(key) = key_of(&state)? else { return Ok(None) };
        let site =
            Site::new(context, context.owner()?, &spec, &key, limits(cx), progress_of(&state));
        let reading = read::read(&site, state).await?;
        for warning in reading.warnings {
            cx.warn(warning);
        }
        Ok(reading.state)
    }

    async fn update(&self, cx: &Cx<Context>, prior: Cluster, mut plan: Cluster) -> Result<Cluster> {
        let context = cx.client()?;
        let Some(key) = key_of(&prior)? else { return self.create(cx, plan).await };
        // Until its machines are gone, a lease that is given up is still the cluster's.
        let leases = plan.leases.clone();
        plan.keep_leases_of(&prior);
        let spec = plan.spec();
        let site =
            Site::new(context, context.owner()?, &spec, &key, limits(cx), progress_of(&prior));
        let target = Target { settled: !plan.nodes.is_unknown(), ..Target::of(&spec) };
        check(&site, &target).await?;
        Ok(Cluster { leases, ..build(cx, &site, &target, plan).await? })
    }

    async fn delete(&self, cx: &Cx<Context>, state: Cluster) -> Result<()> {
        let context = cx.client()?;
        let spec = state.spec();
        let Some(key) = key_of(&state)? else { return Ok(()) };
        let site =
            Site::new(context, context.owner()?, &spec, &key, limits(cx), Progress::default());
        converge(&site, &Target::nothing(), &|_| ()).await?;
        confirm_absence(&site).await
    }

    async fn import(&self, cx: &Cx<Context>, id: &str) -> Result<Option<Cluster>> {
        import::import(cx.client()?, id, limits(cx)).await
    }

    async fn plan(&self, cx: &Cx<Context>, plan: &mut Plan<Cluster>) -> Result<()> {
        hook::plan(cx, plan).await
    }

    fn validate(&self, config: &Cluster, diags: &mut Diags) {
        for problem in config.spec().problems() {
            diags.push(
                Diag::error("Invalid cluster")
                    .detail(diagnose::sentence(&problem.message))
                    .at(problem.path.as_str()),
            );
        }
        if config.storage.is_some() && config.clone != "full" {
            let detail = "A linked clone lies on its template's storage. Set clone = \"full\", or leave \"storage\" out.";
            diags.push(Diag::error("A storage needs full clones").detail(detail).at("storage"));
        }
    }
}

/// Converges, and returns the state that was reached. Whatever was made or learnt on the way is
/// checkpointed, so that an error, a cancellation or a timeout loses nothing.
async fn build(
    cx: &Cx<Context>,
    site: &Site<'_>,
    target: &Target,
    mut plan: Cluster,
) -> Result<Cluster> {
    // Which machines there are was either left open by the plan, or does not change.
    if plan.nodes.is_unknown() {
        plan.nodes = Value::Null;
    }
    let state = Mutex::new(plan);
    let save = |site: &Site<'_>| {
        let progress = site.progress().clone();
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.known_hosts = progress.known_hosts.to_string().into();
        state.kubeconfig =
            progress.kubeconfig.map(|kubeconfig| Secret::new(kubeconfig.to_string())).into();
        cx.checkpoint(&*state);
    };
    save(site);
    let observed = converge(site, target, &save).await?;
    save(site);
    let mut state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if state.nodes.is_null() {
        state.nodes = Value::Known(converge::nodes(target, &observed));
    }
    Ok(state)
}

/// Everything that can be known to fail before anything is touched.
async fn ready_to_build(cx: &Cx<Context>, spec: &ClusterSpec, target: &Target) -> Result<()> {
    let context = cx.client()?;
    let deadline = deadline(cx);
    let found = preflight::preflight(context, spec, &target.machines, &deadline).await;
    let (errors, warnings): (Vec<Diag>, Vec<Diag>) =
        found.into_iter().partition(|d| d.severity == Severity::Error);
    for warning in warnings {
        cx.warn(warning);
    }
    errors.into_iter().collect::<Diags>().into_result(())?;

    let ledger = Ledger::open(context, &deadline).await?;
    for lease in &spec.leases {
        let (rows, _) = ledger.rows(&lease.pool).await?;
        if !rows.claim(&lease.transaction).is_some_and(|claim| claim.is_complete()) {
            let detail = format!(
                "Its addresses are not (or not all) in the ledger under transaction {}. Apply the lease first; it puts missing entries back.",
                lease.transaction
            );
            return Err(Diag::error(format!("Lease {} is not held", lease.id()))
                .detail(detail)
                .at("leases")
                .into());
        }
    }
    Ok(())
}

/// The proof of a destroy: each VMID is free, or belongs to somebody else by now.
async fn confirm_absence(site: &Site<'_>) -> Result<()> {
    let summary = format!("Unable to confirm that cluster {} is gone", site.spec.name);
    let mut places = site.progress().removed.clone();
    places.extend(site.spec.machines().into_iter().map(|machine| (machine.vmid, machine.address)));
    let mut receipt = Receipt::default();
    for (vmid, address) in places {
        let found = machine::look(site.client(), vmid, &site.deadline()).await;
        match found.map_err(|error| diagnose::proxmox(summary.as_str(), &error))? {
            Found::Absent => {
                receipt.vmids.push(vmid);
                receipt.addresses.push(address);
            }
            Found::Machine(found)
                if site.owns(&found.stamp) && found.stamp.nonce == site.key.nonce() =>
            {
                let detail = format!(
                    "{} (VM {vmid} on {}) is still there. Destroy again.",
                    found.stamp.node, found.node
                );
                return Err(Diag::error(summary).detail(detail).into());
            }
            // It is somebody else's by now.
            Found::Machine(_) | Found::Stranger { .. } => {}
            Found::Hidden => {
                return Err(diagnose::removal(summary, &RemoveError::Hidden(vmid)).into());
            }
        }
    }
    site.events.receipt(receipt);
    Ok(())
}

/// The key pair of a cluster that exists; `None` if its create never came that far.
fn key_of(state: &Cluster) -> Result<Option<KeyPair>> {
    let Some(key) = state.ssh_private_key.as_ref() else { return Ok(None) };
    let parsed = KeyPair::parse(key.expose()).map_err(|error| {
        Diag::error("Unable to use the cluster's SSH key")
            .detail(format!("The key in the Terraform state was damaged: {error}."))
            .at("ssh_private_key")
    });
    Ok(Some(parsed?))
}

/// What the state knows beyond what can be observed.
fn progress_of(state: &Cluster) -> Progress {
    Progress {
        known_hosts: state
            .known_hosts
            .as_ref()
            .map(|text| KnownHosts::parse(text))
            .unwrap_or_default(),
        kubeconfig: state.kubeconfig.as_ref().map(|text| Zeroizing::new(text.expose().clone())),
        ..Progress::default()
    }
}

fn limits(cx: &Cx<Context>) -> Limits {
    let deadline = cx.deadline().unwrap_or_else(|| Instant::now() + LOOKING);
    Limits { deadline, cancel: cx.token().clone() }
}
