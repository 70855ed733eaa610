//! The objects that make a namespace, and those that stand behind a kubeconfig. PURE.
//!
//! They leave as JSON on `kubectl`'s standard input. Labels say whose they are: who may see a namespace is read from the
//! cluster itself, not remembered beside it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::names::{CredentialName, NamespaceName};
use crate::ids::PersonId;

/// The label of everything that the portal makes in a cluster.
pub(super) const MANAGED: &str = "app.kubernetes.io/managed-by=kubesmith-portal";
/// The label that holds the id of the person whose namespace it is.
pub(super) const OWNER: &str = "kubesmith.io/owner";
/// The annotation that says until when a credential lives (RFC 3339).
pub(super) const EXPIRES: &str = "kubesmith.io/expires";

/// What a namespace may use at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Processor cores that its pods may ask for together, 1 to 256.
    #[schema(minimum = 1, maximum = 256)]
    pub cores: u16,
    /// Memory that its pods may ask for together in GiB, 1 to 4096.
    #[schema(minimum = 1, maximum = 4096)]
    pub memory_gib: u16,
    /// How many pods it may have, 1 to 1000.
    #[schema(minimum = 1, maximum = 1000)]
    pub pods: u16,
    /// Storage that it may claim in GiB, 0 to 65535.
    #[schema(minimum = 0, maximum = 65535)]
    pub storage_gib: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cores: 2, memory_gib: 4, pods: 20, storage_gib: 20 }
    }
}

impl Limits {
    /// What is wrong with these numbers: the field and a sentence.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let Self { cores, memory_gib, pods, storage_gib: _ } = *self;
        let mut problems = Vec::new();
        if !(1..=256).contains(&cores) {
            problems.push(("cores", "Give between 1 and 256 cores."));
        }
        if !(1..=4096).contains(&memory_gib) {
            problems.push(("memory_gib", "Give between 1 and 4096 GiB of memory."));
        }
        if !(1..=1000).contains(&pods) {
            problems.push(("pods", "Give between 1 and 1000 pods."));
        }
        problems
    }
}

/// What the holder of a kubeconfig may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// Look, in one namespace. Secrets are not shown.
    View,
    /// Run things, in one namespace.
    Edit,
}

impl Power {
    /// The role of Kubernetes' own that this is.
    pub(super) fn cluster_role(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Edit => "edit",
        }
    }
}

fn metadata(name: &str) -> Value {
    json!({"name": name, "labels": {"app.kubernetes.io/managed-by": "kubesmith-portal"}})
}

/// The namespace itself, created and never applied: one that is there already belongs to somebody.
pub(super) fn namespace(name: &NamespaceName, owner: &PersonId) -> Value {
    let mut metadata = metadata(name.as_str());
    metadata["labels"][OWNER] = owner.as_str().into();
    // A pod that may do all on its machine would be a way out of its namespace.
    metadata["labels"]["pod-security.kubernetes.io/enforce"] = "baseline".into();
    metadata["labels"]["pod-security.kubernetes.io/warn"] = "restricted".into();
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
}

/// What a namespace begins with: its quota, defaults that let pods start under it, and a wall against its neighbours.
pub(super) fn furnishings(name: &NamespaceName, limits: Limits) -> Value {
    let inside = |object_name: &str| {
        let mut metadata = metadata(object_name);
        metadata["namespace"] = name.as_str().into();
        metadata
    };
    let Limits { cores, memory_gib, pods, storage_gib } = limits;
    let (cores, memory, storage) =
        (cores.to_string(), format!("{memory_gib}Gi"), format!("{storage_gib}Gi"));
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": inside("kubesmith"), "spec": {"hard": {
            "requests.cpu": cores, "limits.cpu": cores, "requests.memory": memory, "limits.memory": memory,
            "pods": pods.to_string(), "requests.storage": storage,
            "services.nodeports": "5", "services.loadbalancers": "0",
        }}},
        // Under a quota a pod that names no sizes would be refused, and a first `kubectl run` names none.
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": inside("kubesmith"), "spec": {"limits": [{
            "type": "Container",
            "defaultRequest": {"cpu": "50m", "memory": "64Mi"}, "default": {"cpu": "500m", "memory": "256Mi"},
        }]}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": inside("kubesmith-own-namespace-only"), "spec": {
            "podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}],
        }},
    ]})
}

/// A service account for one kubeconfig, and what it may do in its namespace.
pub(super) fn account(
    namespace: &NamespaceName,
    name: &CredentialName,
    power: Power,
    expires: &str,
) -> Value {
    let own = || {
        let mut metadata = metadata(name.as_str());
        metadata["namespace"] = namespace.as_str().into();
        metadata["annotations"] = json!({EXPIRES: expires});
        metadata
    };
    json!({"apiVersion": "v1", "kind": "List", "items": [
        // Pods that use this account by mistake get no credential of it.
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": own(), "automountServiceAccountToken": false},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": own(),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": power.cluster_role()},
            "subjects": [{"kind": "ServiceAccount", "name": name.as_str(), "namespace": namespace.as_str()}]},
    ]})
}

/// The right behind a client certificate: the certificate itself cannot be taken back, this can.
pub(super) fn administrator(name: &CredentialName, expires: &str) -> Value {
    let mut metadata = metadata(name.as_str());
    metadata["annotations"] = json!({EXPIRES: expires});
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name.as_str()}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_comes_with_quota_defaults_and_a_wall() {
        let name = NamespaceName::parse("team-blue").unwrap();
        let person = "01KB00000000000000000000P1".parse().unwrap();
        let credential = CredentialName::of(&"01KB00000000000000000000K1".parse().unwrap());
        let objects = json!([
            namespace(&name, &person),
            furnishings(&name, Limits::default()),
            account(&name, &credential, Power::Edit, "2026-11-25T12:00:00Z"),
            administrator(&credential, "2026-11-25T12:00:00Z"),
        ]);
        insta::assert_snapshot!(format!("{objects:#}"));
    }

    #[test]
    fn limits_are_checked_by_field() {
        assert_eq!(Limits::default().problems(), []);
        let problems = Limits { cores: 0, memory_gib: 5000, pods: 0, storage_gib: 0 }.problems();
        assert_eq!(
            problems.iter().map(|problem| problem.0).collect::<Vec<_>>(),
            ["cores", "memory_gib", "pods"]
        );
    }
}
