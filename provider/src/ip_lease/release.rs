//! Releasing a lease: first what stands on its addresses, then its rows.
//!
//! A finished machine is never touched: whoever made it must remove it. What a killed create has left
//! (unfinished, of the same owner, on this lease) goes first, so that no machine is orphaned.

use kubesmith_spec::{LeaseName, OwnerName, PoolName};
use kubesmith_tfplugin::{Cx, Diag, Diags, Result};

use super::model::IpLease;
use crate::diagnose;
use crate::ledger::Ledger;
use crate::ledger::rows::Claim;
use crate::machine::{self, Found};
use crate::provider::{Context, deadline};
use crate::stamp::Stamp;

/// Removes the lease's unfinished machines and its rows; refuses if anything else of Kubesmith's
/// stands on its addresses.
pub(super) async fn release(cx: &Cx<Context>, state: &IpLease, claim: Claim) -> Result<()> {
    let (context, deadline) = (cx.client()?, deadline(cx));
    let client = &context.proxmox;
    let ledger = Ledger::open(context, &deadline).await?;
    let pool = ledger.pool(&state.pool).await?;
    let summary = format!("Unable to release lease {}/{}", pool.name, claim.lease);

    let mut unfinished = Vec::new();
    let mut refusals = Diags::none();
    for address in claim.range.addresses() {
        let Some(vmid) = pool.vmid(address) else { continue };
        let found = machine::look(client, vmid, &deadline).await;
        let refusal = match found.map_err(|error| diagnose::proxmox(summary.as_str(), &error))? {
            Found::Absent => continue,
            // It only has the number: our rows say nothing about it.
            Found::Stranger { name } => {
                tracing::warn!(
                    vmid,
                    name,
                    "a machine that is not Kubesmith's has a VMID of the pool"
                );
                continue;
            }
            Found::Hidden => {
                "The VMID is in use, but the API token may not see by what.".to_owned()
            }
            Found::Machine(found) => {
                match judge(&found.stamp, &claim.owner, &pool.name, &claim.lease) {
                    Verdict::Remove => {
                        unfinished.push((vmid, found.stamp));
                        continue;
                    }
                    Verdict::Refuse(reason) => {
                        format!("{} stands there. {reason}", found.stamp.node)
                    }
                }
            }
        };
        let detail = format!("VMID {vmid} belongs to {address}, which is in use. {refusal}");
        refusals.push(Diag::error(summary.as_str()).detail(detail));
    }
    refusals.into_result(())?;

    for (vmid, stamp) in unfinished {
        tracing::info!(vmid, node = %stamp.node, "removing a machine that was never finished");
        let same = |found: &Stamp| found.nonce == stamp.nonce && !found.made;
        let removed = machine::remove(client, vmid, same, &deadline).await;
        removed.map_err(|error| {
            diagnose::removal(format!("Unable to remove unfinished machine {}", stamp.node), &error)
        })?;
    }
    ledger.release(&pool.name, &claim).await
}

/// What is to become of a machine of Kubesmith's on an address that is to be released.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Remove,
    Refuse(String),
}

fn judge(stamp: &Stamp, owner: &OwnerName, pool: &PoolName, lease: &LeaseName) -> Verdict {
    let of_this_lease = stamp.owner == *owner && stamp.pool == *pool && stamp.lease == *lease;
    match (of_this_lease, stamp.made) {
        (true, false) => Verdict::Remove,
        (true, true) => Verdict::Refuse(format!(
            "It is a finished machine of cluster {}: destroy that cluster first. If no Terraform state \
             knows the cluster any more, import it (its id is its name) and destroy it, or remove it with \
             `terraform-provider-kubesmith orphans --remove --cluster {}`.",
            stamp.cluster, stamp.cluster
        )),
        (false, _) => Verdict::Refuse(format!(
            "It belongs to cluster {} of owner {} on lease {}/{}: it must be destroyed there.",
            stamp.cluster, stamp.owner, stamp.pool, stamp.lease
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unfinished_machine_of_the_same_owner_and_lease_is_removed() {
        let line = "kubesmith:v1 cluster=demo node=demo-cp-1 role=control-plane owner=me lease=lab/demo \
                    x=00000000000000ff nonce=0badcafe made=0";
        let verdict = |line: &str| {
            let stamp = Stamp::parse(line).unwrap();
            judge(&stamp, &"me".parse().unwrap(), &"lab".parse().unwrap(), &"demo".parse().unwrap())
        };
        assert_eq!(verdict(line), Verdict::Remove);
        for (from, to) in [
            ("made=0", "made=1"),
            ("owner=me", "owner=you"),
            ("lease=lab/demo", "lease=lab/other"),
            ("lease=lab/demo", "lease=lan/demo"),
        ] {
            assert!(matches!(verdict(&line.replace(from, to)), Verdict::Refuse(_)), "{to}");
        }
    }
}
