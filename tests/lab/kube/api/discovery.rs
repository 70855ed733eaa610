//! Paths that are not objects: health, version, the list of kinds, and just enough `OpenAPI` for `kubectl apply`.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    reply::{Reply, ok, text, with_type},
    resources::{RESOURCES, Resource},
};

/// The answer for a path that is known here.
pub(super) fn answer(path: &str, version: &str, accept: &str) -> Option<Reply> {
    let path = path.trim_end_matches('/');
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    Some(match parts.as_slice() {
        ["livez" | "readyz" | "healthz", ..] => text(StatusCode::OK, "ok"),
        ["version"] => ok(&version_info(version)),
        ["api"] => ok(
            &json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ),
        ["apis"] => {
            let groups: Vec<Value> = groups().iter().map(|group| group_info(group)).collect();
            ok(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", group] if groups().contains(group) => {
            let mut info = group_info(group);
            info["kind"] = "APIGroup".into();
            info["apiVersion"] = "v1".into();
            ok(&info)
        }
        ["api", "v1"] => ok(&resource_list("")),
        ["apis", group, "v1"] if groups().contains(group) => ok(&resource_list(group)),
        ["openapi", "v2"] if accept.contains("protobuf") => with_type(
            StatusCode::OK,
            "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
            swagger(),
        ),
        ["openapi", "v2"] => ok(
            &json!({"swagger": "2.0", "info": {"title": "Kubernetes", "version": version}, "paths": {}, "definitions": {}}),
        ),
        ["openapi", "v3"] => ok(&openapi_index()),
        ["openapi", "v3", "api", "v1"] => ok(&openapi("", version)),
        ["openapi", "v3", "apis", group, "v1"] if groups().contains(group) => {
            ok(&openapi(group, version))
        }
        _ => return None,
    })
}

fn version_info(version: &str) -> Value {
    let mut parts = version.split('.');
    json!({
        "major": parts.next(), "minor": parts.next(), "gitVersion": format!("v{version}"), "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "go1.0", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// Kinds that are only asked and never stored have groups too.
fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> =
        RESOURCES.iter().map(|resource| resource.group).filter(|group| !group.is_empty()).collect();
    groups.dedup();
    groups.extend(["authorization.k8s.io", "authentication.k8s.io"]);
    groups
}

fn group_info(group: &str) -> Value {
    let version = json!({"groupVersion": format!("{group}/v1"), "version": "v1"});
    json!({"name": group, "versions": [version], "preferredVersion": version})
}

fn resource_list(group: &str) -> Value {
    let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    let mut resources = Vec::new();
    for resource in RESOURCES.iter().filter(|resource| resource.group == group) {
        let mut entry = |name: &str, kind: &str, verbs: &[&str]| {
            resources.push(json!({
                "name": name, "singularName": "", "namespaced": resource.namespaced, "kind": kind, "verbs": verbs,
            }));
        };
        entry(resource.plural, resource.kind, &verbs);
        if resource.status {
            entry(
                &format!("{}/status", resource.plural),
                resource.kind,
                &["get", "patch", "update"],
            );
        }
        if resource.plural == "pods" {
            entry("pods/eviction", "Eviction", &["create"]);
            entry("pods/log", "Pod", &["get"]);
        }
        if ["deployments", "replicasets", "statefulsets"].contains(&resource.plural) {
            entry(&format!("{}/scale", resource.plural), "Scale", &["get", "patch", "update"]);
        }
        if resource.plural == "serviceaccounts" {
            entry("serviceaccounts/token", "TokenRequest", &["create"]);
        }
        if resource.plural == "certificatesigningrequests" {
            entry(
                "certificatesigningrequests/approval",
                resource.kind,
                &["get", "patch", "update"],
            );
        }
        if let Some(first) = resources.iter_mut().find(|entry| entry["name"] == resource.plural) {
            first["singularName"] = resource.kind.to_lowercase().into();
            first["shortNames"] = json!(resource.short);
        }
    }
    for (owner, name, kind) in [
        ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
        ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"),
    ] {
        if owner == group {
            resources.push(json!({"name": name, "singularName": "", "namespaced": false, "kind": kind, "verbs": ["create"]}));
        }
    }
    // The eviction's group tells kubectl drain which one to send.
    for entry in resources.iter_mut().filter(|entry| entry["kind"] == "Eviction") {
        entry["group"] = "policy".into();
        entry["version"] = "v1".into();
    }
    let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources})
}

fn openapi_index() -> Value {
    let mut paths = serde_json::Map::new();
    paths.insert("api/v1".to_owned(), json!({"serverRelativeURL": "/openapi/v3/api/v1"}));
    for group in groups() {
        paths.insert(
            format!("apis/{group}/v1"),
            json!({"serverRelativeURL": format!("/openapi/v3/apis/{group}/v1")}),
        );
    }
    json!({"paths": paths})
}

/// Says only that the server checks fields itself, so that kubectl does not look for schemas.
fn openapi(group: &str, version: &str) -> Value {
    let mut paths = serde_json::Map::new();
    for resource in RESOURCES.iter().filter(|resource| resource.group == group) {
        let operation = json!({"patch": {
            "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
            "x-kubernetes-group-version-kind": {"group": group, "version": resource.version, "kind": resource.kind},
            "responses": {"200": {"description": "OK"}},
        }});
        paths.insert(openapi_path(resource), operation);
    }
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": version}, "paths": paths, "components": {"schemas": {}}})
}

fn openapi_path(resource: &Resource) -> String {
    let root = if resource.group.is_empty() {
        "/api/v1".to_owned()
    } else {
        format!("/apis/{}/v1", resource.group)
    };
    let scope = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    format!("{root}{scope}/{}/{{name}}", resource.plural)
}

/// An `OpenAPI` document without kinds as protobuf: `swagger` (1) and `info` (2) with `title` (1) and `version` (2).
///
/// Old kubectl insist on this form, and skip the check of kinds that it does not describe.
fn swagger() -> Vec<u8> {
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let length =
            u8::try_from(content.len()).expect("every field here is shorter than 128 bytes");
        [&[number << 3 | 2, length], content].concat()
    }
    let info = [field(1, b"Kubernetes"), field(2, b"unversioned")].concat();
    [field(1, b"2.0"), field(2, &info), field(8, &[])].concat()
}
