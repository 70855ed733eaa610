//! The cluster's certificates and the kubeconfigs made from them.

use serde_json::json;

use super::config::{Settings, array, text};
use crate::kube::{
    api, arguments,
    kubeconfig::{Identity, Kubeconfig},
    paths,
    pki::{self, Pair, Subject, Usage},
    say,
};

/// Makes what is missing in `/etc/kubernetes/pki`; an authority that is already there is used.
pub(super) fn make(settings: &Settings) -> anyhow::Result<()> {
    say(format!("[certs] Using certificateDir folder \"{}\"", paths::PKI));
    let lifetime = match settings.cluster["certificateValidityPeriod"].as_str() {
        Some(period) => arguments::duration(period)?,
        None => pki::LEAF,
    };
    let ca = authority("ca", "kubernetes")?;
    let node = text(&settings.init["nodeRegistration"]["name"]);
    let leaf = |file: &str,
                authority: &Pair,
                subject: Subject<'_>,
                usage: Usage,
                names: &[String]|
     -> anyhow::Result<()> {
        if paths::exists(&format!("{}/{file}.crt", paths::PKI)) {
            say(format!(
                "[certs] Using existing {} certificate and key on disk",
                file.replace('/', "-")
            ));
            return Ok(());
        }
        say(format!("[certs] Generating \"{}\" certificate and key", file.replace('/', "-")));
        write(file, &pki::leaf(authority, &subject, usage, names, lifetime)?)
    };
    let names = api_names(settings);
    leaf(
        "apiserver",
        &ca,
        Subject { common_name: "kube-apiserver", organizations: &[] },
        Usage::Server,
        &names,
    )?;
    say(format!("[certs] apiserver serving cert is signed for DNS names and IPs {names:?}"));
    let admins = Subject {
        common_name: "kube-apiserver-kubelet-client",
        organizations: &["kubeadm:cluster-admins"],
    };
    leaf("apiserver-kubelet-client", &ca, admins, Usage::Client, &[])?;
    let front = authority("front-proxy-ca", "front-proxy-ca")?;
    leaf(
        "front-proxy-client",
        &front,
        Subject { common_name: "front-proxy-client", organizations: &[] },
        Usage::Client,
        &[],
    )?;
    let etcd = authority("etcd/ca", "etcd-ca")?;
    let address = text(&settings.init["localAPIEndpoint"]["advertiseAddress"]);
    let etcd_names: Vec<String> =
        [node, "localhost", address, "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    for file in ["etcd/server", "etcd/peer"] {
        leaf(
            file,
            &etcd,
            Subject { common_name: node, organizations: &[] },
            Usage::Both,
            &etcd_names,
        )?;
    }
    for (file, name) in [
        ("etcd/healthcheck-client", "kube-etcd-healthcheck-client"),
        ("apiserver-etcd-client", "kube-apiserver-etcd-client"),
    ] {
        leaf(file, &etcd, Subject { common_name: name, organizations: &[] }, Usage::Client, &[])?;
    }
    if !paths::exists(&format!("{}/sa.key", paths::PKI)) {
        say("[certs] Generating \"sa\" key and public key");
        let (private, public) = pki::signing_key()?;
        paths::write(&format!("{}/sa.key", paths::PKI), &private, 0o600)?;
        paths::write(&format!("{}/sa.pub", paths::PKI), &public, 0o600)?;
    }
    Ok(())
}

/// Every name and address that the API is reached by.
fn api_names(settings: &Settings) -> Vec<String> {
    let domain = text(&settings.cluster["networking"]["dnsDomain"]);
    let service = api::nth_address(text(&settings.cluster["networking"]["serviceSubnet"]), 1);
    let mut names = vec![
        text(&settings.init["nodeRegistration"]["name"]).to_owned(),
        "kubernetes".to_owned(),
        "kubernetes.default".to_owned(),
        "kubernetes.default.svc".to_owned(),
        format!("kubernetes.default.svc.{domain}"),
        text(&settings.init["localAPIEndpoint"]["advertiseAddress"]).to_owned(),
    ];
    names.extend(service.map(|address| address.to_string()));
    names.extend(settings.endpoint().rsplit_once(':').map(|(host, _)| host.to_owned()));
    names.extend(
        array(&settings.cluster["apiServer"]["certSANs"]).iter().map(|name| text(name).to_owned()),
    );
    let mut unique = Vec::new();
    names.retain(|name| {
        !name.is_empty() && !unique.contains(name) && {
            unique.push(name.clone());
            true
        }
    });
    names
}

fn authority(file: &str, common_name: &str) -> anyhow::Result<Pair> {
    if let Ok(existing) = read(file) {
        say(format!("[certs] Using existing {} certificate authority", file.replace('/', "-")));
        return Ok(existing);
    }
    say(format!("[certs] Generating \"{}\" certificate and key", file.replace('/', "-")));
    let pair = pki::authority(common_name)?;
    write(file, &pair)?;
    Ok(pair)
}

/// A certificate and its key from the cluster's folder.
pub(super) fn read(file: &str) -> anyhow::Result<Pair> {
    Ok(Pair {
        certificate: paths::read(&format!("{}/{file}.crt", paths::PKI))?,
        key: paths::read(&format!("{}/{file}.key", paths::PKI))?,
    })
}

fn write(file: &str, pair: &Pair) -> anyhow::Result<()> {
    paths::write(&format!("{}/{file}.crt", paths::PKI), &pair.certificate, 0o644)?;
    paths::write(&format!("{}/{file}.key", paths::PKI), &pair.key, 0o600)
}

/// Writes admin.conf and its siblings.
pub(super) fn kubeconfigs(settings: &Settings) -> anyhow::Result<()> {
    say(format!("[kubeconfig] Using kubeconfig folder \"{}\"", paths::KUBERNETES));
    let ca = read("ca")?;
    let node = format!("system:node:{}", text(&settings.init["nodeRegistration"]["name"]));
    let local = &settings.init["localAPIEndpoint"];
    let shared = format!("https://{}", settings.endpoint());
    let own = format!("https://{}:{}", text(&local["advertiseAddress"]), local["bindPort"]);
    // The control plane's own components talk to the server beside them.
    let files: [(&str, &str, &[&str], &str); 5] = [
        ("admin.conf", "kubernetes-admin", &["kubeadm:cluster-admins"], &shared),
        ("super-admin.conf", "kubernetes-super-admin", &["system:masters"], &shared),
        ("kubelet.conf", &node, &["system:nodes"], &own),
        ("controller-manager.conf", "system:kube-controller-manager", &[], &own),
        ("scheduler.conf", "system:kube-scheduler", &[], &own),
    ];
    let cluster = text(&settings.cluster["clusterName"]);
    for (file, user, groups, server) in files {
        say(format!("[kubeconfig] Writing \"{file}\" kubeconfig file"));
        let pair = pki::leaf(
            &ca,
            &Subject { common_name: user, organizations: groups },
            Usage::Client,
            &[],
            pki::LEAF,
        )?;
        let identity = if file == "kubelet.conf" {
            paths::write(
                paths::KUBELET_CLIENT,
                &format!("{}{}", pair.certificate, pair.key),
                0o600,
            )?;
            Identity::CertificateFile(paths::KUBELET_CLIENT.to_owned())
        } else {
            Identity::Certificate(pair)
        };
        let config = Kubeconfig::new(server, Some(ca.certificate.clone()), identity);
        paths::write(
            &format!("{}/{file}", paths::KUBERNETES),
            &config.render(cluster, user),
            0o600,
        )?;
    }
    Ok(())
}

/// The kubeconfig that everybody may read: where the cluster is and how to know it.
pub(super) fn cluster_info(settings: &Settings, authority: &str) -> String {
    use base64::Engine as _;
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    crate::kube::yaml::render(&json!({
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "contexts": null, "current-context": "", "users": null,
        "clusters": [{"name": "", "cluster": {
            "certificate-authority-data": authority, "server": format!("https://{}", settings.endpoint()),
        }}],
    }))
}
