//! kubeadm's configuration: documents of `kubeadm.k8s.io/v1beta4`, or the flags that stand for them.

use std::{fmt, path::Path};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use crate::kube::{arguments::Arguments, paths, say_error, yaml};

const API: &str = "kubeadm.k8s.io/v1beta4";
const KUBELET_API: &str = "kubelet.config.k8s.io/v1beta1";
const PROXY_API: &str = "kubeproxy.config.k8s.io/v1alpha1";

/// The configuration was read and is wrong: every problem, in the words of Kubernetes' validation.
#[derive(Debug)]
pub(super) struct Invalid(Vec<String>);

impl std::error::Error for Invalid {}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => formatter.write_str(one),
            all => write!(formatter, "[{}]", all.join(", ")),
        }
    }
}

/// The documents of one kubeadm run, completed with defaults.
#[derive(Debug, Default, Clone)]
pub(super) struct Settings {
    pub(super) init: Value,
    pub(super) join: Value,
    pub(super) cluster: Value,
    pub(super) kubelet: Value,
    pub(super) proxy: Value,
}

impl Settings {
    /// Reads `--config`, or makes the documents from flags.
    pub(super) fn load(arguments: &Arguments) -> anyhow::Result<Self> {
        let mut settings = Self::default();
        match arguments.value("config") {
            Some(file) => {
                let text = std::fs::read_to_string(Path::new(file))
                    .with_context(|| format!("unable to read config from \"{file}\""))?;
                let documents = yaml::documents(&text)
                    .with_context(|| format!("unable to decode config from \"{file}\""))?;
                for document in documents {
                    settings.take(document)?;
                }
            }
            None => settings.take_flags(arguments),
        }
        settings.complete(arguments);
        settings.validate()?;
        Ok(settings)
    }

    fn take(&mut self, document: Value) -> anyhow::Result<()> {
        let (version, kind) = (
            document["apiVersion"].as_str().unwrap_or_default(),
            document["kind"].as_str().unwrap_or_default(),
        );
        let (place, fields): (&mut Value, &[&str]) = match (version, kind) {
            (API, "InitConfiguration") => (&mut self.init, &INIT),
            (API, "JoinConfiguration") => (&mut self.join, &JOIN),
            (API, "ClusterConfiguration") => (&mut self.cluster, &CLUSTER),
            (KUBELET_API, "KubeletConfiguration") => (&mut self.kubelet, &[]),
            (PROXY_API, "KubeProxyConfiguration") => (&mut self.proxy, &[]),
            (API, "ResetConfiguration" | "UpgradeConfiguration") => return Ok(()),
            ("", _) | (_, "") => bail!(
                "invalid configuration for GroupVersionKind: kind and apiVersion is mandatory information that must be specified"
            ),
            (old, _) if old.starts_with("kubeadm.k8s.io/") => bail!(
                "your configuration file uses an old or unknown API spec: \"{old}\" (kind: \"{kind}\"). This version of kubeadm reads \"{API}\""
            ),
            _ => bail!(
                "no kind \"{kind}\" is registered for version \"{version}\" in kubeadm's configuration"
            ),
        };
        if !place.is_null() {
            bail!("invalid configuration: kind \"{kind}\" is specified twice in YAML file");
        }
        check_arguments(&document, kind)?;
        for field in document.as_object().into_iter().flat_map(Map::keys) {
            if !fields.is_empty()
                && !fields.contains(&field.as_str())
                && !["apiVersion", "kind"].contains(&field.as_str())
            {
                say_error(format!(
                    "WARNING: error unmarshaling configuration {version} {kind}: strict decoding error: unknown field \"{field}\""
                ));
            }
        }
        *place = document;
        Ok(())
    }

    fn take_flags(&mut self, arguments: &Arguments) {
        let set = |place: &mut Value, flag: &str| {
            if let Some(value) = arguments.value(flag) {
                *place = value.into();
            }
        };
        set(&mut self.cluster["kubernetesVersion"], "kubernetes-version");
        set(&mut self.cluster["controlPlaneEndpoint"], "control-plane-endpoint");
        set(&mut self.cluster["imageRepository"], "image-repository");
        set(&mut self.cluster["networking"]["podSubnet"], "pod-network-cidr");
        set(&mut self.cluster["networking"]["serviceSubnet"], "service-cidr");
        set(&mut self.cluster["networking"]["dnsDomain"], "service-dns-domain");
        set(&mut self.init["localAPIEndpoint"]["advertiseAddress"], "apiserver-advertise-address");
        let names = arguments.list("apiserver-cert-extra-sans");
        if !names.is_empty() {
            self.cluster["apiServer"]["certSANs"] = json!(names);
        }
        if let Some(port) =
            arguments.value("apiserver-bind-port").and_then(|port| port.parse::<u16>().ok())
        {
            self.init["localAPIEndpoint"]["bindPort"] = port.into();
        }
        if let Some(token) = arguments.value("token") {
            let ttl = arguments.value("token-ttl").unwrap_or("24h0m0s");
            self.init["bootstrapTokens"] = json!([{"token": token, "ttl": ttl}]);
        }
    }

    fn complete(&mut self, arguments: &Arguments) {
        let fill = |place: &mut Value, value: Value| {
            if place.is_null() {
                *place = value;
            }
        };
        fill(
            &mut self.cluster["kubernetesVersion"],
            format!("v{}", paths::version_of("kubeadm")).into(),
        );
        if let Some(version) = self.cluster["kubernetesVersion"].as_str() {
            self.cluster["kubernetesVersion"] =
                format!("v{}", version.trim_start_matches('v')).into();
        }
        fill(&mut self.cluster["clusterName"], "kubernetes".into());
        fill(&mut self.cluster["certificatesDir"], paths::PKI.into());
        fill(&mut self.cluster["imageRepository"], "registry.k8s.io".into());
        fill(&mut self.cluster["networking"]["serviceSubnet"], "10.96.0.0/12".into());
        fill(&mut self.cluster["networking"]["dnsDomain"], "cluster.local".into());
        let endpoint = &mut self.init["localAPIEndpoint"];
        fill(&mut endpoint["bindPort"], 6443.into());
        // Any address beyond this machine: only the route to it matters.
        let own = super::route_address("192.0.2.1:9").unwrap_or_else(|| "127.0.0.1".to_owned());
        fill(&mut endpoint["advertiseAddress"], own.into());
        for document in [&mut self.init, &mut self.join] {
            let registration = &mut document["nodeRegistration"];
            let name = arguments.value("node-name").map_or_else(paths::hostname, str::to_lowercase);
            fill(&mut registration["name"], name.into());
            let socket = arguments
                .value("cri-socket")
                .map_or_else(|| format!("unix://{}", paths::CONTAINERD_SOCKET), str::to_owned);
            fill(&mut registration["criSocket"], socket.into());
        }
        let dns =
            super::super::api::nth_address(text(&self.cluster["networking"]["serviceSubnet"]), 10);
        let kubelet = &mut self.kubelet;
        kubelet["apiVersion"] = KUBELET_API.into();
        kubelet["kind"] = "KubeletConfiguration".into();
        fill(&mut kubelet["clusterDomain"], self.cluster["networking"]["dnsDomain"].clone());
        fill(&mut kubelet["clusterDNS"], json!([dns.map(|dns| dns.to_string())]));
        fill(&mut kubelet["cgroupDriver"], "systemd".into());
        fill(&mut kubelet["rotateCertificates"], true.into());
        fill(&mut kubelet["staticPodPath"], paths::MANIFESTS.into());
        self.proxy["apiVersion"] = PROXY_API.into();
        self.proxy["kind"] = "KubeProxyConfiguration".into();
        fill(&mut self.proxy["clusterCIDR"], self.cluster["networking"]["podSubnet"].clone());
    }

    fn validate(&self) -> anyhow::Result<()> {
        let mut problems = Vec::new();
        let address = text(&self.init["localAPIEndpoint"]["advertiseAddress"]);
        if address.parse::<std::net::IpAddr>().is_err() {
            problems.push(format!("localAPIEndpoint.advertiseAddress: Invalid value: \"{address}\": ip address is not valid"));
        }
        for field in ["podSubnet", "serviceSubnet"] {
            let subnet = &self.cluster["networking"][field];
            if subnet.as_str().is_some_and(|subnet| !is_subnet(subnet)) {
                problems.push(format!(
                    "networking.{field}: Invalid value: {subnet}: couldn't parse subnet"
                ));
            }
        }
        for entry in array(&self.init["bootstrapTokens"]) {
            if entry["token"].as_str().is_some_and(|token| super::token::parse(token).is_none()) {
                problems.push(format!(
                    "bootstrapTokens: Invalid value: {}: the bootstrap token is invalid",
                    entry["token"]
                ));
            }
        }
        let version = text(&self.cluster["kubernetesVersion"]).trim_start_matches('v');
        if version.split('.').count() != 3
            || !version.split(['.', '-']).take(3).all(|part| part.parse::<u16>().is_ok())
        {
            problems.push(format!(
                "kubernetesVersion: Invalid value: \"{version}\": version is not a semantic version"
            ));
        }
        if problems.is_empty() { Ok(()) } else { Err(Invalid(problems).into()) }
    }

    /// `address:port` of the API for the whole cluster.
    pub(super) fn endpoint(&self) -> String {
        let local = &self.init["localAPIEndpoint"];
        match self.cluster["controlPlaneEndpoint"].as_str().filter(|endpoint| !endpoint.is_empty())
        {
            Some(endpoint) if endpoint.contains(':') => endpoint.to_owned(),
            Some(endpoint) => format!("{endpoint}:6443"),
            None => format!("{}:{}", text(&local["advertiseAddress"]), local["bindPort"]),
        }
    }

    pub(super) fn version(&self) -> &str {
        text(&self.cluster["kubernetesVersion"]).trim_start_matches('v')
    }
}

const INIT: [&str; 8] = [
    "bootstrapTokens",
    "nodeRegistration",
    "localAPIEndpoint",
    "certificateKey",
    "skipPhases",
    "patches",
    "timeouts",
    "dryRun",
];
const JOIN: [&str; 8] = [
    "nodeRegistration",
    "caCertPath",
    "discovery",
    "controlPlane",
    "skipPhases",
    "patches",
    "timeouts",
    "dryRun",
];
const CLUSTER: [&str; 16] = [
    "etcd",
    "networking",
    "kubernetesVersion",
    "controlPlaneEndpoint",
    "apiServer",
    "controllerManager",
    "scheduler",
    "dns",
    "proxy",
    "certificatesDir",
    "imageRepository",
    "featureGates",
    "clusterName",
    "encryptionAlgorithm",
    "certificateValidityPeriod",
    "caCertificateValidityPeriod",
];

/// Since v1beta4 extra arguments are lists of names and values; the maps of earlier versions do not decode.
fn check_arguments(document: &Value, kind: &str) -> anyhow::Result<()> {
    for path in [
        "/apiServer/extraArgs",
        "/controllerManager/extraArgs",
        "/scheduler/extraArgs",
        "/etcd/local/extraArgs",
        "/nodeRegistration/kubeletExtraArgs",
    ] {
        let Some(arguments) = document.pointer(path).filter(|arguments| !arguments.is_null())
        else {
            continue;
        };
        let field = path.trim_start_matches('/').replace('/', ".");
        let Some(items) = arguments.as_array() else {
            bail!(
                "json: cannot unmarshal object into Go struct field {kind}.{field} of type []v1beta4.Arg"
            );
        };
        if items.iter().any(|item| {
            item["name"].as_str().is_none_or(str::is_empty) || !item["value"].is_string()
        }) {
            bail!("{kind}.{field}: each argument needs a name and a value, both strings");
        }
    }
    Ok(())
}

fn is_subnet(text: &str) -> bool {
    text.split(',').all(|subnet| {
        subnet.split_once('/').is_some_and(|(address, length)| {
            address.parse::<std::net::IpAddr>().is_ok() && length.parse::<u8>().is_ok()
        })
    })
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(super) fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A duration field of the `timeouts` section.
pub(super) fn timeout(
    document: &Value,
    field: &str,
    default: std::time::Duration,
) -> anyhow::Result<std::time::Duration> {
    match document["timeouts"][field].as_str() {
        Some(text) => crate::kube::arguments::duration(text),
        None => Ok(default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> anyhow::Result<Settings> {
        let mut settings = Settings::default();
        for document in yaml::documents(text).unwrap() {
            settings.take(document)?;
        }
        settings.complete(&Arguments::default());
        settings.validate()?;
        Ok(settings)
    }

    #[test]
    fn defaults_are_those_of_the_real_one() {
        let settings = load("apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: 1.36.4\ncontrolPlaneEndpoint: 10.0.0.1\n").unwrap();
        assert_eq!(settings.endpoint(), "10.0.0.1:6443");
        assert_eq!(settings.cluster["networking"]["serviceSubnet"], "10.96.0.0/12");
        assert_eq!(settings.kubelet["clusterDNS"], json!(["10.96.0.10"]));
        assert_eq!(settings.version(), "1.36.4");
    }

    #[test]
    fn other_versions_kinds_and_shapes_are_refused() {
        let message = |text: &str| load(text).unwrap_err().to_string();
        assert!(
            message("apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration")
                .contains("old or unknown API spec")
        );
        assert!(message("apiVersion: v1\nkind: Pod").contains("no kind \"Pod\""));
        assert!(message("kind: InitConfiguration").contains("mandatory"));
        let map = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration: {kubeletExtraArgs: {node-ip: 1.2.3.4}}";
        assert!(message(map).contains("[]v1beta4.Arg"));
        let wrong = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nnetworking: {podSubnet: nonsense}";
        assert!(load(wrong).unwrap_err().is::<Invalid>());
    }
}
