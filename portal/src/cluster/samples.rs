//! What tests are about: one catalogue, one cluster, and texts that are meant ill. PURE.

use super::catalogue::{Site, Size, Template};
use super::form::{NewCluster, Wanted};
use kubesmith_spec::{ClusterName, KubernetesVersion, MachineSize, TemplateName, Workers};

/// Two cores, 4 GiB, 20 GiB.
pub(crate) const SMALL: MachineSize = MachineSize { cores: 2, memory_mib: 4096, disk_gib: 20 };

/// One template in one size.
pub(crate) fn catalogue() -> Vec<Template> {
    vec![Template {
        id: "ubuntu".into(),
        title: "Ubuntu 24.04, Kubernetes 1.36".into(),
        template: TemplateName::parse("ubuntu-24.04-k8s-1.36").unwrap(),
        kubernetes_version: KubernetesVersion::parse("1.36.4").unwrap(),
        sizes: vec![Size {
            id: "small".into(),
            title: "Small".into(),
            control_plane: SMALL,
            worker: SMALL,
            workers: 2,
            max_workers: 5,
        }],
    }]
}

/// A form that is filled well.
pub(crate) fn form() -> NewCluster {
    NewCluster { name: "demo".into(), template: "ubuntu".into(), size: "small".into() }
}

/// What it means.
pub(crate) fn wanted() -> Wanted {
    Wanted {
        name: ClusterName::parse("demo").unwrap(),
        template: TemplateName::parse("ubuntu-24.04-k8s-1.36").unwrap(),
        kubernetes_version: KubernetesVersion::parse("1.36.4").unwrap(),
        lease_size: 6,
        control_plane: SMALL,
        workers: Workers { count: 2, size: SMALL },
    }
}

/// Where it stands.
pub(crate) fn site() -> Site {
    serde_json::from_value(serde_json::json!({"pool": "lab", "bridge": "vmbr0", "vlan": 119}))
        .unwrap()
}

/// Texts that were something else than a name in one system or another.
pub(crate) const ILL_MEANT: [&str; 22] = [
    "",
    "${file(\"/etc/hostname\")}",
    "%{ for x in [1] }x%{ endfor }",
    "\" }\nresource \"null_resource\" \"x\" {}\n#",
    "a\nb",
    "a\r\nb",
    "a\0b",
    "-f",
    "--kubeconfig=/etc/shadow",
    "a;reboot",
    "$(reboot)",
    "`reboot`",
    "a b",
    "../../etc/passwd",
    "a/b",
    "Demo",
    "de\u{301}mo",
    "dem\u{43e}",
    "\u{202e}omed",
    "demo-",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "<script>alert(1)</script>",
];

/// All of it.
pub(crate) fn spec() -> super::Spec {
    super::Spec { wanted: wanted(), site: site() }
}
