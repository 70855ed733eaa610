//! What kube-proxy does: on this node, connections to a Service's address go to its first endpoint.
//!
//! No pod runs, so the only endpoints that answer are those of the control plane's own pods, which the kubelet serves.

use std::{fmt::Write as _, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::node::Agent;
use crate::kube::client::ApiError;

const AGAIN: Duration = Duration::from_secs(1);

/// Follows Services and their endpoints until the future is dropped.
pub(super) async fn run(agent: &Agent<'_>) {
    // A test's root shares its network with the machine.
    if std::env::var_os("STANDIN_ROOT").is_some() {
        return;
    }
    let mut applied = String::new();
    loop {
        match agent.client().watch("/api/v1/endpoints").await {
            Ok(mut watch) => {
                while watch.next().await.is_some() {
                    if let Err(error) = sync(agent, &mut applied).await {
                        tracing::warn!("failed to bring Services to this node: {error:#}");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "failed to watch endpoints"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn sync(agent: &Agent<'_>, applied: &mut String) -> anyhow::Result<()> {
    let list = async |plural: &str| -> Result<Vec<Value>, ApiError> {
        let answer = agent.client().get(&format!("/api/v1/{plural}")).await?;
        Ok(answer["items"].as_array().cloned().unwrap_or_default())
    };
    let wanted = rules(&list("services").await?, &list("endpoints").await?);
    if wanted != *applied {
        apply(&wanted).await?;
        *applied = wanted;
    }
    Ok(())
}

/// One table that replaces the one before.
fn rules(services: &[Value], endpoints: &[Value]) -> String {
    let mut lines = String::new();
    for service in services {
        let same =
            |field: &str, other: &Value| other["metadata"][field] == service["metadata"][field];
        let subset = endpoints
            .iter()
            .find(|other| same("name", other) && same("namespace", other))
            .map(|found| &found["subsets"][0]);
        let (Some(subset), Some(address)) = (subset, address(&service["spec"]["clusterIP"])) else {
            continue;
        };
        let ports = service["spec"]["ports"].as_array();
        for (index, port) in ports.into_iter().flatten().enumerate() {
            let target = &subset["ports"][index]["port"];
            let endpoint = self::address(&subset["addresses"][0]["ip"]);
            let udp = port["protocol"] == "UDP";
            if let (Some(endpoint), Some(target), Some(port), false) =
                (endpoint, target.as_u64(), port["port"].as_u64(), udp)
            {
                let _ = writeln!(
                    lines,
                    "    ip daddr {address} tcp dport {port} dnat to {endpoint}:{target}"
                );
            }
        }
    }
    format!(
        "table ip kubesmith-standin\ndelete table ip kubesmith-standin\ntable ip kubesmith-standin {{\n  chain output {{\n    \
         type nat hook output priority -100\n{lines}  }}\n  chain prerouting {{\n    type nat hook prerouting priority -100\n{lines}  }}\n}}\n"
    )
}

/// The rules are text, so nothing but an address gets into them.
fn address(value: &Value) -> Option<std::net::Ipv4Addr> {
    value.as_str()?.parse().ok()
}

async fn apply(rules: &str) -> anyhow::Result<()> {
    let mut nft = crate::command::command("nft");
    nft.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = nft.spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(rules.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    anyhow::ensure!(output.status.success(), "nft: {}", crate::command::last_words(&output));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_leads_to_its_first_endpoint_and_one_without_leads_nowhere() {
        let service = |name: &str, address: &str| json!({"metadata": {"name": name, "namespace": "a"}, "spec": {"clusterIP": address, "ports": [{"port": 443}]}});
        let endpoints = json!({"metadata": {"name": "web", "namespace": "a"},
            "subsets": [{"addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}], "ports": [{"port": 6443}]}]});
        let services = [
            service("web", "10.96.0.7"),
            service("empty", "10.96.0.8"),
            service("headless", "None"),
        ];
        let rules = rules(&services, &[endpoints]);
        assert_eq!(
            rules.matches("ip daddr 10.96.0.7 tcp dport 443 dnat to 10.0.0.1:6443").count(),
            2
        );
        assert_eq!(rules.matches("dnat to").count(), 2, "{rules}");
    }
}
