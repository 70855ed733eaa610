//! Looking at one VMID, and removing the machine on it: never without having read its stamp.
//!
//! Proxmox hands a freed VMID out again at once. So each pass of a removal looks first, does one thing,
//! and looks again; what is not the expected machine is never touched.

use std::time::Duration;

use kubesmith_proxmox::{Class, Client, Deadline, DestroyDisks, Error, Refusal, VmConfig, retry};

use crate::stamp::Stamp;

/// The pause between two passes.
const PAUSE: Duration = Duration::from_millis(500);
/// How often to look at a VMID that is in use by something that cannot be seen.
const HIDDEN_LOOKS: u32 = 20;
/// What Proxmox writes into a config in the first instants of a clone, before our description is there.
const CLONE_BEGINS: &str = "qmclone temporary file";

/// What there is at a VMID.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing, in the whole datacentre.
    Absent,
    /// Something that this token may not see.
    Hidden,
    /// A machine (or container) that is not Kubesmith's.
    Stranger {
        /// Its name in Proxmox.
        name: String,
    },
    /// A machine of Kubesmith's.
    Machine(Box<Machine>),
}

/// A machine of Kubesmith's, as it is configured.
#[derive(Debug)]
pub(crate) struct Machine {
    /// The Proxmox node it lies on.
    pub(crate) node: String,
    /// Whose it is.
    pub(crate) stamp: Stamp,
    /// Its configuration.
    pub(crate) config: VmConfig,
}

/// How a removal ended. Either way the machine that was meant is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// Proxmox confirms that the VMID is free.
    Gone,
    /// The VMID belongs to something else by now, which was not touched.
    Reused,
}

/// Why a machine could not be removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveError {
    /// Proxmox did not do it.
    #[error(transparent)]
    Proxmox(#[from] Error),
    /// The VMID is in use, but by what the token may not see: perhaps by the machine that is meant.
    #[error("VMID {0} is in use, but the API token may not see by what")]
    Hidden(u32),
}

/// Looks at a VMID, on whatever node it is. Waits for a clone that has only just begun.
pub(crate) async fn look(client: &Client, vmid: u32, deadline: &Deadline) -> Result<Found, Error> {
    loop {
        if let Some(found) = look_once(client, vmid, deadline).await? {
            return Ok(found);
        }
        deadline.sleep(PAUSE).await?;
    }
}

/// `None` while it moves: a clone has just begun, or the machine has just left its node.
async fn look_once(
    client: &Client,
    vmid: u32,
    deadline: &Deadline,
) -> Result<Option<Found>, Error> {
    let listed = retry(deadline, || client.find_vm(vmid)).await?;
    let Some(row) = listed else {
        let free = retry(deadline, || client.vmid_is_free(vmid)).await?;
        return Ok(Some(if free { Found::Absent } else { Found::Hidden }));
    };
    let name = row.name.clone().unwrap_or_else(|| format!("{} {vmid}", row.kind));
    if row.kind != "qemu" {
        return Ok(Some(Found::Stranger { name }));
    }
    look_closely(client, row.node, vmid, name, deadline).await
}

/// Looks at a VMID on the node that it was last seen on, and only if it is not there in the whole
/// datacentre: one request instead of two.
pub(crate) async fn look_on(
    client: &Client,
    node: &str,
    vmid: u32,
    deadline: &Deadline,
) -> Result<Found, Error> {
    let name = format!("VM {vmid}");
    match look_closely(client, node.to_owned(), vmid, name, deadline).await? {
        Some(found @ (Found::Machine(_) | Found::Stranger { .. })) => Ok(found),
        Some(Found::Absent | Found::Hidden) | None => look(client, vmid, deadline).await,
    }
}

/// The machine's configuration says whose it is. `None` while it moves.
async fn look_closely(
    client: &Client,
    node: String,
    vmid: u32,
    name: String,
    deadline: &Deadline,
) -> Result<Option<Found>, Error> {
    let config = match retry(deadline, || client.vm_config(&node, vmid)).await {
        Ok(config) => config,
        // The list is a moment behind: it was removed, or has moved to another node.
        Err(error) if error.is_not_found() => {
            let free = retry(deadline, || client.vmid_is_free(vmid)).await?;
            return Ok(free.then_some(Found::Absent));
        }
        // A pool grants nothing on a machine that has just been destroyed.
        Err(error) if error.is_forbidden() => {
            let free = retry(deadline, || client.vmid_is_free(vmid)).await?;
            return if free { Ok(Some(Found::Absent)) } else { Err(error) };
        }
        Err(error) => return Err(error),
    };
    if config.description.contains(CLONE_BEGINS) {
        return Ok(None);
    }
    let stamp = Stamp::parse(&config.description);
    Ok(Some(match stamp {
        Some(stamp) => Found::Machine(Box::new(Machine { node, stamp, config })),
        None => Found::Stranger { name: config.name.unwrap_or(name) },
    }))
}

/// Removes the machine at a VMID if its stamp is the expected one: stops it, destroys it with its disks,
/// and returns only when Proxmox confirms that it is gone.
pub(crate) async fn remove(
    client: &Client,
    vmid: u32,
    expected: impl Fn(&Stamp) -> bool,
    deadline: &Deadline,
) -> Result<Removal, RemoveError> {
    let mut hidden = 0;
    loop {
        let machine = match look(client, vmid, deadline).await? {
            Found::Absent => return Ok(Removal::Gone),
            Found::Machine(machine) if expected(&machine.stamp) => machine,
            Found::Machine(_) | Found::Stranger { .. } => return Ok(Removal::Reused),
            // While it is destroyed its pool grants nothing any more, although it is still there.
            Found::Hidden if hidden < HIDDEN_LOOKS => {
                hidden += 1;
                deadline.sleep(PAUSE).await?;
                continue;
            }
            Found::Hidden => return Err(RemoveError::Hidden(vmid)),
        };
        match remove_step(client, vmid, &machine.node, deadline).await {
            Ok(()) => {}
            // Look again: it may be gone, have moved, or have been started in between.
            Err(error)
                if error.is_not_found() || error.is_unknown_outcome() || is_running(&error) =>
            {
                tracing::debug!(vmid, %error, "looking again at a machine that is being removed");
                deadline.sleep(PAUSE).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// One step: a running machine is stopped, a stopped one destroyed.
async fn remove_step(
    client: &Client,
    vmid: u32,
    node: &str,
    deadline: &Deadline,
) -> Result<(), Error> {
    let status = retry(deadline, || client.vm_status(node, vmid)).await?;
    let task = if status.running {
        retry(deadline, || client.stop_vm(node, vmid)).await?
    } else {
        retry(deadline, || client.delete_vm(node, vmid, DestroyDisks::AllNamedAfterVm)).await?
    };
    client.wait(&task, deadline).await.map(|_| ())
}

fn is_running(error: &Error) -> bool {
    matches!(error.class(), Class::Refused(Refusal::Running))
}
