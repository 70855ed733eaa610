//! Certificate signing requests: a joining node's is approved at once, others when somebody approves them.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use super::{Server, authentication::User, authentication::asks_for_node, reply::Refusal};
use crate::kube::pki::{self, Usage};

const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";

/// Notes who asks, and does what kube-controller-manager's approver and signer do for a node.
pub(super) fn on_create(server: &Server, user: &User, object: &mut Value) -> Result<(), Refusal> {
    let Some(request) = request(object) else {
        return Err(Refusal::bad_request(
            "spec.request is not a PEM certificate signing request in Base64",
        ));
    };
    object["spec"]["username"] = user.name.clone().into();
    object["spec"]["groups"] = json!(user.groups);
    object["status"] = json!({});
    let trusted = user.is_in("system:bootstrappers") || user.is_in("system:nodes");
    if object["spec"]["signerName"] == KUBELET_CLIENT && trusted && asks_for_node(&request) {
        let now = crate::kube::now();
        object["status"]["conditions"] = json!([{
            "type": "Approved", "status": "True", "reason": "AutoApproved",
            "message": "Auto approving kubelet client certificate after SubjectAccessReview.",
            "lastUpdateTime": now, "lastTransitionTime": now,
        }]);
        issue_if_approved(server, object)?;
    }
    Ok(())
}

/// Signs an approved request that has no certificate yet.
pub(super) fn issue_if_approved(server: &Server, object: &mut Value) -> Result<(), Refusal> {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let has = |kind: &str| conditions.iter().any(|condition| condition["type"] == kind);
    if !has("Approved") || has("Denied") || object["status"]["certificate"].is_string() {
        return Ok(());
    }
    let usage = match object["spec"]["signerName"].as_str() {
        Some(KUBELET_CLIENT | CLIENT) => Usage::Client,
        Some(KUBELET_SERVING) => Usage::Server,
        // Another signer's business.
        _ => return Ok(()),
    };
    let lifetime = object["spec"]["expirationSeconds"]
        .as_u64()
        .map_or(pki::LEAF, std::time::Duration::from_secs)
        .min(pki::LEAF);
    let request = request(object).unwrap_or_default();
    let certificate = pki::sign_request(&server.authority, &request, usage, lifetime)
        .map_err(|error| Refusal::bad_request(format!("{error:#}")))?;
    object["status"]["certificate"] = BASE64.encode(certificate).into();
    Ok(())
}

fn request(object: &Value) -> Option<String> {
    String::from_utf8(BASE64.decode(object["spec"]["request"].as_str()?).ok()?).ok()
}
