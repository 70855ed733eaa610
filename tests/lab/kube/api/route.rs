//! From a path and a query to what is asked for.

use std::collections::BTreeMap;

use super::resources::Resource;

/// An object or a collection.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) resource: &'static Resource,
    /// Empty for cluster-wide kinds, and for a list over all namespaces.
    pub(super) namespace: String,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
}

/// The query's parameters, decoded.
pub(super) type Query = BTreeMap<String, String>;

pub(super) fn query(text: Option<&str>) -> Query {
    url::form_urlencoded::parse(text.unwrap_or_default().as_bytes()).into_owned().collect()
}

/// Splits `/api/v1/namespaces/x/pods/y/status` and its like; `None` for what is not a known kind.
pub(super) fn target(path: &str) -> Option<Target> {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    let parts: Vec<&str> = decoded.trim_matches('/').split('/').collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let (namespace, rest) = match rest {
        // A namespace's own subresources look like kinds inside it.
        ["namespaces", name, "status" | "finalize"] => {
            return Some(Target {
                resource: Resource::find(group, version, "namespaces")?,
                namespace: String::new(),
                name: Some((*name).to_owned()),
                subresource: rest.get(2).map(|part| (*part).to_owned()),
            });
        }
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => ((*namespace).to_owned(), rest),
        rest => (String::new(), rest),
    };
    let resource = Resource::find(group, version, rest.first()?)?;
    if !resource.namespaced && !namespace.is_empty() || rest.len() > 3 {
        return None;
    }
    let part = |index: usize| {
        rest.get(index).filter(|part| !part.is_empty()).map(|part| (*part).to_owned())
    };
    let target = Target { resource, namespace, name: part(1), subresource: part(2) };
    // A single object of a namespaced kind has a namespace.
    (target.name.is_none() || !resource.namespaced || !target.namespace.is_empty())
        .then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_kubernetes_writes_them() {
        let pod = target("/api/v1/namespaces/default/pods/web/status").unwrap();
        assert_eq!((pod.resource.kind, pod.namespace.as_str()), ("Pod", "default"));
        assert_eq!(
            (pod.name.as_deref(), pod.subresource.as_deref()),
            (Some("web"), Some("status"))
        );
        let namespace = target("/api/v1/namespaces/default").unwrap();
        assert_eq!(
            (namespace.resource.kind, namespace.name.as_deref()),
            ("Namespace", Some("default"))
        );
        let role =
            target("/apis/rbac.authorization.k8s.io/v1/clusterroles/kubeadm%3Aget-nodes").unwrap();
        assert_eq!(role.name.as_deref(), Some("kubeadm:get-nodes"));
        assert!(target("/apis/apps/v1/deployments").unwrap().namespace.is_empty());
        assert!(target("/apis/apps/v1/widgets").is_none());
        assert!(target("/api/v1/namespaces/default/nodes/a").is_none());
        assert!(target("/livez").is_none());
    }
}
