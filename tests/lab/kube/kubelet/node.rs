//! The Node object: registered once, kept alive by its lease, Ready when the container network is there.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{pods, services};
use crate::kube::{
    client::{ApiError, Client},
    kubeconfig::Kubeconfig,
    now, paths,
};

const HEARTBEAT: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(500);

/// What the command line and the configuration say about this node.
pub(super) struct Options {
    pub(super) name: String,
    pub(super) address: Option<String>,
    pub(super) labels: Vec<String>,
    pub(super) taints: Vec<String>,
    pub(super) config: Value,
}

/// Registers the node and keeps it alive until the future is dropped.
pub(super) async fn run(kubeconfig: &str, options: &Options) -> anyhow::Result<()> {
    let config = Kubeconfig::of_machine(kubeconfig).context("failed to run Kubelet")?;
    let agent =
        Agent { client: Client::new(&config)?, options, facts: facts(&config, options).await? };
    while let Err(error) = agent.register().await {
        tracing::warn!(%error, "failed to register the node");
        tokio::time::sleep(AGAIN).await;
    }
    tracing::info!(node = options.name, "registered");
    tokio::join!(agent.beat(), pods::run(&agent), services::run(&agent));
    Ok(())
}

/// One node's connection to its cluster.
pub(super) struct Agent<'a> {
    client: Client,
    options: &'a Options,
    facts: Value,
}

impl Agent<'_> {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn name(&self) -> &str {
        &self.options.name
    }

    pub(super) fn address(&self) -> &Value {
        &self.facts["addresses"][0]["address"]
    }

    fn path(&self) -> String {
        format!("/api/v1/nodes/{}", self.options.name)
    }

    async fn register(&self) -> Result<(), ApiError> {
        self.renew().await?;
        let mut labels = json!({
            "kubernetes.io/hostname": self.options.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": self.facts["nodeInfo"]["architecture"],
            "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": self.facts["nodeInfo"]["architecture"],
        });
        for label in &self.options.labels {
            let (key, value) = label.split_once('=').unwrap_or((label, ""));
            labels[key] = value.into();
        }
        let mut node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": self.options.name, "labels": labels, "annotations": {
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            }},
            "spec": {}, "status": self.status(),
        });
        let taints: Vec<Value> =
            self.options.taints.iter().filter_map(|taint| parse_taint(taint)).collect();
        if !taints.is_empty() {
            node["spec"]["taints"] = taints.into();
        }
        match self.client.post("/api/v1/nodes", &node).await {
            Err(error) if error.is(409) => self.report().await,
            other => other.map(|_| ()),
        }
    }

    /// Renews the lease every few seconds and corrects what the API says about this node.
    async fn beat(&self) {
        let mut interval = tokio::time::interval(HEARTBEAT);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let result = async {
                self.renew().await?;
                self.report().await
            };
            if let Err(error) = result.await {
                // A node that was deleted stays away until its kubelet starts again, as a real one.
                tracing::warn!(%error, "failed to update the node's status");
            }
        }
    }

    async fn renew(&self) -> Result<(), ApiError> {
        let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
        let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": self.options.name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": self.options.name, "leaseDurationSeconds": 40, "renewTime": time},
        });
        match self.client.put(&format!("{leases}/{}", self.options.name), &lease).await {
            Err(error) if error.is(404) => self.client.post(leases, &lease).await.map(|_| ()),
            other => other.map(|_| ()),
        }
    }

    /// Sends the node's status if the API does not say the same.
    pub(super) async fn report(&self) -> Result<(), ApiError> {
        let node = self.client.get(&self.path()).await?;
        let mut status = self.status();
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            let before = node["status"]["conditions"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|before| before["type"] == condition["type"]);
            if let Some(before) = before.filter(|before| before["status"] == condition["status"]) {
                condition["lastTransitionTime"] = before["lastTransitionTime"].clone();
                condition["lastHeartbeatTime"] = before["lastHeartbeatTime"].clone();
            }
        }
        let known = &node["status"];
        if status.as_object().into_iter().flatten().any(|(field, value)| known[field] != *value) {
            self.client
                .patch(&format!("{}/status", self.path()), &json!({"status": status}))
                .await?;
        }
        Ok(())
    }

    fn status(&self) -> Value {
        let mut status = self.facts.clone();
        let time = now();
        let condition = |kind: &str, status: &str, reason: &str, message: &str| {
            json!({
                "type": kind, "status": status, "reason": reason, "message": message,
                "lastHeartbeatTime": time, "lastTransitionTime": time,
            })
        };
        let ready = if network_ready() {
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")
        } else {
            let message = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin \
                           returns error: cni plugin not initialized";
            condition("Ready", "False", "KubeletNotReady", message)
        };
        status["conditions"] = json!([
            condition(
                "MemoryPressure",
                "False",
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available"
            ),
            condition(
                "DiskPressure",
                "False",
                "KubeletHasNoDiskPressure",
                "kubelet has no disk pressure"
            ),
            condition(
                "PIDPressure",
                "False",
                "KubeletHasSufficientPID",
                "kubelet has sufficient PID available"
            ),
            ready,
        ]);
        status
    }
}

/// Whether a CNI has left its configuration where the container runtime looks for it.
pub(super) fn network_ready() -> bool {
    let entries = std::fs::read_dir(paths::under_root(paths::CNI));
    entries.into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        path.extension().is_some_and(|extension| extension == "conflist" || extension == "conf")
    })
}

/// `key=value:Effect`, the value may be missing.
fn parse_taint(text: &str) -> Option<Value> {
    let (key, effect) = text.rsplit_once(':')?;
    let (key, value) = key.split_once('=').unwrap_or((key, ""));
    let mut taint = json!({"key": key, "effect": effect});
    if !value.is_empty() {
        taint["value"] = value.into();
    }
    Some(taint)
}

/// What does not change while the kubelet runs.
async fn facts(config: &Kubeconfig, options: &Options) -> anyhow::Result<Value> {
    let address = match &options.address {
        Some(address) => address.clone(),
        None => crate::kube::kubeadm::route_address(&config.server)
            .context("failed to find this node's address: give --node-ip")?,
    };
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let release = read("/etc/os-release");
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .unwrap_or("Linux")
        .trim_matches('"')
        .to_owned();
    let memory = read("/proc/meminfo").lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.split_whitespace().next().map(str::to_owned)
    });
    let memory = format!("{}Ki", memory.unwrap_or_else(|| "0".to_owned()));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).to_string();
    let pods = options.config["maxPods"].as_i64().unwrap_or(110).to_string();
    let resources =
        json!({"cpu": cores, "memory": memory, "pods": pods, "ephemeral-storage": "20Gi"});
    Ok(json!({
        "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": options.name}],
        "capacity": resources, "allocatable": resources,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "architecture": match std::env::consts::ARCH { "aarch64" => "arm64", _ => "amd64" },
            "operatingSystem": "linux", "osImage": name,
            "kernelVersion": rustix::system::uname().release().to_string_lossy(),
            "kubeletVersion": format!("v{}", paths::version_of("kubelet")), "kubeProxyVersion": "",
            "containerRuntimeVersion": format!("containerd://{}", crate::kube::crictl::containerd_version().await),
            "machineID": read("/etc/machine-id").trim(), "bootID": read("/proc/sys/kernel/random/boot_id").trim(), "systemUUID": "",
        },
    }))
}
