//! The static pods of the control plane, and the kubelet's own files.

use serde_json::{Value, json};

use super::config::{Settings, array, text};
use crate::kube::{paths, say, yaml};

/// The static pods, kube-apiserver first; etcd's manifest is written before it.
pub(super) const COMPONENTS: [&str; 4] =
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"];

/// Writes the manifests, with the flags by which the stand-in kubelet serves the API.
pub(super) fn write(settings: &Settings) -> anyhow::Result<()> {
    say(format!("[etcd] Creating static Pod manifest for local etcd in \"{}\"", paths::MANIFESTS));
    say(format!("[control-plane] Using manifest folder \"{}\"", paths::MANIFESTS));
    let local = &settings.init["localAPIEndpoint"];
    let address = text(&local["advertiseAddress"]);
    let networking = &settings.cluster["networking"];
    let pki = paths::PKI;
    let services = text(&networking["serviceSubnet"]);
    let conf = |file: &str| format!("{}/{file}.conf", paths::KUBERNETES);
    let server = vec![
        format!("--advertise-address={address}"),
        "--allow-privileged=true".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        format!("--client-ca-file={pki}/ca.crt"),
        "--enable-bootstrap-token-auth=true".to_owned(),
        "--etcd-servers=https://127.0.0.1:2379".to_owned(),
        format!("--secure-port={}", local["bindPort"]),
        format!("--service-account-key-file={pki}/sa.pub"),
        format!("--service-cluster-ip-range={services}"),
        format!("--tls-cert-file={pki}/apiserver.crt"),
        format!("--tls-private-key-file={pki}/apiserver.key"),
    ];
    let mut manager = vec![
        "--allocate-node-cidrs=true".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--cluster-signing-cert-file={pki}/ca.crt"),
        format!("--kubeconfig={}", conf("controller-manager")),
        format!("--service-cluster-ip-range={services}"),
    ];
    if let Some(subnet) = networking["podSubnet"].as_str() {
        manager.push(format!("--cluster-cidr={subnet}"));
    }
    let scheduler =
        vec!["--bind-address=127.0.0.1".to_owned(), format!("--kubeconfig={}", conf("scheduler"))];
    let etcd = vec![
        format!("--advertise-client-urls=https://{address}:2379"),
        format!("--data-dir={}", paths::ETCD),
    ];
    let image = |name: &str| {
        format!("{}/{name}:v{}", text(&settings.cluster["imageRepository"]), settings.version())
    };
    let etcd_image =
        images(settings).into_iter().find(|image| image.contains("/etcd:")).unwrap_or_default();
    // The API server's comes last: the stand-in kubelet takes it as the sign that all are there.
    let parts: [(&str, String, Vec<String>, &Value); 4] = [
        ("etcd", etcd_image, etcd, &settings.cluster["etcd"]["local"]),
        (
            "kube-controller-manager",
            image("kube-controller-manager"),
            manager,
            &settings.cluster["controllerManager"],
        ),
        ("kube-scheduler", image("kube-scheduler"), scheduler, &settings.cluster["scheduler"]),
        ("kube-apiserver", image("kube-apiserver"), server, &settings.cluster["apiServer"]),
    ];
    for (name, image, flags, section) in parts {
        if name != "etcd" {
            say(format!("[control-plane] Creating static Pod manifest for \"{name}\""));
        }
        let text = yaml::render(&pod(name, &image, flags, section));
        paths::write(&format!("{}/{name}.yaml", paths::MANIFESTS), &text, 0o600)?;
    }
    Ok(())
}

fn pod(name: &str, image: &str, mut flags: Vec<String>, section: &Value) -> Value {
    for extra in array(&section["extraArgs"]) {
        let flag = format!("--{}=", text(&extra["name"]));
        flags.retain(|known| !known.starts_with(&flag));
        flags.push(format!("{flag}{}", text(&extra["value"])));
    }
    flags.insert(0, name.to_owned());
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "kube-system", "labels": {"component": name, "tier": "control-plane"}},
        "spec": {
            "hostNetwork": true, "priorityClassName": "system-node-critical",
            "containers": [{"name": name, "image": image, "imagePullPolicy": "IfNotPresent", "command": flags}],
        },
    })
}

/// Writes the kubelet's configuration and flags.
pub(super) fn kubelet(configuration: &Value, registration: &Value) -> anyhow::Result<()> {
    say(format!(
        "[kubelet-start] Writing kubelet environment file with flags to file \"{}\"",
        paths::KUBELET_FLAGS
    ));
    let mut flags =
        vec![format!("--container-runtime-endpoint={}", text(&registration["criSocket"]))];
    // Without its own name and no flag, the kubelet would take the machine's.
    let name = text(&registration["name"]);
    if name != paths::hostname() {
        flags.push(format!("--hostname-override={name}"));
    }
    for extra in array(&registration["kubeletExtraArgs"]) {
        flags.push(format!("--{}={}", text(&extra["name"]), text(&extra["value"])));
    }
    paths::write(
        paths::KUBELET_FLAGS,
        &format!("KUBELET_KUBEADM_ARGS=\"{}\"\n", flags.join(" ")),
        0o644,
    )?;
    say(format!(
        "[kubelet-start] Writing kubelet configuration to file \"{}\"",
        paths::KUBELET_CONFIG
    ));
    paths::write(paths::KUBELET_CONFIG, &yaml::render(configuration), 0o644)
}

/// The images of a version, as `kubeadm config images list` prints them.
pub(super) fn images(settings: &Settings) -> Vec<String> {
    let repository = text(&settings.cluster["imageRepository"]);
    let version = settings.version();
    let mut images: Vec<String> =
        ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"]
            .map(|name| format!("{repository}/{name}:v{version}"))
            .to_vec();
    // CoreDNS moves below a folder of its own in the default registry.
    let minor: u16 = version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(36);
    let (dns, pause, etcd) = match minor {
        ..=35 => ("v1.12.4", "3.10.1", "3.6.6-0"),
        36 => ("v1.14.2", "3.10.2", "3.6.14-0"),
        _ => ("v1.14.3", "3.10.2", "3.7.0-0"),
    };
    let folder = if repository == "registry.k8s.io" { "/coredns" } else { "" };
    images.extend([
        format!("{repository}{folder}/coredns:{dns}"),
        format!("{repository}/pause:{pause}"),
        format!("{repository}/etcd:{etcd}"),
    ]);
    images
}
