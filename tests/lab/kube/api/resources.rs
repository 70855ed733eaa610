//! The kinds that the API knows. Discovery, routing and tables are all read from this one list.

/// One kind of object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
    pub(super) short: &'static [&'static str],
    /// Writes of the object and of its status do not touch each other.
    pub(super) status: bool,
}

const fn cluster(group: &'static str, plural: &'static str, kind: &'static str) -> Resource {
    Resource { group, version: "v1", plural, kind, namespaced: false, short: &[], status: false }
}

const fn namespaced(group: &'static str, plural: &'static str, kind: &'static str) -> Resource {
    Resource { namespaced: true, ..cluster(group, plural, kind) }
}

const fn short(mut resource: Resource, short: &'static [&'static str]) -> Resource {
    resource.short = short;
    resource
}

const fn status(mut resource: Resource) -> Resource {
    resource.status = true;
    resource
}

pub(super) const RBAC: &str = "rbac.authorization.k8s.io";
pub(super) const CERTIFICATES: &str = "certificates.k8s.io";

/// Every kind, in the order that discovery lists groups (the core group first).
pub(super) static RESOURCES: [Resource; 35] = [
    status(short(cluster("", "namespaces", "Namespace"), &["ns"])),
    status(short(cluster("", "nodes", "Node"), &["no"])),
    status(short(cluster("", "persistentvolumes", "PersistentVolume"), &["pv"])),
    short(namespaced("", "configmaps", "ConfigMap"), &["cm"]),
    short(namespaced("", "endpoints", "Endpoints"), &["ep"]),
    short(namespaced("", "events", "Event"), &["ev"]),
    short(namespaced("", "limitranges", "LimitRange"), &["limits"]),
    status(short(namespaced("", "persistentvolumeclaims", "PersistentVolumeClaim"), &["pvc"])),
    status(short(namespaced("", "pods", "Pod"), &["po"])),
    status(short(namespaced("", "resourcequotas", "ResourceQuota"), &["quota"])),
    namespaced("", "secrets", "Secret"),
    short(namespaced("", "serviceaccounts", "ServiceAccount"), &["sa"]),
    status(short(namespaced("", "services", "Service"), &["svc"])),
    status(short(namespaced("apps", "daemonsets", "DaemonSet"), &["ds"])),
    status(short(namespaced("apps", "deployments", "Deployment"), &["deploy"])),
    status(short(namespaced("apps", "replicasets", "ReplicaSet"), &["rs"])),
    status(short(namespaced("apps", "statefulsets", "StatefulSet"), &["sts"])),
    namespaced("apps", "controllerrevisions", "ControllerRevision"),
    status(namespaced("batch", "jobs", "Job")),
    status(short(namespaced("batch", "cronjobs", "CronJob"), &["cj"])),
    status(short(
        cluster(CERTIFICATES, "certificatesigningrequests", "CertificateSigningRequest"),
        &["csr"],
    )),
    namespaced("coordination.k8s.io", "leases", "Lease"),
    namespaced("discovery.k8s.io", "endpointslices", "EndpointSlice"),
    namespaced("events.k8s.io", "events", "Event"),
    status(short(namespaced("networking.k8s.io", "ingresses", "Ingress"), &["ing"])),
    cluster("networking.k8s.io", "ingressclasses", "IngressClass"),
    short(namespaced("networking.k8s.io", "networkpolicies", "NetworkPolicy"), &["netpol"]),
    status(short(namespaced("policy", "poddisruptionbudgets", "PodDisruptionBudget"), &["pdb"])),
    cluster(RBAC, "clusterroles", "ClusterRole"),
    cluster(RBAC, "clusterrolebindings", "ClusterRoleBinding"),
    namespaced(RBAC, "roles", "Role"),
    namespaced(RBAC, "rolebindings", "RoleBinding"),
    short(cluster("scheduling.k8s.io", "priorityclasses", "PriorityClass"), &["pc"]),
    short(cluster("storage.k8s.io", "storageclasses", "StorageClass"), &["sc"]),
    cluster("storage.k8s.io", "csinodes", "CSINode"),
];

impl Resource {
    pub(super) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Self> {
        RESOURCES.iter().find(|resource| {
            resource.group == group && resource.version == version && resource.plural == plural
        })
    }

    /// `v1`, or `apps/v1`.
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `pods`, or `deployments.apps`: how messages name a kind.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Where the store keeps the objects of this kind; an empty namespace means all of them, or a cluster-wide kind.
    pub(super) fn prefix(&self, namespace: &str) -> String {
        match (self.namespaced, namespace) {
            (true, "") => format!("{}/{}/", self.group, self.plural),
            (true, namespace) => format!("{}/{}/{namespace}/", self.group, self.plural),
            (false, _) => format!("{}/{}/-/", self.group, self.plural),
        }
    }

    pub(super) fn key(&self, namespace: &str, name: &str) -> String {
        format!("{}{name}", self.prefix(namespace))
    }
}

/// A core or apps kind by its plural name, for the controllers.
pub(super) fn kind(plural: &str) -> &'static Resource {
    RESOURCES
        .iter()
        .find(|resource| resource.plural == plural)
        .expect("the controllers name kinds of the list")
}
