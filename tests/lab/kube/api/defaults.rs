//! What the server adds to objects: identity, versions, the usual defaults, and a new cluster's first objects.

use serde_json::{Map, Value, json};

use super::{Options, Store, access, reply::Refusal, resources::Resource, resources::kind};
use crate::kube::{now, random_name};

/// Checks and completes a new object.
pub(super) fn on_create(
    store: &Store,
    resource: &Resource,
    namespace: &str,
    object: &mut Value,
) -> Result<(), Refusal> {
    if !object.is_object() {
        return Err(Refusal::bad_request("the body of the request is empty or not an object"));
    }
    let kind_given = object["kind"].as_str().unwrap_or(resource.kind);
    let version = resource.api_version();
    if kind_given != resource.kind
        || object["apiVersion"].as_str().is_some_and(|given| given != version)
    {
        return Err(Refusal::bad_request(format!(
            "the object provided is unrecognized or does not match: got {kind_given}, want {} of {version}",
            resource.kind
        )));
    }
    if resource.namespaced {
        if namespace.is_empty() {
            return Err(Refusal::bad_request("an empty namespace may not be set during creation"));
        }
        if object["metadata"]["namespace"]
            .as_str()
            .is_some_and(|given| !given.is_empty() && given != namespace)
        {
            return Err(Refusal::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        if store.get(&kind("namespaces").key("", namespace)).is_none() {
            return Err(Refusal::not_found(kind("namespaces"), namespace));
        }
    }
    complete(resource, namespace, object);
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Err(Refusal::invalid(
            resource,
            "",
            "metadata.name: Required value: name or generateName is required",
        ));
    }
    let role = resource.group == super::resources::RBAC;
    if name.len() > 253 || !role && !is_name(name) {
        let problem = format!(
            "metadata.name: Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
        );
        return Err(Refusal::invalid(resource, name, &problem));
    }
    if resource.kind == "Service" {
        allocate_service_address(store, object);
    }
    Ok(())
}

/// A DNS subdomain.
fn is_name(text: &str) -> bool {
    let valid = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || ".-".contains(character)
    };
    let edge = |character: char| character.is_ascii_alphanumeric();
    text.chars().all(valid) && text.starts_with(edge) && text.ends_with(edge)
}

/// Gives a new object its identity and its kind's defaults.
pub(super) fn complete(resource: &Resource, namespace: &str, object: &mut Value) {
    object["kind"] = resource.kind.into();
    object["apiVersion"] = resource.api_version().into();
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    let metadata = &mut object["metadata"];
    if let Some(prefix) = metadata["generateName"].as_str()
        && metadata["name"].as_str().is_none_or(str::is_empty)
    {
        metadata["name"] = format!("{prefix}{}", random_name(5)).into();
    }
    if resource.namespaced {
        metadata["namespace"] = namespace.into();
    }
    metadata["uid"] = uid().into();
    metadata["creationTimestamp"] = now().into();
    if let Some(fields) = metadata.as_object_mut() {
        fields.remove("managedFields");
        fields.remove("resourceVersion");
        if resource.status && !["Node", "Pod", "Namespace"].contains(&resource.kind) {
            fields.insert("generation".to_owned(), 1.into());
        }
    }
    match resource.kind {
        "Namespace" => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            object["spec"]["finalizers"] = json!(["kubernetes"]);
            object["status"] = json!({"phase": "Active"});
        }
        "Pod" => {
            let spec = &mut object["spec"];
            fill(
                spec,
                &json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "schedulerName": "default-scheduler", "serviceAccountName": "default"}),
            );
            object["status"] = json!({"phase": "Pending"});
        }
        "Deployment" => fill(
            &mut object["spec"],
            &json!({"replicas": 1, "strategy": {"type": "RollingUpdate"}, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10}),
        ),
        "ReplicaSet" => fill(&mut object["spec"], &json!({"replicas": 1})),
        "StatefulSet" => fill(
            &mut object["spec"],
            &json!({"replicas": 1, "updateStrategy": {"type": "RollingUpdate"}}),
        ),
        "DaemonSet" => fill(
            &mut object["spec"],
            &json!({"updateStrategy": {"type": "RollingUpdate"}, "revisionHistoryLimit": 10}),
        ),
        "Service" => {
            fill(&mut object["spec"], &json!({"type": "ClusterIP", "sessionAffinity": "None"}));
        }
        "Secret" => {
            fill(object, &json!({"type": "Opaque"}));
            encode_string_data(object);
        }
        _ => {}
    }
}

/// Adds the fields that are not there.
fn fill(object: &mut Value, defaults: &Value) {
    for (key, value) in defaults.as_object().into_iter().flatten() {
        if object[key].is_null() {
            object[key] = value.clone();
        }
    }
}

fn encode_string_data(secret: &mut Value) {
    use base64::Engine as _;
    let plain = secret.as_object_mut().and_then(|fields| fields.remove("stringData"));
    for (key, value) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        secret["data"][key] = base64::engine::general_purpose::STANDARD.encode(text).into();
    }
}

/// What an update of the whole object may not change stays, and a changed spec is a new generation.
pub(super) fn on_update(
    resource: &Resource,
    existing: &Value,
    mut next: Value,
    object: &mut Value,
) {
    for field in ["uid", "creationTimestamp", "namespace", "generation"] {
        let value = &existing["metadata"][field];
        if value.is_null() {
            next["metadata"].as_object_mut().map(|fields| fields.remove(field));
        } else {
            next["metadata"][field] = value.clone();
        }
    }
    if let Some(fields) = next["metadata"].as_object_mut() {
        fields.remove("managedFields");
    }
    next["kind"] = resource.kind.into();
    next["apiVersion"] = resource.api_version().into();
    if resource.status {
        next["status"] = existing["status"].clone();
        if existing["status"].is_null() {
            next.as_object_mut().map(|fields| fields.remove("status"));
        }
    }
    if resource.kind == "Secret" {
        encode_string_data(&mut next);
    }
    if resource.kind == "Service" && next["spec"]["clusterIP"].is_null() {
        for field in ["clusterIP", "clusterIPs", "type", "sessionAffinity"] {
            if next["spec"][field].is_null() {
                next["spec"][field] = existing["spec"][field].clone();
            }
        }
    }
    if existing["spec"] != next["spec"]
        && let Some(generation) = existing["metadata"]["generation"].as_i64()
    {
        next["metadata"]["generation"] = (generation + 1).into();
    }
    *object = next;
}

fn uid() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// The `n`th address of a subnet: `10.96.0.0/12` and 1 give `10.96.0.1`.
pub(crate) fn nth_address(subnet: &str, n: u32) -> Option<std::net::Ipv4Addr> {
    let base: std::net::Ipv4Addr = subnet.split('/').next()?.parse().ok()?;
    Some(std::net::Ipv4Addr::from(u32::from(base).checked_add(n)?))
}

fn allocate_service_address(store: &Store, service: &mut Value) {
    let spec = &mut service["spec"];
    if spec["clusterIP"].is_string() || spec["type"] == "ExternalName" {
        return;
    }
    let resource = kind("services");
    let (services, _) = store.list(&resource.prefix(""));
    let used: Vec<&str> =
        services.iter().filter_map(|service| service["spec"]["clusterIP"].as_str()).collect();
    let first = store
        .get(&resource.key("default", "kubernetes"))
        .and_then(|service| service["spec"]["clusterIP"].as_str().map(str::to_owned));
    let free = first.and_then(|first| {
        (20..4000)
            .filter_map(|n| nth_address(&first, n))
            .map(|address| address.to_string())
            .find(|address| !used.contains(&address.as_str()))
    });
    if let Some(address) = free {
        spec["clusterIPs"] = json!([address]);
        spec["clusterIP"] = address.into();
    }
}

/// Removes everything in a namespace, as its controller does before the namespace goes.
pub(super) fn empty_namespace(store: &Store, namespace: &str) {
    for resource in super::resources::RESOURCES.iter().filter(|resource| resource.namespaced) {
        for object in store.list(&resource.prefix(namespace)).0 {
            store.remove(
                &resource.key(namespace, object["metadata"]["name"].as_str().unwrap_or_default()),
            );
        }
    }
}

/// Makes what every cluster has, where it is missing.
pub(super) fn bootstrap(store: &Store, options: &Options) {
    let ensure = |plural: &str, namespace: &str, name: &str, content: Value| {
        let resource = kind(plural);
        let key = resource.key(namespace, name);
        if store.get(&key).is_some() {
            return;
        }
        let mut object = Value::Object(content.as_object().cloned().unwrap_or_else(Map::new));
        object["metadata"]["name"] = name.into();
        complete(resource, namespace, &mut object);
        store.put(&key, object);
    };
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        ensure("namespaces", "", name, json!({}));
    }
    for (name, rules) in access::built_in_roles() {
        ensure(
            "clusterroles",
            "",
            name,
            json!({"metadata": {"labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}, "rules": rules}),
        );
    }
    let group = super::resources::RBAC;
    let admins = json!({
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": "system:masters"}],
    });
    ensure("clusterrolebindings", "", "cluster-admin", admins);
    let address = nth_address(&options.service_subnet, 1)
        .map(|address| address.to_string())
        .unwrap_or_default();
    let port = options.address.port();
    let service = json!({
        "metadata": {"labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"clusterIP": address, "clusterIPs": [address], "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]},
    });
    ensure("services", "default", "kubernetes", service);
    let endpoints = json!({"subsets": [{
        "addresses": [{"ip": options.address.ip().to_string()}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }]});
    ensure("endpoints", "default", "kubernetes", endpoints);
    for (name, value) in
        [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)]
    {
        ensure(
            "priorityclasses",
            "",
            name,
            json!({"value": value, "description": "Used for system critical pods."}),
        );
    }
}
