//! Volumes: sizes, names, allocating and freeing.

use std::collections::BTreeMap;

use super::api::Refusal;
use super::config::Changes;
use super::config_keys::is_drive;
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
    scaled(number, shift)
}

/// A decimal number times a power of two.
fn scaled(number: &str, shift: u32) -> Option<u64> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let read = |text: &str| if digits(text) { text.parse::<u64>().ok() } else { None };
    let scale = |number: u64| number.checked_mul(1 << shift);
    match number.split_once('.') {
        None => scale(read(number)?),
        Some((whole, fraction)) => {
            let unit = 10u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
            scale(read(whole)?)?.checked_add(scale(read(fraction)?)? / unit)
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

/// A drive as it is kept: the volume first, the options in order.
fn show(volume: &str, options: &BTreeMap<String, String>) -> String {
    let options = options.iter().map(|(key, value)| format!(",{key}={value}"));
    format!("{volume}{}", options.collect::<String>())
}

/// A drive with one option set anew.
pub(crate) fn with_option(drive: &str, key: &str, value: &str) -> String {
    let mut options = options(drive);
    options.insert(key.to_owned(), value.to_owned());
    show(volume_of(drive), &options)
}

fn options(drive: &str) -> BTreeMap<String, String> {
    let options = drive.split(',').filter_map(|part| part.split_once('='));
    let options = options.filter(|(key, _)| !matches!(*key, "file" | "volume"));
    options.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Whether a drive is a CD-ROM, cloud-init drives included.
pub(crate) fn is_cdrom(drive: &str) -> bool {
    matches!(volume_of(drive), "none" | "cdrom") || option(drive, "media") == Some("cdrom")
}

/// Whether a drive is a cloud-init drive, or is to become one.
pub(crate) fn is_cloudinit(drive: &str) -> bool {
    let volume = volume_of(drive);
    let stem =
        volume.strip_suffix(".qcow2").or_else(|| volume.strip_suffix(".raw")).unwrap_or(volume);
    stem.ends_with("-cloudinit") || stem.ends_with(":cloudinit")
}

/// The storage of a volume; none for `none` and for host devices.
pub(crate) fn storage_of(volume: &str) -> Option<&str> {
    volume.split_once(':').map(|(storage, _)| storage)
}

/// The machine that a volume name belongs to.
pub(crate) fn owner_of(name: &str) -> Option<u32> {
    let (folder, file) = name.rsplit_once('/')?;
    let owner: u32 = folder.rsplit('/').next()?.parse().ok()?;
    let is_image = [".raw", ".qcow2", ".vmdk"].iter().any(|end| file.ends_with(end));
    is_image.then_some(owner)
}

/// A disk that is to be made: `storage:GiB`.
pub(crate) struct NewDisk<'a> {
    pub(crate) storage: Option<&'a str>,
    pub(crate) size: u64,
}

/// Reads `local:4`, or `4` where there is a default storage.
pub(crate) fn new_disk(volume: &str) -> Option<NewDisk<'_>> {
    let (storage, size) = match volume.split_once(':') {
        Some((storage, size)) => (Some(storage), size),
        None => (None, volume),
    };
    Some(NewDisk { storage, size: scaled(size, 30)? })
}

/// Size of a machine's boot disk.
pub(crate) fn boot_disk_size(vm: &Vm) -> u64 {
    let drive = vm.boot_disk().and_then(|slot| vm.config.get(slot));
    drive.and_then(|drive| option(drive, "size")).and_then(parse_size).unwrap_or(0)
}

/// Refuses drives that name a volume which no storage could have.
pub(crate) fn check_values(state: &State, changes: &Changes) -> Result<(), Refusal> {
    let drives = changes.iter().filter(|(key, _)| is_drive(key));
    for (key, drive) in drives.filter_map(|(key, value)| Some((key, value.as_deref()?))) {
        let volume = volume_of(drive);
        let Some((storage, name)) = volume.split_once(':') else { continue };
        if new_disk(volume).is_some() || is_cloudinit(drive) {
            continue;
        }
        state.storage(storage)?;
        let is_iso = name.starts_with("iso/");
        if is_iso && !is_cdrom(drive) {
            let text = "explicit 'media=cdrom' is required for iso images";
            return Err(Refusal::parameter(key, text));
        }
        if !is_iso && owner_of(name).is_none() {
            return Err(Refusal::failed(format!("unable to parse directory volume name '{name}'")));
        }
    }
    Ok(())
}

/// What to allocate.
pub(crate) struct Wanted<'a> {
    pub(crate) node: &'a str,
    pub(crate) storage: &'a str,
    pub(crate) vmid: u32,
    pub(crate) size: u64,
    pub(crate) format: &'a str,
    /// The template's volume under a linked clone.
    pub(crate) base: Option<String>,
    pub(crate) image: Option<String>,
}

impl State {
    /// Allocates a disk and answers with its volume.
    pub(crate) fn allocate(&mut self, wanted: Wanted<'_>) -> Result<String, String> {
        let Wanted { node, storage, vmid, size, format, base, image } = wanted;
        self.room(storage)?;
        let name = (0..1000)
            .map(|index| format!("vm-{vmid}-disk-{index}"))
            .find(|name| {
                let taken = |id: &str| {
                    id.starts_with(&format!("{storage}:")) && id.contains(&format!("/{name}."))
                };
                !self.volumes.keys().any(|key| taken(&key.id))
            })
            .ok_or("unable to find free disk name")?;
        let folder = match base.as_deref().and_then(|base| base.split_once(':')) {
            Some((_, base)) => format!("{base}/{vmid}"),
            None => vmid.to_string(),
        };
        let id = format!("{storage}:{folder}/{name}.{format}");
        let key = self.volume_id(node, &id);
        let volume = Volume { size, format: format.to_owned(), owner: vmid, base, image };
        self.volumes.insert(key, volume);
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
        let format = "qcow2".to_owned();
        let volume = Volume { size: CLOUDINIT_SIZE, format, owner: vmid, base: None, image: None };
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

    /// Frees a volume that nothing stands on; whether that worked.
    pub(crate) fn free(&mut self, node: &str, id: &str) -> bool {
        let stuck =
            storage_of(id).and_then(|name| self.storages.get(name)).is_some_and(|it| it.stuck);
        if stuck {
            return false;
        }
        let key = self.volume_id(node, id);
        self.volumes.remove(&key);
        true
    }

    /// The volumes of a machine, by their slots.
    pub(crate) fn volumes_of(&self, vmid: u32) -> Vec<(String, String)> {
        let Some(vm) = self.vms.get(&vmid) else { return Vec::new() };
        let owned = vm.config.iter().filter(|(key, _)| is_drive(key) || key.starts_with("unused"));
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
        slot: &str,
        drive: &str,
    ) -> Result<String, String> {
        let file = volume_of(drive).to_owned();
        let mut options = options(drive);
        if file.ends_with(":cloudinit") {
            let vm = self.vm(node, vmid)?;
            let other = vm.drives().find(|(other, drive)| *other != slot && is_cloudinit(drive));
            if let Some((other, _)) = other {
                return Err(format!("{slot} - cloud-init drive is already attached at '{other}'"));
            }
            let storage = storage_of(&file).unwrap_or_default().to_owned();
            let id = self.allocate_cloudinit(node, &storage, vmid)?;
            options.remove("format");
            options.insert("media".to_owned(), "cdrom".to_owned());
            return Ok(show(&id, &options));
        }
        if let Some(NewDisk { storage: Some(storage), size }) = new_disk(&file) {
            let format = options.remove("format").unwrap_or_else(|| "raw".to_owned());
            let (base, image) = (None, None);
            let id =
                self.allocate(Wanted { node, storage, vmid, size, format: &format, base, image })?;
            options.insert("size".to_owned(), show_size(size));
            return Ok(show(&id, &options));
        }
        match self.volume(node, &file) {
            Some(volume) => {
                options.insert("size".to_owned(), show_size(volume.size));
            }
            None if is_cdrom(drive) => {}
            None if storage_of(&file).is_some() => {
                return Err(format!("volume '{file}' does not exist"));
            }
            None => {}
        }
        Ok(show(&file, &options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_as_proxmox_does() {
        assert_eq!(parse_size("64M"), Some(64 << 20));
        assert_eq!(parse_size("1.5G"), Some(3 << 29));
        assert_eq!(parse_size("20000000T"), None);
        assert_eq!(parse_size("+1G"), None);
        assert_eq!(show_size(96 << 20), "96M");
        assert_eq!(show_size(20 << 30), "20G");
        let resized = with_option("local:1/a.qcow2,ssd=1,size=1G,discard=on", "size", "2G");
        assert_eq!(resized, "local:1/a.qcow2,discard=on,size=2G,ssd=1");
    }
}
