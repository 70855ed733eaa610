//! Light guests: the lab's virtual machines.
//!
//! A guest is a Debian root (an overlay over a shared image) in namespaces of its own, with an
//! unmodified systemd as PID 1, a cloud-init seed and sshd. It boots in seconds and needs no
//! hypervisor; what it cannot do is run a kernel of its own. Root on Linux is needed.
//!
//! The order of use: [`image::ensure_all`] (the last step that needs the net), [`cleanup::reap`],
//! [`network::Network::create`], then inside that network [`Guests::open`]; at the end
//! [`Guests::close`], and [`cleanup::reap`] for the rest.

mod boot;
mod cgroup;
pub mod cleanup;
mod debian;
pub mod image;
mod mirror;
pub mod network;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::{Arc, Mutex, MutexGuard},
};

use anyhow::{Context, Result, bail};

use crate::{command, host};
use boot::{Boot, Faults, Machine};
use cgroup::Hierarchies;
use image::Image;

/// How the names of images begin that were guests.
const FROZEN: &str = "frozen";

/// What a start needs to know; the three seed texts are what Proxmox puts on its cloud-init drive.
#[derive(Debug, Clone)]
pub struct BootRequest {
    /// The VMID; the guest's disk is kept under it until [`Guests::destroy`].
    pub vmid: u32,
    /// The VM's name, for messages only: the hostname comes from the seed.
    pub name: String,
    /// A name of [`image`], or one that [`Guests::freeze`] gave; counts at the first start only.
    pub image: String,
    /// Cloud-init's `user-data`.
    pub user_data: String,
    /// Cloud-init's `meta-data`; a new `instance-id` in it makes cloud-init run again.
    pub meta_data: String,
    /// Cloud-init's `network-config`; a `mac_address` in it becomes the address of the guest's `eth0`.
    pub network_config: String,
}

/// All guests of one lab.
#[derive(Debug)]
pub struct Guests {
    id: String,
    /// One folder a guest, named by its VMID.
    folder: PathBuf,
    cache: PathBuf,
    hierarchies: Hierarchies,
    /// Those that a guest was made from: finding out the golden one's key reads a large program.
    images: tokio::sync::Mutex<BTreeMap<String, Image>>,
    by_vmid: Mutex<BTreeMap<u32, Guest>>,
    never_boots: Mutex<BTreeSet<u32>>,
    ssh_refused: Mutex<BTreeSet<u32>>,
    _record: cleanup::Record,
}

/// What is known of one guest, running or not.
#[derive(Debug, Default, Clone)]
struct Guest {
    /// Held through a start or a destroy, so that these never overlap for one guest.
    turn: Arc<tokio::sync::Mutex<()>>,
    image: Option<Image>,
    machine: Option<Arc<Machine>>,
}

impl Guests {
    /// Opens the guests of the lab `id`, with their disks under `dir`. The lab's network must exist,
    /// and [`image::ensure`] should have been called where the package mirror is in reach.
    pub fn open(dir: &Path, id: &str) -> Result<Arc<Self>> {
        network::check_id(id)?;
        let folder = std::path::absolute(dir)?.join("guests");
        fs::create_dir_all(&folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
        Ok(Arc::new(Self {
            id: id.to_owned(),
            _record: cleanup::Record::take(id, &folder)?,
            folder,
            cache: host::cache_dir(),
            hierarchies: Hierarchies::of_host()?,
            images: tokio::sync::Mutex::default(),
            by_vmid: Mutex::default(),
            never_boots: Mutex::default(),
            ssh_refused: Mutex::default(),
        }))
    }

    /// Boots a guest; returns as soon as its init runs.
    pub async fn start(&self, request: BootRequest) -> Result<()> {
        let vmid = request.vmid;
        let guest = self.guest(vmid);
        let _turn = guest.turn.lock().await;
        // Looked up again: another start may have had its turn before.
        let guest = self.guest(vmid);
        if guest.machine.is_some_and(|machine| machine.is_running()) {
            bail!("guest {vmid} ({}) is already running", request.name);
        }
        let image = match guest.image {
            Some(image) => image,
            None => self.image(&request.image).await?,
        };
        let folder = self.folder.join(vmid.to_string());
        write_seed(&folder.join("seed"), &request)?;
        let boot = Boot {
            id: self.id.clone(),
            vmid,
            folder,
            image: image.clone(),
            hierarchies: self.hierarchies.clone(),
            mac: network::mac_address(&request.network_config).map(str::to_owned),
            faults: Faults {
                never_boots: locked(&self.never_boots).contains(&vmid),
                ssh_refused: locked(&self.ssh_refused).contains(&vmid),
            },
        };
        let machine = boot
            .start()
            .await
            .with_context(|| format!("failed to boot guest {vmid} ({})", request.name))?;
        let mut guests = locked(&self.by_vmid);
        let guest = guests.entry(vmid).or_default();
        guest.image = Some(image);
        guest.machine = Some(machine);
        Ok(())
    }

    /// Pulls the plug. Nothing happens to a guest that does not run.
    pub async fn stop(&self, vmid: u32) -> Result<()> {
        if let Some(machine) = self.machine(vmid) {
            machine.kill().await;
        }
        Ok(())
    }

    /// Asks the guest to power off and waits until it has. The caller bounds the wait: a guest that
    /// hangs, or that is too early in its boot to hear, never does.
    pub async fn shutdown(&self, vmid: u32) -> Result<()> {
        if let Some(machine) = self.machine(vmid) {
            // systemd's own signal for "power off", which it obeys without a login manager. When it
            // cannot be sent, the guest has just ended.
            let _ = command::run("kill", ["-s", "RTMIN+4", &machine.init().to_string()]).await;
            machine.ended().await;
        }
        Ok(())
    }

    /// Stops the guest and removes its disk.
    pub async fn destroy(&self, vmid: u32) -> Result<()> {
        let guest = self.guest(vmid);
        let _turn = guest.turn.lock().await;
        self.stop(vmid).await?;
        locked(&self.by_vmid).remove(&vmid);
        remove_folder(self.folder.join(vmid.to_string())).await
    }

    /// Makes what is on a guest's disk an image for others, and answers its name; nothing for a guest that never ran. The
    /// guest is stopped, and its disk is gone from it: what is an image does not change any more.
    pub async fn freeze(&self, vmid: u32) -> Result<Option<String>> {
        let guest = self.guest(vmid);
        let _turn = guest.turn.lock().await;
        let guest = self.guest(vmid);
        if guest.machine.is_some_and(|machine| machine.is_running()) {
            bail!("guest {vmid} still runs");
        }
        let Some(below) = guest.image else { return Ok(None) };
        let disk = self.folder.join(vmid.to_string());
        let mut images = self.images.lock().await;
        let name = format!("{FROZEN}-{}-{vmid}", images.len());
        let layer = self.folder.join(&name);
        fs::rename(disk.join("disk"), &layer)?;
        // It lies beside the disk while the guest has it, see `inside.sh`.
        let containerd = layer.join("var/lib/containerd");
        remove_folder(containerd.clone()).await?;
        fs::create_dir_all(layer.join("var/lib"))?;
        fs::rename(disk.join("containerd"), containerd)?;
        let layers = std::iter::once(layer).chain(below.layers).collect();
        images.insert(name.clone(), Image { layers });
        locked(&self.by_vmid).remove(&vmid);
        remove_folder(disk).await?;
        Ok(Some(name))
    }

    /// Stops every guest and removes all disks; the lab's network stays.
    pub async fn close(&self) -> Result<()> {
        let all: Vec<u32> = locked(&self.by_vmid).keys().copied().collect();
        futures_util::future::try_join_all(all.into_iter().map(|vmid| self.destroy(vmid))).await?;
        self.hierarchies.remove_lab(&self.id).await;
        remove_folder(self.folder.clone()).await?;
        cleanup::forget(&self.id);
        Ok(())
    }

    /// Whether the guest's init runs.
    pub fn is_running(&self, vmid: u32) -> bool {
        self.machine(vmid).is_some()
    }

    /// The VMIDs of the running guests, in order.
    pub fn list(&self) -> Vec<u32> {
        let guests = locked(&self.by_vmid);
        let running = guests.iter().filter(|(_, guest)| {
            guest.machine.as_ref().is_some_and(|machine| machine.is_running())
        });
        running.map(|(vmid, _)| *vmid).collect()
    }

    /// Runs a program inside a running guest as root.
    pub async fn exec(&self, vmid: u32, argv: &[&str]) -> Result<Output> {
        let machine = self.machine(vmid).with_context(|| format!("guest {vmid} does not run"))?;
        let mut nsenter = command::command("nsenter");
        nsenter.arg(format!("--target={}", machine.init()));
        nsenter.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--"]);
        nsenter.args([
            "env",
            "-i",
            // nsenter would mean a folder of the host.
            "--chdir=/",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LANG=C.UTF-8",
        ]);
        nsenter.args(argv).stdin(std::process::Stdio::null());
        nsenter.output().await.with_context(|| format!("failed to run a program in guest {vmid}"))
    }

    /// Before the guest's next boot, runs this shell script in its root (once).
    pub fn break_before_boot(&self, vmid: u32, script: &str) -> Result<()> {
        let folder = self.folder.join(vmid.to_string());
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("break"), script)?;
        Ok(())
    }

    /// From its next start on, the guest counts as running but never gets anywhere.
    pub fn never_boots(&self, vmid: u32) {
        locked(&self.never_boots).insert(vmid);
    }

    /// From its next start on, the guest boots without an SSH server.
    pub fn ssh_refused(&self, vmid: u32) {
        locked(&self.ssh_refused).insert(vmid);
    }

    /// Takes back every fault that was set, from the next starts on.
    pub fn clear_faults(&self) {
        locked(&self.never_boots).clear();
        locked(&self.ssh_refused).clear();
    }

    async fn image(&self, name: &str) -> Result<Image> {
        let mut images = self.images.lock().await;
        if let Some(image) = images.get(name) {
            return Ok(image.clone());
        }
        let image = image::ensure(name, &self.cache).await?;
        images.insert(name.to_owned(), image.clone());
        Ok(image)
    }

    fn guest(&self, vmid: u32) -> Guest {
        locked(&self.by_vmid).entry(vmid).or_default().clone()
    }

    /// The guest's machine while it runs.
    fn machine(&self, vmid: u32) -> Option<Arc<Machine>> {
        let machine = locked(&self.by_vmid).get(&vmid)?.machine.clone()?;
        machine.is_running().then_some(machine)
    }
}

fn write_seed(folder: &Path, request: &BootRequest) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    fs::write(folder.join("user-data"), &request.user_data)?;
    fs::write(folder.join("meta-data"), &request.meta_data)?;
    fs::write(folder.join("network-config"), &request.network_config)?;
    Ok(())
}

/// Disks have tens of thousands of files at times, so their removal must not hold up the others.
async fn remove_folder(folder: PathBuf) -> Result<()> {
    let removed = tokio::task::spawn_blocking(move || match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", folder.display()))
        }
        _ => Ok(()),
    });
    removed.await?
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds this lock")
}
