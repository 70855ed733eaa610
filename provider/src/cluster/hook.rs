//! What Terraform's plan needs to know beyond single attributes. As far as values go a pure function of
//! configuration and prior state; the look at the datacentre gives diagnostics only.

use std::net::Ipv4Addr;

use kubesmith_spec::{
    AddressRange, ClusterSpec, KubernetesVersion, Lease, MachineNetwork, MachineSize,
    ProxmoxNodeName, Transaction, VlanTag, Workers,
};
use kubesmith_tfplugin::{AttributeType, Cx, Diag, Plan, Result, Severity, Text, Value};

use super::model::{Cluster, Node, clone_mode};
use super::preflight;
use super::target::{Machine, Target};
use crate::provider::{Context, deadline};
use crate::ssh::KnownHosts;

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
        let whole: Value<String> = plan.before("kubeconfig");
        if whole.is_null() {
            plan.set_unknown("kubeconfig");
        }
        let pinned: Value<String> = plan.before("known_hosts");
        let pinned = KnownHosts::parse(pinned.as_ref().map_or("", String::as_str));
        let stays = |target: &Target| {
            new.is_empty()
                && existing.iter().all(|vmid| target.machine(*vmid).is_some())
                && target.machines.iter().all(|machine| pinned.contains(machine.address))
        };
        // Machines are only made and removed where the plan says that they may change.
        if whole.is_null() || !target.as_ref().is_some_and(stays) {
            plan.set_unknown("nodes");
            plan.set_unknown("known_hosts");
        }
    }
    if plan.is_create() || !new.is_empty() {
        look_ahead(cx, plan, new).await;
    }
    Ok(())
}

/// The preflight, with what is known so far: in a first plan the leases are not known yet, and need not be.
async fn look_ahead(cx: &Cx<Context>, plan: &mut Plan<Cluster>, new: Vec<Machine>) {
    let Some(context) = cx.configured_client() else { return };
    let (spec, new) = match (plan.planned(), foreseen(plan)) {
        (Some(planned), _) => (planned.spec(), new),
        (None, Some(planned)) => {
            let spec = ClusterSpec { leases: vec![stand_in(planned.machine_count())], ..planned };
            let new = Target::of(&spec).machines;
            (spec, new)
        }
        (None, None) => return,
    };
    for diag in preflight::preflight(context, &spec, &new, &deadline(cx)).await {
        // Only a warning here: Terraform plans before a destroy too, which must not fail for the want of
        // a template. Apply begins with the same look, and refuses.
        plan.diag(Diag { severity: Severity::Warning, ..diag });
    }
}

/// The cluster without its leases, if all the rest that a preflight asks for is known.
fn foreseen(plan: &Plan<Cluster>) -> Option<ClusterSpec> {
    fn known<T: AttributeType>(plan: &Plan<Cluster>, path: &str) -> Option<T> {
        plan.get(path).into_known()
    }
    #[expect(clippy::option_option, reason = "not known yet, and not given")]
    fn optional<T: AttributeType>(plan: &Plan<Cluster>, path: &str) -> Option<Option<T>> {
        let value: Value<T> = plan.get(path);
        if value.is_unknown() { None } else { Some(value.into_known()) }
    }
    let size = |role: &str| {
        let part = |name: &str| known(plan, &format!("{role}.{name}"));
        Some(MachineSize {
            cores: part("cores")?,
            memory_mib: part("memory_mib")?,
            disk_gib: part("disk_gib")?,
        })
    };
    let nodes: Option<Vec<Text<ProxmoxNodeName>>> = optional(plan, "proxmox_nodes")?;
    let vlan: Option<u16> = optional(plan, "network.vlan")?;
    Some(ClusterSpec {
        name: known::<Text<_>>(plan, "name")?.0,
        leases: Vec::new(),
        template: known::<Text<_>>(plan, "template")?.0,
        kubernetes_version: known::<Text<_>>(plan, "kubernetes_version")?.0,
        network: MachineNetwork {
            bridge: known::<Text<_>>(plan, "network.bridge")?.0,
            vlan: vlan.and_then(|tag| VlanTag::try_from(tag).ok()),
        },
        control_plane: size("control_plane")?,
        workers: Workers { count: known(plan, "workers.count")?, size: size("workers")? },
        storage: optional::<Text<_>>(plan, "storage")?.map(|storage| storage.0),
        clone: clone_mode(&known::<String>(plan, "clone")?),
        proxmox_nodes: nodes.into_iter().flatten().map(|node| node.0).collect(),
        proxmox_pool: optional::<Text<_>>(plan, "proxmox_pool")?.map(|pool| pool.0),
        pod_cidr: known::<Text<_>>(plan, "pod_cidr")?.0,
        service_cidr: known::<Text<_>>(plan, "service_cidr")?.0,
        package_mirror: None,
        registry_mirror: None,
        ssh_user: known::<Text<_>>(plan, "ssh_user")?.0,
    })
}

/// A lease for machines whose addresses are not known yet and which nobody looks at.
fn stand_in(machines: u64) -> Lease {
    let count = u32::try_from(machines).unwrap_or(u32::MAX).min(256);
    let first = Ipv4Addr::new(192, 0, 2, 0);
    let addresses =
        AddressRange::starting_at(first, count).into_iter().flat_map(AddressRange::addresses);
    Lease {
        name: "unknown".parse().expect("a valid lease name"),
        pool: "unknown".parse().expect("a valid pool name"),
        transaction: Transaction::from_bits(0),
        addresses: addresses.collect(),
        prefix_length: 24,
        gateway: first,
        nameservers: Vec::new(),
        first_vmid: 0,
    }
}

/// Changes that cannot be made, and must not silently become a new cluster.
fn refuse_changes(plan: &mut Plan<Cluster>) {
    let version = plan.get::<Text<KubernetesVersion>>("kubernetes_version");
    if plan.changes("kubernetes_version") && !version.is_unknown() {
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
