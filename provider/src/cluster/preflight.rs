//! What would make a create fail later, found before anything is touched: in the plan and again when
//! apply begins. Diagnostics only; it changes no planned value.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use kubesmith_proxmox::{Client, Deadline, Permissions, VmResource, retry};
use kubesmith_spec::{CloneMode, ClusterSpec, Role};
use kubesmith_tfplugin::{Diag, Diags};

use super::placement::{self, Room};
use super::room;
use super::target::{Machine, Target};
use crate::diagnose;
use crate::provider::{Context, environment};

/// What is missing for these new machines of the cluster.
pub(super) async fn preflight(
    context: &Context,
    spec: &ClusterSpec,
    new: &[Machine],
    deadline: &Deadline,
) -> Diags {
    let mut found = Diags::none();
    programs(context, &mut found);
    if new.is_empty() {
        return found;
    }
    // A first plan stands in for leases that are not known yet: their addresses are nobody's, and their VMIDs begin at 0.
    if spec.leases.iter().all(|lease| lease.first_vmid > 0) {
        route(new, &mut found);
    }
    if let Err(error) = datacentre(context, spec, new, deadline, &mut found).await {
        found.push(diagnose::proxmox("Unable to check the datacentre", &error));
    }
    found
}

/// The machines of a target that are not on this list of VMs yet.
pub(super) fn missing(target: &Target, existing: &[u32]) -> Vec<Machine> {
    target.machines.iter().filter(|machine| !existing.contains(&machine.vmid)).cloned().collect()
}

/// The programs that an apply starts.
fn programs(context: &Context, found: &mut Diags) {
    let ansible = context.ansible_playbook.as_path();
    let install = "Install it on the machine that runs Terraform";
    if !is_installed(ansible) {
        let detail = format!(
            "{} is needed to make machines a cluster, but is not installed. {install} (ansible-core 2.19), or name it by \
             \"ansible_playbook\" in the provider block or by KUBESMITH_ANSIBLE_PLAYBOOK.",
            ansible.display()
        );
        found.push(Diag::error("Unable to find ansible-playbook").detail(detail));
    }
    for program in ["ssh", "ssh-keyscan"] {
        if !is_installed(Path::new(program)) {
            let detail = format!(
                "{program} is needed to enter machines. {install} (package openssh-client)."
            );
            found.push(Diag::error(format!("Unable to find {program}")).detail(detail));
        }
    }
}

fn is_installed(program: &Path) -> bool {
    let runs = |path: &Path| {
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    if program.components().count() > 1 {
        return runs(program);
    }
    let folders = environment("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .map(|folder: PathBuf| folder.join(program))
        .any(|path| runs(&path))
}

/// Ansible and the look at the API start here. The system says at once if no route leads there; nothing is sent.
fn route(new: &[Machine], found: &mut Diags) {
    let leads = |address| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((address, 22))
    };
    let lost = new.iter().find_map(|machine| Some((machine, leads(machine.address).err()?)));
    if let Some((machine, error)) = lost {
        let detail = format!(
            "The machine that runs Terraform must reach the new machines on ports 22 and 6443, but cannot send to {}: {error}. \
             Run it where the pool's network can be reached, or give this one a route.",
            machine.address
        );
        found.push(Diag::error(format!("No route to {machine}")).detail(detail));
    }
}

async fn datacentre(
    context: &Context,
    spec: &ClusterSpec,
    new: &[Machine],
    deadline: &Deadline,
    found: &mut Diags,
) -> Result<(), kubesmith_proxmox::Error> {
    let client = &context.proxmox;
    let inventory = context.looks.inventory(deadline).await?;
    let room = room::look(client, spec, &inventory, deadline).await?;
    if !template(client, spec, new, &inventory.vms, &room, deadline, found).await? {
        return Ok(());
    }
    if let Err(error) = placement::place(new, &room, BTreeMap::new()) {
        let detail = format!(
            "{} Check \"proxmox_nodes\" and that these nodes are up.",
            diagnose::sentence(&error.to_string())
        );
        found.push(
            Diag::error("No Proxmox node can take the machines").detail(detail).at("template"),
        );
    }
    memory(new, &room, found);
    storage(client, spec, new, &room, deadline, found).await?;
    let permissions = retry(deadline, || client.permissions(None)).await?;
    privileges(spec, &room, &permissions, found);
    Ok(())
}

/// False if there is none to go on with.
async fn template(
    client: &Client,
    spec: &ClusterSpec,
    new: &[Machine],
    vms: &[VmResource],
    room: &Room,
    deadline: &Deadline,
    found: &mut Diags,
) -> Result<bool, kubesmith_proxmox::Error> {
    let wrong =
        |summary: String, detail: String| Diag::error(summary).detail(detail).at("template");
    if room.templates.is_empty() {
        let all: Vec<String> = vms
            .iter()
            .filter(|vm| vm.template == Some(true))
            .filter_map(|vm| vm.name.clone())
            .collect();
        let known = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        found.push(wrong(
            format!("Template {} not found", spec.template),
            format!(
                "No template that the API token may see has that name or tag (templates it sees: {known}). Make one, give it \
                 that tag, or grant the token's user PVETemplateUser on it. A VM must be converted to a template first."
            ),
        ));
        return Ok(false);
    }
    for copy in &room.templates {
        let config = retry(deadline, || client.vm_config(&copy.host, copy.vmid)).await?;
        let name = format!("{} (VM {} on {})", copy.name, copy.vmid, copy.host);
        let drives = config.disks.values().filter(|disk| disk.cloud_init).count();
        if drives != 1 {
            found.push(wrong(
                format!("Template {} has {drives} cloud-init drives", spec.template),
                format!(
                    "{name} needs exactly one, for instance: qm set {} --ide2 <storage>:cloudinit",
                    copy.vmid
                ),
            ));
        }
        let bytes = room::boot_disk(&config).and_then(|(_, disk)| disk.size_bytes).unwrap_or(0);
        for (role, path) in
            [(Role::ControlPlane, "control_plane.disk_gib"), (Role::Worker, "workers.disk_gib")]
        {
            let smallest = new.iter().filter(|m| m.role == role).map(|m| m.size.disk_gib).min();
            if smallest.is_some_and(|gib| u64::from(gib) * room::GIB < bytes) {
                let needed = bytes.div_ceil(room::GIB);
                let detail = format!(
                    "The disk of {name} has {needed} GiB, and disks cannot shrink. Give at least {needed}."
                );
                found.push(
                    Diag::error("The disk is smaller than the template's").detail(detail).at(path),
                );
            }
        }
    }
    Ok(true)
}

fn memory(new: &[Machine], room: &Room, found: &mut Diags) {
    let wanted: u64 = new.iter().map(|machine| u64::from(machine.size.memory_mib)).sum();
    let free: Option<u64> = room.hosts.iter().map(|host| host.free_mib).sum();
    if let Some(free) = free.filter(|free| *free < wanted) {
        let detail = format!(
            "The new machines want {wanted} MiB together, but the Proxmox nodes have {free} MiB that are not promised to running machines. \
             Proxmox may refuse to start them, or run out of memory."
        );
        found.push(Diag::warning("Little memory is free").detail(detail));
    }
}

/// The storage that was named must take disk images on the nodes, and have room for full copies.
async fn storage(
    client: &Client,
    spec: &ClusterSpec,
    new: &[Machine],
    room: &Room,
    deadline: &Deadline,
    found: &mut Diags,
) -> Result<(), kubesmith_proxmox::Error> {
    let Some(name) = &spec.storage else { return Ok(()) };
    let mut available = None;
    for host in &room.hosts {
        let storages =
            retry(deadline, || client.node_storages(&host.name, Some("images"), None)).await?;
        let here =
            storages.into_iter().find(|storage| storage.storage == name.as_str() && storage.active);
        available = available.max(here.map(|storage| storage.available.unwrap_or(u64::MAX)));
    }
    let Some(available) = available else {
        let detail = format!(
            "No node that machines may go to has an active storage {name} for disk images."
        );
        found.push(Diag::error(format!("Storage {name} not found")).detail(detail).at("storage"));
        return Ok(());
    };
    let wanted: u64 = new.iter().map(|machine| u64::from(machine.size.disk_gib) * room::GIB).sum();
    if spec.clone == CloneMode::Full && available < wanted {
        let detail = format!(
            "The new disks may grow to {} GiB together, but storage {name} has {} GiB free.",
            wanted / room::GIB,
            available / room::GIB
        );
        found.push(Diag::warning("Little storage is free").detail(detail).at("storage"));
    }
    Ok(())
}

/// What the token may do, as far as Proxmox says: rights through a pool show only on machines that exist,
/// so what is missing is a warning.
fn privileges(spec: &ClusterSpec, room: &Room, permissions: &Permissions, found: &mut Diags) {
    let bridge = match spec.network.vlan {
        Some(vlan) => format!("/sdn/zones/localnetwork/{}/{vlan}", spec.network.bridge),
        None => format!("/sdn/zones/localnetwork/{}", spec.network.bridge),
    };
    let home = match &spec.proxmox_pool {
        Some(pool) => format!("/pool/{pool}"),
        None => "/vms".to_owned(),
    };
    let mut needed =
        vec![(bridge, "SDN.Use"), (home.clone(), "VM.Allocate"), (home, "VM.Config.Options")];
    for template in &room.templates {
        needed.push((format!("/vms/{}", template.vmid), "VM.Clone"));
        let storage =
            spec.storage.as_ref().map_or(template.storage.as_str(), |storage| storage.as_str());
        needed.push((format!("/storage/{storage}"), "Datastore.AllocateSpace"));
    }
    if room.hosts.iter().any(|host| host.free_mib.is_none()) {
        needed.push(("/nodes".to_owned(), "Sys.Audit"));
    }
    needed.sort();
    needed.dedup();
    let lacking: Vec<String> = needed
        .iter()
        .filter(|(path, privilege)| !permissions.allows(path, privilege))
        .map(|(path, privilege)| format!("{privilege} on {path}"))
        .collect();
    if !lacking.is_empty() {
        let detail = format!(
            "Proxmox does not show that it has {}. With privilege separation the user and the token both need it. \
             (Rights that come from a pool may not show.)",
            lacking.join(", ")
        );
        found.push(Diag::warning("The API token may lack privileges").detail(detail));
    }
}
