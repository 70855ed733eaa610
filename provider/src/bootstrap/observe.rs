//! What there is already, as far as it concerns the tenants: reads only.

use std::collections::BTreeSet;

use kubesmith_proxmox::{Client, Deadline, Error, Version, retry};
use kubesmith_tfplugin::{Diag, Result};

use super::plan::Seen;
use super::tenant::{self, Site, Tenant};
use super::wanted::{Grant, OLDEST, PREFIX, TOKEN};
use crate::diagnose;

/// Looks, and refuses what no plan could mend: a release that is too old, a template that is none.
pub(super) async fn observe(
    client: &Client,
    site: &Site,
    tenants: &[Tenant],
    deadline: &Deadline,
) -> Result<Seen> {
    let failed = |error: Error| diagnose::proxmox("Unable to look at the access control", &error);
    let version = retry(deadline, || client.version()).await.map_err(failed)?;
    check(&version)?;
    let vms = retry(deadline, || client.vms()).await.map_err(failed)?;
    let mut cards = BTreeSet::new();
    for vmid in &site.templates {
        let Some(template) = vms.iter().find(|vm| vm.vmid == *vmid && vm.template != Some(false))
        else {
            let detail = format!(
                "VM {vmid} is no template, or is not there. Name the templates that tenants may clone with --template."
            );
            return Err(Diag::error("Template not found").detail(detail).into());
        };
        let config =
            retry(deadline, || client.vm_config(&template.node, *vmid)).await.map_err(failed)?;
        let card = config.net0.and_then(|card| Some((card.bridge?, card.vlan)));
        cards.extend(card.map(|(bridge, vlan)| tenant::path(&bridge, vlan)));
    }

    let ledger = vms.iter().any(|vm| vm.vmid == site.ledger_vmid);
    let mut seen = Seen { ledger, cards, ..Seen::default() };
    let roles = retry(deadline, || client.roles()).await.map_err(failed)?;
    seen.roles = roles
        .into_iter()
        .filter(|role| role.roleid.starts_with(PREFIX))
        .map(|role| (role.roleid, role.privileges))
        .collect();
    seen.users = retry(deadline, || client.users()).await.map_err(failed)?;
    for user in tenants.iter().map(Tenant::user).filter(|user| seen.users.contains(user)) {
        if retry(deadline, || client.tokens(&user)).await.map_err(failed)?.contains(TOKEN) {
            seen.tokens.insert(user);
        }
    }
    let acl = retry(deadline, || client.acl()).await.map_err(failed)?;
    let grants = acl.into_iter().map(|row| Grant {
        path: row.path,
        user: row.ugid,
        role: row.roleid,
        propagates: row.propagates,
    });
    seen.grants = grants.collect();
    for tenant in tenants {
        let pool = tenant.name.as_str();
        if let Some(found) = retry(deadline, || client.pool(pool)).await.map_err(failed)? {
            seen.pools.insert(pool.to_owned(), found.members.len());
        }
    }
    Ok(seen)
}

fn check(version: &Version) -> Result<()> {
    if version.at_least(OLDEST.0, OLDEST.1) {
        return Ok(());
    }
    let detail = format!(
        "This is Proxmox VE {}. Rights on bridges came with {}.{}: upgrade first.",
        version.version, OLDEST.0, OLDEST.1
    );
    Err(Diag::error("Proxmox VE is too old").detail(detail).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_without_rights_on_bridges_is_refused() {
        let version = |version: &str| Version { release: String::new(), version: version.into() };
        for recent in ["8.0.3", "8.4.21", "9.1.8"] {
            assert!(check(&version(recent)).is_ok(), "{recent}");
        }
        let refused = check(&version("7.4-17")).unwrap_err();
        let diag = refused.iter().next().unwrap();
        assert_eq!(diag.summary, "Proxmox VE is too old");
        assert!(diag.detail.contains("This is Proxmox VE 7.4-17"), "{}", diag.detail);
    }
}
