//! What the token may do, as Proxmox says it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::{Client, get};
use crate::error::Error;
use crate::wire;

/// What the token may do, by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions(BTreeMap<String, BTreeMap<String, bool>>);

impl Client {
    /// The token's own privileges; on one path only if one is given.
    pub async fn permissions(&self, path: Option<&str>) -> Result<Permissions, Error> {
        let data: Value =
            self.send(get(&["access", "permissions"]).with_some("path", path)).await?;
        // An empty Perl hash may come as an empty list.
        let paths = data.as_object().into_iter().flatten();
        let of_path = |value: &Value| {
            let privileges = value.as_object().into_iter().flatten();
            privileges
                .map(|(name, propagates)| {
                    (name.clone(), wire::scalar(propagates).is_some_and(|v| wire::is_true(&v)))
                })
                .collect()
        };
        Ok(Permissions(paths.map(|(path, value)| (path.clone(), of_path(value))).collect()))
    }
}

impl Permissions {
    /// Whether this privilege is held on this path, on it directly or from above.
    ///
    /// Rights that come from a pool are known to Proxmox only for machines that exist, so `false` is a reason to warn, not to stop.
    pub fn allows(&self, path: &str, privilege: &str) -> bool {
        let direct = self.0.get(path).is_some_and(|privileges| privileges.contains_key(privilege));
        direct
            || parents(path).any(|parent| {
                self.0.get(parent).and_then(|held| held.get(privilege)) == Some(&true)
            })
    }
}

/// `/vms/100` has the parents `/vms` and `/`.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    let inner = path.match_indices('/').skip(1).map(|(at, _)| &path[..at]);
    inner.chain(std::iter::once("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_privilege_above_counts_only_if_it_propagates() {
        let held = |path: &str, propagates| {
            (path.to_owned(), BTreeMap::from([("VM.Clone".to_owned(), propagates)]))
        };
        let permissions = Permissions(BTreeMap::from([held("/vms", true), held("/pool/a", false)]));
        assert!(permissions.allows("/vms/9000", "VM.Clone"));
        assert!(permissions.allows("/pool/a", "VM.Clone"));
        assert!(!permissions.allows("/pool/a/b", "VM.Clone"));
        assert!(!permissions.allows("/vms/9000", "VM.Audit"));
    }
}
