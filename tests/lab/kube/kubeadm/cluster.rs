//! The objects that kubeadm leaves in a new cluster: its configuration, rights, tokens and the two add-ons.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    certificates,
    config::{Settings, array, text},
    manifests, token,
};
use crate::kube::{api, client::Client, say, yaml};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const GROUP: &str = "rbac.authorization.k8s.io";
const NODE_TOKENS: &str = "system:bootstrappers:kubeadm:default-node-token";

/// Creates an object, or replaces it.
async fn ensure(client: &Client, collection: &str, object: &Value) -> anyhow::Result<()> {
    let name = text(&object["metadata"]["name"]);
    let result = match client.post(collection, object).await {
        Err(error) if error.is(409) => client.put(&format!("{collection}/{name}"), object).await,
        other => other,
    };
    result.with_context(|| format!("unable to create {} \"{name}\"", text(&object["kind"])))?;
    Ok(())
}

fn config_map(name: &str, namespace: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data})
}

/// One binding, and the role that it binds to where kubeadm makes that too.
async fn grant(
    client: &Client,
    name: &str,
    namespace: &str,
    rules: Option<&Value>,
    role: (&str, &str),
    subject: (&str, &str),
) -> anyhow::Result<()> {
    let (roles, bindings, prefix) = if namespace.is_empty() {
        ("clusterroles", "clusterrolebindings", RBAC.to_owned())
    } else {
        ("roles", "rolebindings", format!("{RBAC}/namespaces/{namespace}"))
    };
    let kind = if namespace.is_empty() { "ClusterRole" } else { "Role" };
    if let Some(rules) = rules {
        let object = json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": {"name": role.1}, "rules": rules});
        ensure(client, &format!("{prefix}/{roles}"), &object).await?;
    }
    let object = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": format!("{kind}Binding"), "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": role.0, "name": role.1},
        "subjects": [{"apiGroup": GROUP, "kind": subject.0, "name": subject.1}],
    });
    ensure(client, &format!("{prefix}/{bindings}"), &object).await
}

/// The administrators' rights and the configuration that later runs read.
pub(super) async fn upload(client: &Client, settings: &Settings) -> anyhow::Result<()> {
    grant(
        client,
        "kubeadm:cluster-admins",
        "",
        None,
        ("ClusterRole", "cluster-admin"),
        ("Group", "kubeadm:cluster-admins"),
    )
    .await?;
    say(
        "[upload-config] Storing the configuration used in ConfigMap \"kubeadm-config\" in the \"kube-system\" Namespace",
    );
    let mut cluster = settings.cluster.clone();
    cluster["apiVersion"] = "kubeadm.k8s.io/v1beta4".into();
    cluster["kind"] = "ClusterConfiguration".into();
    let maps = "/api/v1/namespaces/kube-system/configmaps";
    ensure(
        client,
        maps,
        &config_map(
            "kubeadm-config",
            "kube-system",
            &json!({"ClusterConfiguration": yaml::render(&cluster)}),
        ),
    )
    .await?;
    say(
        "[kubelet] Creating a ConfigMap \"kubelet-config\" in namespace kube-system with the configuration for the kubelets in the cluster",
    );
    ensure(
        client,
        maps,
        &config_map(
            "kubelet-config",
            "kube-system",
            &json!({"kubelet": yaml::render(&settings.kubelet)}),
        ),
    )
    .await?;
    for map in ["kubeadm-config", "kubelet-config"] {
        let name = if map == "kubeadm-config" {
            "kubeadm:nodes-kubeadm-config"
        } else {
            "kubeadm:kubelet-config"
        };
        let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [map], "verbs": ["get"]}]);
        for subject in ["system:nodes", NODE_TOKENS] {
            let binding =
                if subject == "system:nodes" { format!("{name}-nodes") } else { name.to_owned() };
            grant(
                client,
                &binding,
                "kube-system",
                Some(&rules),
                ("Role", name),
                ("Group", subject),
            )
            .await?;
        }
    }
    Ok(())
}

/// Labels the node, and keeps ordinary pods off it unless the configuration says otherwise.
pub(super) async fn mark_control_plane(client: &Client, settings: &Settings) -> anyhow::Result<()> {
    let registration = &settings.init["nodeRegistration"];
    let node = text(&registration["name"]);
    let taints = match &registration["taints"] {
        Value::Null => {
            json!([{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])
        }
        given => given.clone(),
    };
    say(format!(
        "[mark-control-plane] Marking the node {node} as control-plane by adding the labels: [node-role.kubernetes.io/control-plane \
         node.kubernetes.io/exclude-from-external-load-balancers]"
    ));
    say(format!(
        "[mark-control-plane] Marking the node {node} as control-plane by adding the taints {taints}"
    ));
    let path = format!("/api/v1/nodes/{node}");
    let current = client.get(&path).await?;
    let mut all = taints.as_array().cloned().unwrap_or_default();
    let same =
        |one: &Value, other: &Value| one["key"] == other["key"] && one["effect"] == other["effect"];
    let kept: Vec<Value> = array(&current["spec"]["taints"])
        .iter()
        .filter(|taint| !all.iter().any(|new| same(new, taint)))
        .cloned()
        .collect();
    all.extend(kept);
    let patch = json!({
        "metadata": {
            "labels": {"node-role.kubernetes.io/control-plane": "", "node.kubernetes.io/exclude-from-external-load-balancers": ""},
            "annotations": {"kubeadm.alpha.kubernetes.io/cri-socket": registration["criSocket"]},
        },
        "spec": {"taints": all},
    });
    client.patch(&path, &patch).await?;
    Ok(())
}

/// Tokens, what they may do, and the public cluster-info.
pub(super) async fn bootstrap_tokens(client: &Client, settings: &Settings) -> anyhow::Result<()> {
    for entry in array(&settings.init["bootstrapTokens"]) {
        let given = text(&entry["token"]).to_owned();
        let value = if given.is_empty() { token::generate() } else { given };
        say(format!("[bootstrap-token] Using token: {value}"));
        let secret = token::secret(&value, entry["ttl"].as_str(), text(&entry["description"]))?;
        ensure(client, "/api/v1/namespaces/kube-system/secrets", &secret).await?;
    }
    say("[bootstrap-token] Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles");
    let nodes = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]);
    grant(
        client,
        "kubeadm:get-nodes",
        "",
        Some(&nodes),
        ("ClusterRole", "kubeadm:get-nodes"),
        ("Group", NODE_TOKENS),
    )
    .await?;
    grant(
        client,
        "kubeadm:kubelet-bootstrap",
        "",
        None,
        ("ClusterRole", "system:node-bootstrapper"),
        ("Group", NODE_TOKENS),
    )
    .await?;
    say(
        "[bootstrap-token] Creating the \"cluster-info\" ConfigMap in the \"kube-public\" namespace",
    );
    let authority = certificates::read("ca")?.certificate;
    let info = config_map(
        "cluster-info",
        "kube-public",
        &json!({"kubeconfig": certificates::cluster_info(settings, &authority)}),
    );
    ensure(client, "/api/v1/namespaces/kube-public/configmaps", &info).await?;
    let read = json!([{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["cluster-info"], "verbs": ["get"]}]);
    let role = "kubeadm:bootstrap-signer-clusterinfo";
    grant(client, role, "kube-public", Some(&read), ("Role", role), ("User", "system:anonymous"))
        .await
}

/// `CoreDNS` and kube-proxy: their objects, with what drain, rollout status and people look at.
pub(super) async fn addons(
    client: &Client,
    settings: &Settings,
    skipped: &[String],
) -> anyhow::Result<()> {
    let skips = |phase: &str| skipped.iter().any(|skipped| skipped == phase || skipped == "addon");
    let images = manifests::images(settings);
    let image = |name: &str| {
        images
            .iter()
            .find(|image| image.contains(&format!("/{name}:")))
            .cloned()
            .unwrap_or_default()
    };
    let account = |name: &str| json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "kube-system"}});
    let base = "/api/v1/namespaces/kube-system";
    let apps = "/apis/apps/v1/namespaces/kube-system";
    if settings.cluster["dns"]["disabled"] != true && !skips("addon/coredns") {
        let corefile = format!(
            ".:53 {{\n    errors\n    health\n    ready\n    kubernetes {} in-addr.arpa ip6.arpa\n    forward . /etc/resolv.conf\n    cache 30\n}}\n",
            text(&settings.cluster["networking"]["dnsDomain"])
        );
        ensure(client, &format!("{base}/serviceaccounts"), &account("coredns")).await?;
        ensure(
            client,
            &format!("{base}/configmaps"),
            &config_map("coredns", "kube-system", &json!({"Corefile": corefile})),
        )
        .await?;
        let address = api::nth_address(text(&settings.cluster["networking"]["serviceSubnet"]), 10)
            .map(|address| address.to_string());
        let labels = json!({"k8s-app": "kube-dns"});
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
            "spec": {"clusterIP": address, "selector": labels, "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53}, {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
            ]},
        });
        ensure(client, &format!("{base}/services"), &service).await?;
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "coredns", "namespace": "kube-system", "labels": labels},
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": "coredns", "priorityClassName": "system-cluster-critical",
                    "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}],
                    "containers": [{"name": "coredns", "image": image("coredns")}],
                },
            }},
        });
        ensure(client, &format!("{apps}/deployments"), &deployment).await?;
        say("[addons] Applied essential addon: CoreDNS");
    }
    if settings.cluster["proxy"]["disabled"] != true && !skips("addon/kube-proxy") {
        let labels = json!({"k8s-app": "kube-proxy"});
        ensure(client, &format!("{base}/serviceaccounts"), &account("kube-proxy")).await?;
        let data = json!({"config.conf": yaml::render(&settings.proxy)});
        ensure(
            client,
            &format!("{base}/configmaps"),
            &config_map("kube-proxy", "kube-system", &data),
        )
        .await?;
        let set = json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "kube-proxy", "namespace": "kube-system", "labels": labels},
            "spec": {"selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "hostNetwork": true, "serviceAccountName": "kube-proxy", "priorityClassName": "system-node-critical",
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [{"name": "kube-proxy", "image": image("kube-proxy")}],
                },
            }},
        });
        ensure(client, &format!("{apps}/daemonsets"), &set).await?;
        say("[addons] Applied essential addon: kube-proxy");
    }
    Ok(())
}
