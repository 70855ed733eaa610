//! `kubectl create token`: a service account's token with an end.

use std::process::ExitCode;

use serde_json::json;

use super::Session;
use crate::kube::{arguments, say};

pub(super) async fn create(session: &Session, account: &str) -> anyhow::Result<ExitCode> {
    let mut request =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    if let Some(duration) = session.arguments.value("duration") {
        let seconds = arguments::duration(duration)?.as_secs();
        anyhow::ensure!(seconds > 0, "--duration must be greater than or equal to 0");
        request["spec"]["expirationSeconds"] = seconds.into();
    }
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/{account}/token", session.namespace);
    let answer = session.client.post(&path, &request).await?;
    match session.arguments.value("output") {
        Some("json") => say(format!("{answer:#}")),
        Some("yaml") => say(crate::kube::yaml::render(&answer).trim_end()),
        Some(other) => {
            anyhow::bail!("unable to match a printer suitable for the output format \"{other}\"")
        }
        None => say(answer["status"]["token"].as_str().unwrap_or_default()),
    }
    Ok(ExitCode::SUCCESS)
}
