//! The control loops, in one: after every change, and when a time is over, everything is brought to what it should be.
//!
//! Each step reads the store and writes what differs; a write that changes nothing is no event, so the loop comes to rest.

use std::time::Duration;

use base64::{
    Engine as _, engine::general_purpose::STANDARD as BASE64,
    engine::general_purpose::URL_SAFE_NO_PAD,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Store,
    authentication::{data, expired},
    defaults, nodes, quotas,
    resources::kind,
    services, workloads,
};
use crate::kube::{paths, random_name};

/// A burst of changes is worked on once.
const SETTLE: Duration = Duration::from_millis(20);
/// Expiry (of tokens and of nodes' heartbeats) is seen at the latest after this.
const TICK: Duration = Duration::from_secs(5);

/// Runs the control loops until the future is dropped.
pub(super) async fn run(store: &Store, pod_subnet: Option<&str>) {
    let mut changes = store.changes();
    let started = jiff::Timestamp::now();
    loop {
        nodes::reconcile(store, pod_subnet, started);
        workloads::reconcile(store);
        services::reconcile(store);
        accounts(store);
        tokens(store);
        quotas::reconcile(store);
        let deadline = Instant::now() + TICK;
        // Heartbeats alone are no reason to look at everything.
        while let Ok(Ok(event)) = tokio::time::timeout_at(deadline, changes.recv()).await {
            if !event.key.starts_with("coordination.k8s.io/") {
                break;
            }
        }
        tokio::time::sleep(SETTLE).await;
        // What was missed by lagging is seen in the store itself.
        changes = changes.resubscribe();
    }
}

/// Makes an object of the controllers' own.
pub(super) fn make(store: &Store, plural: &str, namespace: &str, mut object: Value) {
    let resource = kind(plural);
    defaults::complete(resource, namespace, &mut object);
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    store.put(&resource.key(namespace, &name), object);
}

/// Changes an object that is still there.
pub(super) fn edit(store: &Store, key: &str, change: impl FnOnce(&mut Value)) {
    let _ = store.change(key, |existing| {
        let mut object = existing.cloned().ok_or(())?;
        change(&mut object);
        Ok::<_, ()>(Some(object))
    });
}

/// Every namespace has a default service account and the cluster's authority.
fn accounts(store: &Store) {
    let authority = paths::read(&format!("{}/ca.crt", paths::PKI)).unwrap_or_default();
    for namespace in store.list(&kind("namespaces").prefix("")).0 {
        let namespace = namespace["metadata"]["name"].as_str().unwrap_or_default();
        if store.get(&kind("serviceaccounts").key(namespace, "default")).is_none() {
            make(store, "serviceaccounts", namespace, json!({"metadata": {"name": "default"}}));
        }
        if store.get(&kind("configmaps").key(namespace, "kube-root-ca.crt")).is_none() {
            let content =
                json!({"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": authority}});
            make(store, "configmaps", namespace, content);
        }
    }
}

/// Removes expired bootstrap tokens, and signs the public cluster-info with those that are left.
fn tokens(store: &Store) {
    let mut live = Vec::new();
    for secret in store.list(&kind("secrets").prefix("kube-system")).0 {
        if secret["type"] != "bootstrap.kubernetes.io/token" {
            continue;
        }
        if expired(&secret) {
            store.remove(
                &kind("secrets")
                    .key("kube-system", secret["metadata"]["name"].as_str().unwrap_or_default()),
            );
        } else if data(&secret, "usage-bootstrap-signing").as_deref() == Some("true")
            && let (Some(id), Some(token)) =
                (data(&secret, "token-id"), data(&secret, "token-secret"))
        {
            live.push((id, token));
        }
    }
    let key = kind("configmaps").key("kube-public", "cluster-info");
    edit(store, &key, |info| {
        let kubeconfig = info["data"]["kubeconfig"].as_str().unwrap_or_default().to_owned();
        if let Some(fields) = info["data"].as_object_mut() {
            fields.retain(|field, _| !field.starts_with("jws-kubeconfig-"));
            for (id, token) in &live {
                fields.insert(
                    format!("jws-kubeconfig-{id}"),
                    detached_signature(&kubeconfig, id, token).into(),
                );
            }
        }
    });
}

/// A JSON Web Signature of `content` without the content itself, made with a bootstrap token's secret.
pub(crate) fn detached_signature(content: &str, id: &str, secret: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"HS256\",\"kid\":\"{id}\"}}"));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let signature =
        ring::hmac::sign(&key, format!("{header}.{}", URL_SAFE_NO_PAD.encode(content)).as_bytes());
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The Secret of a bootstrap token, for those who make one.
pub(crate) fn token_secret(
    id: &str,
    secret: &str,
    expiration: Option<&str>,
    description: &str,
    groups: &str,
    usages: &[String],
) -> Value {
    let encode = |text: &str| Value::from(BASE64.encode(text));
    let mut fields = json!({"token-id": encode(id), "token-secret": encode(secret), "auth-extra-groups": encode(groups)});
    for usage in usages {
        fields[format!("usage-bootstrap-{usage}")] = encode("true");
    }
    if let Some(expiration) = expiration {
        fields["expiration"] = encode(expiration);
    }
    if !description.is_empty() {
        fields["description"] = encode(description);
    }
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": format!("bootstrap-token-{id}"), "namespace": "kube-system"}, "data": fields,
    })
}

/// A name for one more object of an owner.
pub(super) fn child_name(owner: &str) -> String {
    format!("{owner}-{}", random_name(5))
}
