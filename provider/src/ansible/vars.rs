//! The variables of the playbooks: final values, computed here, only assigned there. Pure.
//!
//! One of the projections of `ClusterSpec`: it is taken apart without `..`, so that a new field does
//! not compile until somebody decided whether the roles need it.

use std::path::Path;

use kubesmith_spec::{ClusterSpec, NodeName};
use serde::Serialize;

/// Where Kubernetes packages come from when no mirror is given.
const PUBLIC_PACKAGES: &str = "https://pkgs.k8s.io";

/// The variables of every playbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Vars<'a> {
    cluster_name: &'a str,
    kubernetes_version: String,
    kubernetes_package_mirror: &'a str,
    container_registry_mirror: &'a str,
    api_endpoint: String,
    pod_cidr: String,
    service_cidr: String,
    artifacts_dir: &'a Path,
    remove_nodes: &'a [NodeName],
}

/// The variables for a cluster. `artifacts` is where the roles leave the kubeconfig; `remove` names the
/// nodes that `remove.yml` takes out.
pub(crate) fn vars<'a>(
    spec: &'a ClusterSpec,
    artifacts: &'a Path,
    remove: &'a [NodeName],
) -> Vars<'a> {
    let api_endpoint = spec.api_endpoint().unwrap_or_default();
    // What the machines are made of is Proxmox's matter, not the roles'.
    let ClusterSpec {
        name,
        leases: _,
        template: _,
        kubernetes_version,
        network: _,
        control_plane: _,
        workers: _,
        storage: _,
        clone: _,
        proxmox_nodes: _,
        proxmox_pool: _,
        pod_cidr,
        service_cidr,
        package_mirror,
        registry_mirror,
        ssh_user: _,
    } = spec;
    Vars {
        cluster_name: name.as_str(),
        kubernetes_version: kubernetes_version.to_string(),
        kubernetes_package_mirror: package_mirror
            .as_ref()
            .map_or(PUBLIC_PACKAGES, |mirror| mirror.as_str()),
        container_registry_mirror: registry_mirror.as_ref().map_or("", |mirror| mirror.as_str()),
        api_endpoint,
        pod_cidr: pod_cidr.to_string(),
        service_cidr: service_cidr.to_string(),
        artifacts_dir: artifacts,
        remove_nodes: remove,
    }
}
