//! What there is already, as far as it concerns the tenants: reads only.

use kubesmith_proxmox::{Client, Deadline, Error, retry};
use kubesmith_tfplugin::{Diag, Result};

use super::plan::Seen;
use super::tenant::{Site, Tenant};
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
    if !version.at_least(OLDEST.0, OLDEST.1) {
        let detail = format!(
            "This is Proxmox VE {}. Rights on bridges came with {}.{}: upgrade first.",
            version.version, OLDEST.0, OLDEST.1
        );
        return Err(Diag::error("Proxmox VE is too old").detail(detail).into());
    }
    let vms = retry(deadline, || client.vms()).await.map_err(failed)?;
    for vmid in &site.templates {
        if !vms.iter().any(|vm| vm.vmid == *vmid && vm.template != Some(false)) {
            let detail = format!(
                "VM {vmid} is no template, or is not there. Name the templates that tenants may clone with --template."
            );
            return Err(Diag::error("Template not found").detail(detail).into());
        }
    }

    let mut seen =
        Seen { ledger: vms.iter().any(|vm| vm.vmid == site.ledger_vmid), ..Seen::default() };
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
    seen.grants = acl
        .into_iter()
        .map(|row| Grant { path: row.path, user: row.ugid, role: row.roleid })
        .collect();
    for pool in retry(deadline, || client.pools()).await.map_err(failed)? {
        let ours = tenants.iter().any(|tenant| tenant.name.as_str() == pool.poolid);
        let members = match ours {
            true => retry(deadline, || client.pool(&pool.poolid))
                .await
                .map_err(failed)?
                .map_or(0, |pool| pool.members.len()),
            false => pool.members.len(),
        };
        seen.pools.insert(pool.poolid, members);
    }
    Ok(seen)
}
