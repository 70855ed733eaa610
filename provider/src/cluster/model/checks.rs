//! What one attribute alone may be.

use kubesmith_spec::{CloneMode, MachineSize, VlanTag};

use super::{ControlPlane, Workers};

pub(super) fn check_clone(clone: &String) -> Result<(), &'static str> {
    let known = [CloneMode::Linked, CloneMode::Full].iter().any(|mode| mode.as_str() == clone);
    if known { Ok(()) } else { Err("It must be \"linked\" or \"full\".") }
}

/// Sizes are looked at alone too, because the whole can only be checked once the leases are known.
pub(super) fn check_control_plane(size: &ControlPlane) -> Result<(), String> {
    let ControlPlane { cores, memory_mib, disk_gib } = *size;
    large_enough(MachineSize { cores, memory_mib, disk_gib }, MachineSize::CONTROL_PLANE_MINIMUM)
}

pub(super) fn check_workers(workers: &Workers) -> Result<(), String> {
    let Workers { count, cores, memory_mib, disk_gib } = *workers;
    let least = if count == 0 {
        MachineSize { cores: 0, memory_mib: 0, disk_gib: 0 }
    } else {
        MachineSize::WORKER_MINIMUM
    };
    large_enough(MachineSize { cores, memory_mib, disk_gib }, least)
}

fn large_enough(size: MachineSize, least: MachineSize) -> Result<(), String> {
    let below: Vec<_> = size
        .below(least)
        .into_iter()
        .map(|(field, message)| format!("{field}: {message}"))
        .collect();
    if below.is_empty() { Ok(()) } else { Err(below.join("; ")) }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the derive's validators take references")]
pub(super) fn check_vlan(tag: &u16) -> Result<(), String> {
    VlanTag::try_from(*tag).map(|_| ()).map_err(|error| error.to_string())
}
