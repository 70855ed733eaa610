//! Where the ledger lives: a small, protected machine without a disk that is never started.
//!
//! Its firewall file holds the sets; it has no other purpose. The first pool makes it, and the last one
//! to go takes it along, but only if it carries our mark.

use std::time::Duration;

use kubesmith_proxmox::{
    Client, ConfigUpdate, CreateVm, Deadline, DestroyDisks, Error, VmResource, retry,
};
use kubesmith_tfplugin::{Diag, Diags, Result};

use crate::diagnose;
use crate::provider::Context;

const NAME: &str = "kubesmith-ledger";
const TAGS: [&str; 2] = ["kubesmith", "ledger"];
const MARK: &str = "kubesmith-ledger:v1";
const EXPLANATION: &str = "Kubesmith address ledger. Never start, never delete: the IP sets under Firewall > \
                           IPSet say which address belongs to which lease.";

/// The node on which the ledger lies; `None` if there is no machine with its VMID.
pub(crate) async fn find(context: &Context, deadline: &Deadline) -> Result<Option<String>> {
    let (client, vmid) = (&context.proxmox, context.ledger_vmid);
    let failed = |error: Error| diagnose::proxmox("Unable to find the address ledger", &error);

    let seen = context.looks.inventory(deadline).await.map_err(failed)?;
    let seen = match seen.vm(vmid) {
        Some(row) => Some(row.clone()),
        None => retry(deadline, || client.find_vm(vmid)).await.map_err(failed)?,
    };
    let Some(row) = seen else {
        let free = retry(deadline, || client.vmid_is_free(vmid)).await.map_err(failed)?;
        return if free { Ok(None) } else { Err(hidden(vmid).into()) };
    };
    // The list has no names of machines on a node that is down, but their tags. The sets are out of no node's reach.
    let tagged = TAGS.iter().all(|tag| row.tags.contains(*tag));
    if row.kind == "qemu"
        && (row.name.as_deref() == Some(NAME)
            || tagged
            || is_marked(context, &row, deadline).await?)
    {
        return Ok(Some(row.node));
    }
    Err(Diag::error("Unable to use the address ledger")
        .detail(format!(
            "The machine with VMID {vmid} on {} is not Kubesmith's address ledger. Set \"ledger_vmid\" \
             (KUBESMITH_LEDGER_VMID) to the ledger's VMID, or to a free one for a new ledger.",
            row.node
        ))
        .into())
}

/// What is said when there is no ledger: whoever needs it must not go on as if it were empty.
pub(crate) fn missing(context: &Context) -> Diags {
    let vmid = context.ledger_vmid;
    Diag::error("The address ledger is missing")
        .detail(format!(
            "There is no machine with VMID {vmid}. If this datacentre has no pool yet, make one \
             (kubesmith_ip_pool) first. If there were pools, the ledger was destroyed with everything \
             that stood in it: do not make new pools, machines may still use their addresses. Make it \
             again from the states of all who lease from it (terraform-provider-kubesmith ledger \
             rebuild), or restore the machine from a backup with its firewall file. If its VMID is \
             another one, set \"ledger_vmid\" (KUBESMITH_LEDGER_VMID)."
        ))
        .into()
}

/// Makes the ledger's machine if there is none, and returns its node.
pub(crate) async fn ensure(context: &Context, deadline: &Deadline) -> Result<String> {
    let failed = |error: &Error| diagnose::proxmox("Unable to create the address ledger", error);
    loop {
        if let Some(node) = find(context, deadline).await? {
            return Ok(node);
        }
        match create(context, deadline).await {
            Ok(node) => return Ok(node),
            // Somebody else was faster, or the answer was lost: look again.
            Err(error) if error.is_already_exists() || error.is_unknown_outcome() => {
                deadline.sleep(Duration::from_millis(500)).await.map_err(|_| failed(&error))?;
            }
            Err(error) => return Err(failed(&error).into()),
        }
    }
}

async fn create(context: &Context, deadline: &Deadline) -> std::result::Result<String, Error> {
    let client = &context.proxmox;
    let mut nodes = retry(deadline, || client.nodes()).await?;
    nodes.sort_by(|a, b| b.online.cmp(&a.online).then_with(|| a.node.cmp(&b.node)));
    let node = nodes.first().map(|first| first.node.clone()).unwrap_or_default();
    let request = CreateVm {
        node: node.clone(),
        vmid: context.ledger_vmid,
        pool: None,
        config: ConfigUpdate::new()
            .name(NAME)
            .description(format!("{MARK}\n{EXPLANATION}"))
            .tags(TAGS)
            .cores(1)
            .memory_mib(16)
            .protection(true),
    };
    let task = retry(deadline, || client.create_vm(&request)).await?;
    client.wait(&task, deadline).await?;
    Ok(node)
}

/// Removes the ledger's machine if no set is left on it and it carries our mark. True if it is gone.
pub(crate) async fn remove_if_empty(
    context: &Context,
    node: &str,
    deadline: &Deadline,
) -> std::result::Result<bool, Error> {
    let (client, vmid) = (&context.proxmox, context.ledger_vmid);
    let sets = retry(deadline, || client.ip_sets(node, vmid)).await?;
    let config = retry(deadline, || client.vm_config(node, vmid)).await?;
    if !sets.is_empty() || config.first_line() != MARK {
        return Ok(false);
    }
    let unprotect = ConfigUpdate::new().protection(false).digest(&config.digest);
    retry(deadline, || client.set_vm_config(node, vmid, &unprotect)).await?;
    let task = retry(deadline, || client.delete_vm(node, vmid, DestroyDisks::Own)).await?;
    client.wait(&task, deadline).await?;
    is_gone(client, vmid, deadline).await
}

async fn is_gone(
    client: &Client,
    vmid: u32,
    deadline: &Deadline,
) -> std::result::Result<bool, Error> {
    retry(deadline, || client.vmid_is_free(vmid)).await
}

/// A list is a few seconds behind and may not know the name of a machine yet; its config does, once the
/// machine that is perhaps being made at this moment is finished.
async fn is_marked(context: &Context, row: &VmResource, deadline: &Deadline) -> Result<bool> {
    let (client, vmid) = (&context.proxmox, context.ledger_vmid);
    let failed = |error: Error| diagnose::proxmox("Unable to look at the address ledger", &error);
    let patience = deadline.at_most(Duration::from_secs(30));
    loop {
        let config =
            retry(&patience, || client.vm_config(&row.node, vmid)).await.map_err(failed)?;
        if config.name.as_deref() == Some(NAME) || config.first_line() == MARK {
            return Ok(true);
        }
        if config.lock.as_deref() != Some("create") {
            return Ok(false);
        }
        patience.sleep(Duration::from_millis(300)).await.map_err(failed)?;
    }
}

fn hidden(vmid: u32) -> Diag {
    Diag::error("Unable to see the address ledger").detail(format!(
        "A machine with VMID {vmid} exists, but the API token may not see it. The token's user needs a role \
         with VM.Audit and VM.Config.Network on /vms/{vmid}."
    ))
}
