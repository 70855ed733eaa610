//! Volumes: sizes, names, allocating and freeing.

use super::api::Refusal;
use super::state::{State, Vm, Volume, volume_of};

/// Size of the drive that carries the cloud-init files.
pub(crate) const CLOUDINIT_SIZE: u64 = 4 << 20;

/// Reads `64M`, `4G`; without a unit they are bytes.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let (number, shift) = match text.char_indices().last()? {
        (at, 'K') => (&text[..at], 10),
        (at, 'M') => (&text[..at], 20),
        (at, 'G') => (&text[..at], 30),
        (at, 'T') => (&text[..at], 40),
        _ => (text, 0),
    };
    match number.split_once('.') {
        None => number.parse::<u64>().ok().map(|number| number << shift),
        Some((whole, fraction)) => {
            let scale = 10u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
            let (whole, fraction): (u64, u64) = (whole.parse().ok()?, fraction.parse().ok()?);
            Some((whole << shift) + (fraction << shift) / scale)
        }
    }
}

/// Writes a size with the largest unit that divides it.
pub(crate) fn show_size(bytes: u64) -> String {
    let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
    units
        .into_iter()
        .find(|(shift, _)| bytes >= 1 << shift && bytes.is_multiple_of(1 << shift))
        .map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

/// One `key=value` of a drive.
pub(crate) fn option<'a>(drive: &'a str, key: &str) -> Option<&'a str> {
    drive.split(',').find_map(|part| part.strip_prefix(key)?.strip_prefix('='))
}

/// A drive with one option set anew.
pub(crate) fn with_option(drive: &str, key: &str, value: &str) -> String {
    let kept =
        drive.split(',').filter(|part| part.split_once('=').is_none_or(|(name, _)| name != key));
    kept.chain([format!("{key}={value}").as_str()]).collect::<Vec<_>>().join(",")
}

/// Whether a drive is a cloud-init drive.
pub(crate) fn is_cloudinit(drive: &str) -> bool {
    volume_of(drive).ends_with("-cloudinit.qcow2")
}

/// The storage of a volume; none for `none` and for host devices.
pub(crate) fn storage_of(volume: &str) -> Option<&str> {
    volume.split_once(':').map(|(storage, _)| storage)
}

/// Size of a machine's boot disk.
pub(crate) fn boot_disk_size(vm: &Vm) -> u64 {
    let drive = vm.boot_disk().and_then(|slot| vm.config.get(slot));
    drive.and_then(|drive| option(drive, "size")).and_then(parse_size).unwrap_or(0)
}

/// What to allocate.
pub(crate) struct Wanted<'a> {
    pub(crate) node: &'a str,
    pub(crate) storage: &'a str,
    pub(crate) vmid: u32,
    pub(crate) size: u64,
    /// The template's volume under a linked clone.
    pub(crate) base: Option<String>,
    pub(crate) image: Option<String>,
}

impl State {
    /// Allocates a disk and answers with its volume.
    pub(crate) fn allocate(&mut self, wanted: Wanted<'_>) -> Result<String, String> {
        let Wanted { node, storage, vmid, size, base, image } = wanted;
        self.room(storage)?;
        let name = (0..1000)
            .map(|index| format!("vm-{vmid}-disk-{index}.qcow2"))
            .find(|name| {
                let taken = |id: &str| {
                    id.starts_with(&format!("{storage}:"))
                        && id.ends_with(&format!("{vmid}/{name}"))
                };
                !self.volumes.keys().any(|key| taken(&key.id))
            })
            .ok_or("unable to find free disk name")?;
        let folder = match base.as_deref().and_then(|base| base.split_once(':')) {
            Some((_, base)) => format!("{base}/{vmid}"),
            None => vmid.to_string(),
        };
        let id = format!("{storage}:{folder}/{name}");
        let key = self.volume_id(node, &id);
        self.volumes.insert(key, Volume { size, format: "qcow2", owner: vmid, base, image });
        Ok(id)
    }

    /// Allocates a cloud-init drive.
    pub(crate) fn allocate_cloudinit(
        &mut self,
        node: &str,
        storage: &str,
        vmid: u32,
    ) -> Result<String, String> {
        self.room(storage)?;
        let id = format!("{storage}:{vmid}/vm-{vmid}-cloudinit.qcow2");
        let key = self.volume_id(node, &id);
        let volume =
            Volume { size: CLOUDINIT_SIZE, format: "qcow2", owner: vmid, base: None, image: None };
        self.volumes.insert(key, volume);
        Ok(id)
    }

    fn room(&self, storage: &str) -> Result<(), String> {
        let store = self.storage(storage).map_err(|refusal| refusal.message)?;
        if store.full {
            return Err(format!(
                "unable to create image: No space left on device (storage '{storage}')"
            ));
        }
        Ok(())
    }

    /// Frees a volume that nothing stands on.
    pub(crate) fn free(&mut self, node: &str, id: &str) {
        let key = self.volume_id(node, id);
        self.volumes.remove(&key);
    }

    /// The volumes of a machine, by their slots.
    pub(crate) fn volumes_of(&self, vmid: u32) -> Vec<(String, String)> {
        let Some(vm) = self.vms.get(&vmid) else { return Vec::new() };
        let owned = vm
            .config
            .iter()
            .filter(|(key, _)| super::config_keys::is_drive(key) || key.starts_with("unused"));
        let owned = owned.map(|(key, drive)| (key.clone(), volume_of(drive).to_owned()));
        owned
            .filter(|(_, id)| self.volume(&vm.node, id).is_some_and(|volume| volume.owner == vmid))
            .collect()
    }

    /// Makes the volume of a drive that is being set; the answer is what the configuration keeps.
    pub(crate) fn make_drive(
        &mut self,
        node: &str,
        vmid: u32,
        drive: &str,
    ) -> Result<String, String> {
        let file = volume_of(drive).to_owned();
        let rest: Vec<_> = drive.split(',').skip(1).collect();
        let Some((storage, what)) = file.split_once(':') else { return Ok(drive.to_owned()) };
        if what == "cloudinit" {
            let id = self.allocate_cloudinit(node, storage, vmid)?;
            return Ok(format!("{id},media=cdrom"));
        }
        let Some(gibibytes) = what.parse::<u64>().ok().filter(|_| !what.contains('/')) else {
            return Ok(drive.to_owned());
        };
        let size = gibibytes << 30;
        let id = self.allocate(Wanted { node, storage, vmid, size, base: None, image: None })?;
        let rest = rest.into_iter().filter(|part| !part.starts_with("size=")).map(str::to_owned);
        let parts: Vec<_> =
            [id].into_iter().chain(rest).chain([format!("size={}", show_size(size))]).collect();
        Ok(parts.join(","))
    }

    /// Refuses unless somebody may allocate on the storage of a new volume.
    pub(crate) fn require_drive(
        &self,
        who: &super::access::Principal,
        drive: &str,
    ) -> Result<(), Refusal> {
        let Some(storage) = storage_of(volume_of(drive)) else { return Ok(()) };
        self.storage(storage)?;
        self.require(who, &format!("/storage/{storage}"), "Datastore.AllocateSpace")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_as_proxmox_does() {
        assert_eq!(parse_size("64M"), Some(64 << 20));
        assert_eq!(parse_size("1.5G"), Some(3 << 29));
        assert_eq!(show_size(96 << 20), "96M");
        assert_eq!(show_size(20 << 30), "20G");
        assert_eq!(with_option("local:1/a.qcow2,size=1G", "size", "2G"), "local:1/a.qcow2,size=2G");
    }
}
