//! What kubeadm answers without changing anything: version, images, certificates, a user's kubeconfig.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{
    certificates,
    config::{Settings, text},
    manifests,
};
use crate::kube::{
    arguments::{self, Arguments},
    kubeconfig::{Identity, Kubeconfig},
    paths, pki, say, yaml,
};

pub(super) fn version(arguments: &Arguments) -> anyhow::Result<()> {
    let version = format!("v{}", paths::version_of("kubeadm"));
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next(), parts.next());
    let info = json!({"clientVersion": {"major": major, "minor": minor, "gitVersion": version, "gitTreeState": "clean", "platform": "linux/amd64"}});
    match arguments.value("output") {
        Some("short") => say(version),
        Some("json") => say(format!("{info:#}")),
        Some("yaml") => say(yaml::render(&info).trim_end()),
        None => say(format!(
            "kubeadm version: &version.Info{{Major:{major:?}, Minor:{minor:?}, GitVersion:\"{version}\"}}"
        )),
        Some(other) => bail!("invalid output format: {other}"),
    }
    Ok(())
}

pub(super) async fn images(arguments: &Arguments, action: &str) -> anyhow::Result<()> {
    let settings = Settings::load(arguments)?;
    let images = manifests::images(&settings);
    match (action, arguments.value("output")) {
        ("pull", _) => {
            let socket = text(&settings.init["nodeRegistration"]["criSocket"]);
            for image in &images {
                super::preflight::pull(socket, image)
                    .await
                    .with_context(|| format!("failed to pull image {image:?}"))?;
                say(format!("[config/images] Pulled {image}"));
            }
        }
        (_, Some("json")) => {
            say(format!(
                "{:#}",
                json!({"kind": "Images", "apiVersion": "output.kubeadm.k8s.io/v1alpha3", "images": images})
            ));
        }
        _ => images.iter().for_each(say),
    }
    Ok(())
}

/// A kubeconfig with a certificate of its own, signed by this control plane's authority.
pub(super) fn kubeconfig_user(arguments: &Arguments) -> anyhow::Result<()> {
    let Some(user) = arguments.value("client-name") else {
        bail!("required flag(s) \"client-name\" not set")
    };
    let lifetime = match arguments.value("validity-period") {
        Some(period) => arguments::duration(period)?,
        None => pki::LEAF,
    };
    let ca = certificates::read("ca")?;
    let (server, cluster) = if arguments.value("config").is_some() {
        let settings = Settings::load(arguments)?;
        (
            format!("https://{}", settings.endpoint()),
            text(&settings.cluster["clusterName"]).to_owned(),
        )
    } else {
        (Kubeconfig::of_machine(paths::ADMIN_CONF)?.server, "kubernetes".to_owned())
    };
    let identity = if let Some(token) = arguments.value("token") {
        Identity::Token(token.to_owned())
    } else {
        let groups = arguments.list("org");
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let subject = pki::Subject { common_name: user, organizations: &groups };
        Identity::Certificate(pki::leaf(&ca, &subject, pki::Usage::Client, &[], lifetime)?)
    };
    say(Kubeconfig::new(server, Some(ca.certificate), identity).render(&cluster, user).trim_end());
    Ok(())
}

/// What `check-expiration` lists: (name, where, authority).
const CERTIFICATES: [(&str, &str, &str); 11] = [
    ("admin.conf", "", "ca"),
    ("apiserver", "apiserver", "ca"),
    ("apiserver-etcd-client", "apiserver-etcd-client", "etcd-ca"),
    ("apiserver-kubelet-client", "apiserver-kubelet-client", "ca"),
    ("controller-manager.conf", "", "ca"),
    ("etcd-healthcheck-client", "etcd/healthcheck-client", "etcd-ca"),
    ("etcd-peer", "etcd/peer", "etcd-ca"),
    ("etcd-server", "etcd/server", "etcd-ca"),
    ("front-proxy-client", "front-proxy-client", "front-proxy-ca"),
    ("scheduler.conf", "", "ca"),
    ("super-admin.conf", "", "ca"),
];

pub(super) fn check_expiration(arguments: &Arguments) {
    let mut leaves = Vec::new();
    for (name, file, authority) in CERTIFICATES {
        let certificate = if file.is_empty() {
            match Kubeconfig::of_machine(&format!("{}/{name}", paths::KUBERNETES))
                .map(|config| config.identity)
            {
                Ok(Identity::Certificate(pair)) => Some(pair.certificate),
                _ => None,
            }
        } else {
            paths::read(&format!("{}/{file}.crt", paths::PKI)).ok()
        };
        leaves.push(expiration(name, certificate.as_deref(), Some(authority)));
    }
    let authorities = [("ca", "ca"), ("etcd-ca", "etcd/ca"), ("front-proxy-ca", "front-proxy-ca")];
    let authorities: Vec<Value> = authorities
        .iter()
        .map(|(name, file)| {
            expiration(
                name,
                paths::read(&format!("{}/{file}.crt", paths::PKI)).ok().as_deref(),
                None,
            )
        })
        .collect();
    if arguments.value("output") == Some("json") {
        let info = json!({
            "kind": "CertificateExpirationInfo", "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
            "certificates": leaves, "certificateAuthorities": authorities,
        });
        say(format!("{info:#}"));
        return;
    }
    for (heading, list) in [("CERTIFICATE", &leaves), ("CERTIFICATE AUTHORITY", &authorities)] {
        say(format!("{heading:<27}{:<25}RESIDUAL TIME", "EXPIRES"));
        for entry in list {
            let missing = entry["missing"] == true;
            let expires = if missing { "!MISSING!" } else { text(&entry["expirationDate"]) };
            let left = if missing {
                String::new()
            } else {
                format!("{}d", pki::days(entry["residualTime"].as_i64().unwrap_or(0)))
            };
            say(format!("{:<27}{expires:<25}{left}", text(&entry["name"])));
        }
        say("");
    }
}

fn expiration(name: &str, certificate: Option<&str>, authority: Option<&str>) -> Value {
    let expires = certificate.and_then(|certificate| pki::expires(certificate).ok());
    let mut entry = json!({"name": name, "externallyManaged": false, "missing": expires.is_none(), "residualTime": 0, "expirationDate": null});
    if let Some(authority) = authority {
        entry["caName"] = authority.into();
    }
    if let Some(expires) = expires {
        entry["residualTime"] = (expires - jiff::Timestamp::now().as_second()).max(0).into();
        entry["expirationDate"] = jiff::Timestamp::from_second(expires)
            .map(|time| time.to_string())
            .unwrap_or_default()
            .into();
    }
    entry
}
