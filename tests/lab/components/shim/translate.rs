//! kubeadm's `v1beta4` as `v1beta2`, and today's command line as the one of 1.20. PURE.
//!
//! What has no counterpart is left out with a note if a cluster is the same without it, and refused otherwise.

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

const THEIRS: &str = "kubeadm.k8s.io/v1beta4";
const OURS: &str = "kubeadm.k8s.io/v1beta2";

/// Where the images in a guest are named after: a name that no registry has.
pub(crate) const REPOSITORY: &str = "kubesmith.invalid";
/// The tag of the image made from Debian's etcd.
pub(crate) const ETCD_TAG: &str = "debian";

/// What the real kubeadm is given.
#[derive(Debug, Default)]
pub(super) struct Translated {
    pub(super) documents: Vec<Value>,
    /// What a configuration file could not say in its days.
    pub(super) flags: Vec<String>,
    /// What a person should know of the difference.
    pub(super) notes: Vec<String>,
}

/// Takes `--config FILE` out of a command line.
pub(super) fn take_config(arguments: Vec<String>) -> (Vec<String>, Option<String>) {
    let (mut rest, mut config) = (Vec::new(), None);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--config" {
            config = arguments.next();
        } else if let Some(path) = argument.strip_prefix("--config=") {
            config = Some(path.to_owned());
        } else {
            rest.push(argument);
        }
    }
    (rest, config)
}

/// Commands that have moved since, and flags that came later.
pub(super) fn arguments(mut arguments: Vec<String>) -> Vec<String> {
    if arguments.first().is_some_and(|word| word == "kubeconfig") {
        arguments.insert(0, "alpha".to_owned());
    }
    if arguments.starts_with(&["token".to_owned(), "list".to_owned()]) {
        for argument in &mut arguments {
            *argument = argument.replace("--output", "--experimental-output");
        }
    }
    arguments
}

/// A whole configuration file.
pub(super) fn configuration(documents: Vec<Value>) -> Result<Translated> {
    let mut done = Translated::default();
    let mut patience = Value::Null;
    for mut document in documents {
        match (text(&document["apiVersion"]), text(&document["kind"])) {
            (THEIRS, "InitConfiguration") => {
                patience = document["timeouts"]["controlPlaneComponentHealthCheck"].clone();
                node(&mut document, &mut done)?;
                done.flags.push("--skip-phases=addon/coredns".to_owned());
                // Its preflight wants the image all the same.
                done.flags.push("--ignore-preflight-errors=ImagePull".to_owned());
                done.notes.push("no CoreDNS: there is no image of it".to_owned());
            }
            (THEIRS, "JoinConfiguration") => {
                let discovery = document["timeouts"]["discovery"].clone();
                if !discovery.is_null() {
                    document["discovery"]["timeout"] = discovery;
                }
                node(&mut document, &mut done)?;
            }
            (THEIRS, "ClusterConfiguration") => cluster(&mut document)?,
            (THEIRS, kind) => bail!("the lab's kubeadm cannot translate a {kind} to {OURS}"),
            (_, "KubeletConfiguration") => kubelet(&mut document),
            (_, "KubeProxyConfiguration") => proxy(&mut document),
            _ => {}
        }
        if document["apiVersion"] == THEIRS {
            document["apiVersion"] = OURS.into();
        }
        done.documents.push(document);
    }
    let cluster = done.documents.iter_mut().find(|one| one["kind"] == "ClusterConfiguration");
    if let (Some(cluster), false) = (cluster, patience.is_null()) {
        cluster["apiServer"]["timeoutForControlPlane"] = patience;
    }
    done.notes.insert(0, format!("translated from {THEIRS} to {OURS}"));
    Ok(done)
}

/// What is said about the machine itself, at an init and at a join.
fn node(document: &mut Value, done: &mut Translated) -> Result<()> {
    let Some(fields) = document.as_object_mut() else { return Ok(()) };
    for phase in
        fields.remove("skipPhases").as_ref().and_then(Value::as_array).into_iter().flatten()
    {
        done.flags.push(format!("--skip-phases={}", text(phase)));
    }
    if fields.remove("dryRun") == Some(Value::Bool(true)) {
        done.flags.push("--dry-run".to_owned());
    }
    if fields.contains_key("patches") {
        bail!("the lab's kubeadm cannot translate patches to {OURS}");
    }
    // Those with a counterpart were moved before.
    fields.remove("timeouts");
    let Some(registration) = fields.get_mut("nodeRegistration").and_then(Value::as_object_mut)
    else {
        return Ok(());
    };
    extra_arguments(registration, "kubeletExtraArgs")?;
    // All images are there already.
    for field in ["imagePullPolicy", "imagePullSerial"] {
        if registration.remove(field).is_some() {
            done.notes.push(format!("left out: nodeRegistration.{field}"));
        }
    }
    Ok(())
}

fn cluster(document: &mut Value) -> Result<()> {
    let newer = [
        "encryptionAlgorithm",
        "certificateValidityPeriod",
        "caCertificateValidityPeriod",
        "proxy",
    ];
    if let Some(field) = newer.iter().find(|field| !document[**field].is_null()) {
        bail!("the lab's kubeadm cannot translate the field {field} to {OURS}");
    }
    let parts = ["/apiServer", "/controllerManager", "/scheduler", "/etcd/local"];
    for part in parts {
        if let Some(section) = document.pointer_mut(part).and_then(Value::as_object_mut) {
            if section.contains_key("extraEnvs") {
                bail!("the lab's kubeadm cannot translate extraEnvs to {OURS}");
            }
            extra_arguments(section, "extraArgs")?;
        }
    }
    document["imageRepository"] = REPOSITORY.into();
    document["etcd"]["local"]["imageTag"] = ETCD_TAG.into();
    Ok(())
}

/// A guest's disk is the machine's: how full that is says nothing about the guest, and images could not be had again.
fn kubelet(document: &mut Value) {
    if let Some(fields) = document.as_object_mut() {
        // Of a later kubelet; this one reads the file strictly first.
        fields.remove("seccompDefault");
    }
    document["imageGCHighThresholdPercent"] = 100.into();
    document["evictionHard"] = json!({"memory.available": "100Mi"});
}

/// The table of connections belongs to the host's kernel.
fn proxy(document: &mut Value) {
    document["conntrack"]["maxPerCore"] = 0.into();
    document["conntrack"]["min"] = 0.into();
}

/// A list of `name` and `value` becomes a map; a name that comes twice had no spelling.
fn extra_arguments(section: &mut Map<String, Value>, field: &str) -> Result<()> {
    let Some(list) = section.get(field).and_then(Value::as_array) else { return Ok(()) };
    let mut map = Map::new();
    for argument in list {
        let name = text(&argument["name"]).to_owned();
        if map.insert(name.clone(), argument["value"].clone()).is_some() {
            bail!("the lab's kubeadm cannot translate {field}: {name} is there twice");
        }
    }
    section.insert(field.to_owned(), map.into());
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::yaml;

    fn translated(text: &str) -> Result<String> {
        let done = configuration(yaml::documents(text)?)?;
        let documents: Vec<_> = done.documents.iter().map(yaml::render).collect();
        Ok(format!(
            "{}\n---\n{}\n---\n{}",
            done.flags.join(" "),
            documents.join("\n---\n"),
            done.notes.join("\n")
        ))
    }

    #[test]
    fn what_a_role_writes_is_what_an_old_kubeadm_reads() {
        let init = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 10.40.19.201, bindPort: 6443}\n\
            timeouts: {controlPlaneComponentHealthCheck: 2m0s}\nskipPhases: [addon/kube-proxy]\nnodeRegistration:\n  name: demo-cp-1\n  \
            imagePullPolicy: IfNotPresent\n  imagePullSerial: false\n  kubeletExtraArgs: [{name: node-ip, value: 10.40.19.201}]\n---\n\
            apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.20.2\n\
            apiServer: {certSANs: [demo], extraArgs: [{name: v, value: '4'}]}\n---\n\
            apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: systemd\nseccompDefault: true\n---\n\
            apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: iptables\n";
        insta::assert_snapshot!("init", translated(init).unwrap());
        let join = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ntimeouts: {discovery: 10s}\ndiscovery:\n  bootstrapToken:\n    \
            apiServerEndpoint: 10.40.19.201:6443\n    token: abcdef.0123456789abcdef\n    caCertHashes: [sha256:00]\nnodeRegistration: {name: demo-worker-1}\n";
        insta::assert_snapshot!("join", translated(join).unwrap());
    }

    #[test]
    fn what_would_change_a_cluster_is_refused_not_dropped() {
        let config = |kind: &str, more: &str| {
            format!("apiVersion: kubeadm.k8s.io/v1beta4\nkind: {kind}\n{more}\n")
        };
        for (text, why) in [
            (config("ResetConfiguration", ""), "a ResetConfiguration"),
            (config("InitConfiguration", "patches: {directory: /x}"), "patches"),
            (
                config("ClusterConfiguration", "encryptionAlgorithm: ECDSA-P256"),
                "encryptionAlgorithm",
            ),
            (
                config(
                    "ClusterConfiguration",
                    "apiServer: {extraArgs: [{name: a, value: b}, {name: a, value: c}]}",
                ),
                "a is there twice",
            ),
        ] {
            let error = translated(&text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn only_what_moved_is_changed_on_a_command_line() {
        let line = |words: &str| {
            let words = words.split(' ').map(str::to_owned).collect();
            let (rest, config) = take_config(words);
            (arguments(rest).join(" "), config)
        };
        assert_eq!(line("init --config /x -v5"), ("init -v5".to_owned(), Some("/x".to_owned())));
        assert_eq!(line("join --config=/x").1.as_deref(), Some("/x"));
        assert_eq!(line("reset -f").0, "reset -f");
        assert_eq!(line("kubeconfig user --org a").0, "alpha kubeconfig user --org a");
    }
}
