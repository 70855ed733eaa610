//! What a user may do: RBAC over the stored roles and bindings, and the few rules that are built in.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::{
    Store,
    authentication::User,
    reply::Refusal,
    resources::{RBAC, kind},
    route::Target,
};

/// One question to the authorizer.
struct Ask<'a> {
    verb: &'a str,
    group: &'a str,
    /// With its subresource, as rules name it: `pods/eviction`.
    resource: &'a str,
    namespace: &'a str,
    name: &'a str,
}

/// Refuses what no rule allows.
pub(super) fn check(
    store: &Store,
    user: &User,
    verb: &str,
    target: &Target,
) -> Result<(), Refusal> {
    let resource = match &target.subresource {
        Some(subresource) => format!("{}/{subresource}", target.resource.plural),
        None => target.resource.plural.to_owned(),
    };
    let name = target.name.as_deref().unwrap_or_default();
    // A namespace lies in itself: who may do all in it may look at it.
    let namespace = if target.resource.plural == "namespaces" { name } else { &target.namespace };
    let ask = Ask { verb, group: target.resource.group, resource: &resource, namespace, name };
    if allowed(store, user, &ask) {
        return Ok(());
    }
    let object = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
    let scope = if ask.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{}\"", ask.namespace)
    };
    let message = format!(
        "{}{object} is forbidden: User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{}\" {scope}",
        target.resource.qualified(),
        user.name,
        ask.group
    );
    Err(Refusal::new(403, "Forbidden", message))
}

/// Health and version are for everybody, discovery is for those who say who they are.
pub(super) fn check_path(
    _: &Store,
    user: &User,
    method: &Method,
    path: &str,
) -> Result<(), Refusal> {
    let health = ["/livez", "/readyz", "/healthz"].iter().any(|prefix| path.starts_with(prefix));
    let open = health || path == "/version" || path == "/version/";
    if open || user.is_in("system:authenticated") {
        return Ok(());
    }
    let verb = method.as_str().to_lowercase();
    Err(Refusal::new(
        403,
        "Forbidden",
        format!("forbidden: User \"{}\" cannot {verb} path \"{path}\"", user.name),
    ))
}

/// Answers `SelfSubjectAccessReview` and `SelfSubjectReview` (`kubectl auth can-i`, `kubectl auth whoami`).
pub(super) fn review(
    store: &Store,
    user: &User,
    path: &str,
    body: &Value,
) -> Result<Value, Refusal> {
    let mut review = body.clone();
    match path {
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => {
            let attributes = &body["spec"]["resourceAttributes"];
            let text = |field: &str| attributes[field].as_str().unwrap_or_default();
            let resource = match text("subresource") {
                "" => text("resource").to_owned(),
                subresource => format!("{}/{subresource}", text("resource")),
            };
            let ask = Ask {
                verb: text("verb"),
                group: text("group"),
                resource: &resource,
                namespace: text("namespace"),
                name: text("name"),
            };
            review["status"] = json!({"allowed": allowed(store, user, &ask)});
        }
        "/apis/authentication.k8s.io/v1/selfsubjectreviews" => {
            review["status"] = json!({"userInfo": {"username": user.name, "groups": user.groups}});
        }
        _ => return Err(Refusal::no_such_path()),
    }
    Ok(review)
}

/// Who a request is to be seen as coming from (`kubectl --as`), if the asker may do that.
pub(super) fn impersonate(
    store: &Store,
    user: User,
    headers: &http::HeaderMap,
) -> Result<User, Refusal> {
    let all = |name: &str| -> Vec<String> {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| Some(value.to_str().ok()?.to_owned()))
            .collect()
    };
    let Some(name) = all("impersonate-user").pop() else { return Ok(user) };
    let ask = Ask { verb: "impersonate", group: "", resource: "users", namespace: "", name: &name };
    if !allowed(store, &user, &ask) {
        let message = format!(
            "users \"{name}\" is forbidden: User \"{}\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope",
            user.name
        );
        return Err(Refusal::new(403, "Forbidden", message));
    }
    let mut groups = all("impersonate-group");
    groups.push("system:authenticated".to_owned());
    Ok(User { name, groups })
}

fn allowed(store: &Store, user: &User, ask: &Ask<'_>) -> bool {
    user.is_in("system:masters")
        || (user.is_in("system:nodes") && node_rule(user, ask))
        || granted_by(store, user, ask, "clusterrolebindings", "")
        || (!ask.namespace.is_empty()
            && granted_by(store, user, ask, "rolebindings", ask.namespace))
}

/// A node reads what it needs and writes what is its own (loosely: the real authorizer follows references).
fn node_rule(user: &User, ask: &Ask<'_>) -> bool {
    if ["get", "list", "watch"].contains(&ask.verb) {
        return true;
    }
    let own = user
        .name
        .strip_prefix("system:node:")
        .is_some_and(|node| ask.name.is_empty() || ask.name == node);
    match ask.resource {
        "nodes" | "nodes/status" => own && ask.verb != "delete",
        "leases" => own && ask.namespace == "kube-node-lease",
        "pods"
        | "pods/status"
        | "pods/eviction"
        | "events"
        | "csinodes"
        | "serviceaccounts/token" => true,
        "certificatesigningrequests" => ask.verb == "create",
        _ => false,
    }
}

fn granted_by(store: &Store, user: &User, ask: &Ask<'_>, bindings: &str, namespace: &str) -> bool {
    let (bindings, _) = store.list(&kind(bindings).prefix(namespace));
    bindings.iter().filter(|binding| names(binding, user)).any(|binding| {
        let role = &binding["roleRef"];
        let name = role["name"].as_str().unwrap_or_default();
        let key = if role["kind"] == "ClusterRole" {
            kind("clusterroles").key("", name)
        } else {
            kind("roles").key(namespace, name)
        };
        store
            .get(&key)
            .is_some_and(|role| array(&role["rules"]).iter().any(|rule| permits(rule, ask)))
    })
}

fn names(binding: &Arc<Value>, user: &User) -> bool {
    array(&binding["subjects"]).iter().any(|subject| {
        let name = subject["name"].as_str().unwrap_or_default();
        match subject["kind"].as_str() {
            Some("User") => name == user.name,
            Some("Group") => user.is_in(name),
            Some("ServiceAccount") => {
                user.name
                    == format!(
                        "system:serviceaccount:{}:{name}",
                        subject["namespace"].as_str().unwrap_or_default()
                    )
            }
            _ => false,
        }
    })
}

fn permits(rule: &Value, ask: &Ask<'_>) -> bool {
    let has = |field: &str, wanted: &str| {
        array(&rule[field]).iter().any(|value| value == "*" || value == wanted)
    };
    let names = array(&rule["resourceNames"]);
    has("verbs", ask.verb)
        && has("apiGroups", ask.group)
        && has("resources", ask.resource)
        && (names.is_empty() || names.iter().any(|name| name == ask.name))
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The roles that every cluster has.
pub(super) fn built_in_roles() -> Vec<(&'static str, Value)> {
    let everything = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let workloads = ["", "apps", "batch", "networking.k8s.io", "policy", "coordination.k8s.io"];
    let read = ["get", "list", "watch"];
    let write = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
    let objects = [
        "configmaps",
        "daemonsets",
        "deployments",
        "deployments/scale",
        "endpoints",
        "ingresses",
        "jobs",
        "cronjobs",
        "networkpolicies",
        "persistentvolumeclaims",
        "pods",
        "pods/eviction",
        "poddisruptionbudgets",
        "replicasets",
        "serviceaccounts",
        "services",
        "statefulsets",
        "statefulsets/scale",
        "leases",
    ];
    let secrets = json!({"apiGroups": [""], "resources": ["secrets", "serviceaccounts/token"], "verbs": write});
    let namespaces = json!({"apiGroups": [""], "resources": ["namespaces"], "verbs": read});
    let edit = json!({"apiGroups": workloads, "resources": objects, "verbs": write});
    // What the cluster's administrators decide is only looked at, by whoever works in a namespace.
    let seen = [
        "events",
        "limitranges",
        "pods/log",
        "pods/status",
        "resourcequotas",
        "resourcequotas/status",
    ];
    let look = json!({"apiGroups": workloads, "resources": seen, "verbs": read});
    let view = json!({"apiGroups": workloads, "resources": objects, "verbs": read});
    let rbac = json!({"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": write});
    let requests = json!([{
        "apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests"], "verbs": ["create", "get", "list", "watch"],
    }]);
    vec![
        ("cluster-admin", everything),
        ("admin", json!([edit, look, secrets, rbac, namespaces])),
        ("edit", json!([edit, look, secrets, namespaces])),
        ("view", json!([view, look, namespaces])),
        ("system:node-bootstrapper", requests),
    ]
}
