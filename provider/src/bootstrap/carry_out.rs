//! Does what was planned, one action after the other, and writes each tenant's settings as its token is made.

use std::fmt::Display;

use kubesmith_proxmox::{Acl, Class, Client, Deadline, Error, Role};
use kubesmith_tfplugin::{Diag, Result};

use super::plan::Action;
use super::tenant::Site;
use super::wanted::{Grant, TOKEN};
use super::{Options, settings};
use crate::diagnose;
use crate::ledger::home;
use crate::orphans::say;
use crate::provider::Context;

const COMMENT: &str = "Made by Kubesmith's bootstrap";

/// Stops at the first failure; what was done by then is found again by the next run.
pub(super) async fn carry_out(
    client: &Client,
    site: &Site,
    options: &Options,
    actions: &[Action],
    deadline: &Deadline,
) -> Result<()> {
    for action in actions {
        let failed = |error: Error| diagnose::proxmox(format!("Unable to {action}"), &error);
        match action {
            Action::CreateRole { role, privileges } => {
                let role = Role { roleid: role.clone(), privileges: privileges.clone() };
                client.create_role(&role).await.map_err(failed)?;
            }
            Action::SetRole { role, privileges } => {
                let role = Role { roleid: role.clone(), privileges: privileges.clone() };
                client.set_role(&role).await.map_err(failed)?;
            }
            Action::CreatePool { pool } => {
                client.create_pool(pool, COMMENT).await.map_err(failed)?;
            }
            Action::CreateUser { user } => {
                client.create_user(user, COMMENT).await.map_err(failed)?;
            }
            Action::Grant(grant) => client.grant(row(grant)).await.map_err(failed)?,
            Action::CreateLedger { vmid } => {
                let context = Context::of_administrator(client.clone(), *vmid);
                home::ensure(&context, deadline).await?;
            }
            Action::CreateToken { user } => {
                let tenant = options.tenants.iter().find(|tenant| tenant.user() == *user);
                let Some(tenant) = tenant else { continue };
                // Before the token: a secret that has nowhere to go would be lost.
                let mut file = settings::create(&options.out, tenant)?;
                let token = match client.create_token(user, TOKEN).await {
                    Ok(token) => token,
                    Err(error) => {
                        file.discard();
                        // Without its answer the token may exist all the same, and the next run would find it done.
                        let made = error.is_unknown_outcome() || *error.class() == Class::Malformed;
                        return Err(if made { lost(user, &error) } else { failed(error) }.into());
                    }
                };
                settings::write(&mut file, site, tenant, &token)
                    .map_err(|error| lost(user, &error))?;
                say(&format!("done: {action}; its settings are in {}\n", file.path.display()));
                continue;
            }
            Action::Revoke(grant) => client.revoke(row(grant)).await.map_err(failed)?,
            Action::DeleteUser { user } => client.delete_user(user).await.map_err(failed)?,
            Action::DeletePool { pool } => client.delete_pool(pool).await.map_err(failed)?,
            Action::DeleteRole { role } => client.delete_role(role).await.map_err(failed)?,
        }
        say(&format!("done: {action}\n"));
    }
    for tenant in options.tenants.iter().filter(|_| !options.remove) {
        say(&settings::provider_block(site, tenant));
    }
    Ok(())
}

fn row(grant: &Grant) -> Acl<'_> {
    let Grant { path, user, role, propagates } = grant;
    Acl { path, role, user, propagates: *propagates }
}

fn lost(user: &str, error: &dyn Display) -> Diag {
    Diag::error(format!("Unable to write the settings of {user}")).detail(format!(
        "{error}. The token was made, or may have been, and its secret is lost: delete the token {TOKEN} of {user} if it is there, and run this again."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_could_not_be_written_says_which_token_is_to_go() {
        let full = std::fs::write("/dev/full", "x").unwrap_err();
        let diag = lost("kubesmith-net1@pve", &full);
        assert_eq!(diag.summary, "Unable to write the settings of kubesmith-net1@pve");
        assert!(diag.detail.contains("delete the token"), "{}", diag.detail);
        assert!(diag.detail.contains("No space left"), "{}", diag.detail);
    }
}
