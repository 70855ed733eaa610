//! Looks what the datacentre offers to new machines: nodes with their free memory, copies of the template.

use std::collections::{BTreeMap, BTreeSet};

use kubesmith_proxmox::{Client, Deadline, Disk, Error, Inventory, VmConfig, VmResource, retry};
use kubesmith_spec::ClusterSpec;

use super::placement::{Host, Room, Template};

/// Bytes in a MiB.
const MIB: u64 = 1 << 20;
/// Bytes in a GiB.
pub(super) const GIB: u64 = 1 << 30;

/// What new machines of this cluster may use.
pub(super) async fn look(
    client: &Client,
    spec: &ClusterSpec,
    Inventory { nodes, vms }: &Inventory,
    deadline: &Deadline,
) -> Result<Room, Error> {
    let online: BTreeSet<&str> =
        nodes.iter().filter(|node| node.online).map(|node| node.node.as_str()).collect();
    let allowed = |name: &str| {
        spec.proxmox_nodes.is_empty() || spec.proxmox_nodes.iter().any(|n| n.as_str() == name)
    };
    let hosts = nodes.iter().filter(|node| node.online && allowed(&node.node)).map(|node| {
        let promised: u64 = vms
            .iter()
            .filter(|vm| vm.node == node.node && vm.status == "running")
            .filter_map(|vm| vm.max_memory)
            .sum();
        let free = node.max_memory.map(|memory| memory.saturating_sub(promised) / MIB);
        Host { name: node.node.clone(), free_mib: free }
    });
    let hosts = hosts.collect();

    let mut templates = Vec::new();
    let mut shared = BTreeMap::new();
    for vm in vms.iter().filter(|vm| is_template(vm, spec) && online.contains(vm.node.as_str())) {
        let config = retry(deadline, || client.vm_config(&vm.node, vm.vmid)).await?;
        if !shared.contains_key(&vm.node) {
            let storages = retry(deadline, || client.node_storages(&vm.node, None, None)).await?;
            let names: BTreeSet<String> =
                storages.into_iter().filter(|s| s.shared).map(|s| s.storage).collect();
            shared.insert(vm.node.clone(), names);
        }
        let Some((disk, found)) = boot_disk(&config) else { continue };
        templates.push(Template {
            vmid: vm.vmid,
            name: config
                .name
                .clone()
                .or_else(|| vm.name.clone())
                .unwrap_or_else(|| spec.template.to_string()),
            host: vm.node.clone(),
            shared: config.disks.values().all(|disk| is_shared(disk, &shared[&vm.node]))
                && spec
                    .storage
                    .as_ref()
                    .is_none_or(|storage| shared[&vm.node].contains(storage.as_str())),
            storage: found.storage.clone(),
            disk_gib: gib(found),
            disk,
        });
    }
    Ok(Room { hosts, templates })
}

/// Whether the VM is a copy of the cluster's template, by name or by tag.
pub(super) fn is_template(vm: &VmResource, spec: &ClusterSpec) -> bool {
    let template = spec.template.as_str();
    let tag = template.to_ascii_lowercase();
    vm.template == Some(true) && (vm.name.as_deref() == Some(template) || vm.tags.contains(&tag))
}

/// The disk that the machine boots from, with its key: the first disk of the boot order, else the first at all.
pub(super) fn boot_disk(config: &VmConfig) -> Option<(String, &Disk)> {
    let order = config
        .raw
        .get("boot")
        .and_then(|boot| boot.split(',').find_map(|part| part.strip_prefix("order=")));
    let is_disk = |key: &&str| config.disk(key).is_some_and(|disk| !disk.cdrom && !disk.cloud_init);
    let first = order.and_then(|order| order.split(';').find(is_disk));
    let any = || config.disks.keys().map(String::as_str).find(is_disk);
    let key = first.or_else(any)?;
    Some((key.to_owned(), config.disk(key)?))
}

/// A disk's size in whole GiB, rounded down.
pub(super) fn gib(disk: &Disk) -> u32 {
    u32::try_from(disk.size_bytes.unwrap_or(0) / GIB).unwrap_or(u32::MAX)
}

fn is_shared(disk: &Disk, shared: &BTreeSet<String>) -> bool {
    disk.storage.is_empty() || shared.contains(&disk.storage)
}
