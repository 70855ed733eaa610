//! Finding and removing what a lab made on the host; everything is named after the lab's id.
//!
//! A lab that was killed can clean up nothing, so the next one of its id does: it finds processes
//! and control groups by name, and folders by the record that the lab left under `/run`.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io::{Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::{cgroup::Hierarchies, network};
use crate::command::run;

const RECORDS: &str = "/run/kubesmith-lab";

/// The mark of a living lab: a locked file that names its process and its folder.
#[derive(Debug)]
pub(super) struct Record {
    _locked: File,
}

impl Record {
    /// Claims the id for this process, until the record is dropped.
    pub(super) fn take(id: &str, folder: &Path) -> Result<Self> {
        fs::create_dir_all(RECORDS).with_context(|| format!("failed to make {RECORDS}"))?;
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(path(id))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            bail!("{}", taken(id));
        }
        file.set_len(0)?;
        write!(file, "{}\n{}\n", std::process::id(), folder.display())?;
        Ok(Self { _locked: file })
    }
}

/// The process of the lab `id`, when one lives.
pub fn holder(id: &str) -> Option<u32> {
    let file = File::open(path(id)).ok()?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => read(id)?.0,
        _ => None,
    }
}

/// Ends and removes all that belongs to the lab `id`; also after a lab that was killed. A lab that
/// lives in another process is left alone, which is an error.
pub async fn reap(id: &str) -> Result<()> {
    network::check_id(id)?;
    if holder(id).is_some_and(|pid| pid != std::process::id()) {
        bail!("{}", taken(id));
    }
    let hierarchies = Hierarchies::of_host()?;
    end_processes(id, &hierarchies).await?;
    for mount in mounts(id) {
        run("umount", ["--lazy", &mount]).await?;
    }
    network::Network::remove(id).await?;
    hierarchies.remove_lab(id).await;
    if let Some(folder) = folder(id) {
        super::remove_folder(folder).await?;
    }
    forget(id);
    Ok(())
}

/// Removes the record of a lab that has no folder any more.
pub(super) fn forget(id: &str) {
    let _ = fs::remove_file(path(id));
}

/// What of the lab `id` is still there: processes, mounts, namespaces, cgroups, folders.
pub async fn leftovers(id: &str) -> Vec<String> {
    let id = id.to_owned();
    // All of /proc is read, which is no work for a thread that serves others.
    tokio::task::spawn_blocking(move || look_for_leftovers(&id))
        .await
        .expect("looking does not panic")
}

fn look_for_leftovers(id: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(hierarchies) = Hierarchies::of_host() {
        found.extend(
            processes(id, &hierarchies)
                .into_iter()
                .map(|pid| format!("process {pid} ({})", program(pid))),
        );
        found.extend(
            hierarchies
                .existing(id)
                .iter()
                .map(|folder| format!("control group {}", folder.display())),
        );
    }
    found.extend(mounts(id).into_iter().map(|mount| format!("mount {mount}")));
    found.extend(
        network::namespaces(id).into_iter().map(|name| format!("network namespace {name}")),
    );
    found.extend(folder(id).map(|folder| format!("folder {}", folder.display())));
    found
}

fn path(id: &str) -> PathBuf {
    Path::new(RECORDS).join(id)
}

/// Process and folder of the record.
fn read(id: &str) -> Option<(Option<u32>, PathBuf)> {
    let mut text = String::new();
    File::open(path(id)).ok()?.read_to_string(&mut text).ok()?;
    let (pid, folder) = text.split_once('\n')?;
    Some((pid.parse().ok(), PathBuf::from(folder.trim_end())))
}

/// The folder of the lab's guests, when it exists.
fn folder(id: &str) -> Option<PathBuf> {
    let (_, folder) = read(id)?;
    // A record is only text: never remove what does not look like ours.
    (folder.is_absolute() && folder.ends_with("guests") && folder.exists()).then_some(folder)
}

fn taken(id: &str) -> String {
    let process = read(id)
        .and_then(|(pid, _)| pid)
        .map(|pid| format!(" (process {pid})"))
        .unwrap_or_default();
    format!("the lab \"{id}\" is running{process}: end it first, or give this one another id")
}

/// Kills all processes of the lab and waits until they are gone.
async fn end_processes(id: &str, hierarchies: &Hierarchies) -> Result<()> {
    for _ in 0..250 {
        let left = processes(id, hierarchies);
        if left.is_empty() {
            return Ok(());
        }
        for pid in left {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("processes of the lab \"{id}\" do not end: {:?}", processes(id, hierarchies))
}

/// The processes in the lab's control groups or in its network namespaces, without this one and those above it.
fn processes(id: &str, hierarchies: &Hierarchies) -> BTreeSet<u32> {
    let mut found: BTreeSet<u32> = hierarchies.processes(id).into_iter().collect();
    let names = network::namespaces(id);
    let paths = names.iter().map(|name| Path::new("/run/netns").join(name));
    let namespaces: Vec<(u64, u64)> = paths.filter_map(|path| identity(&path)).collect();
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    found.extend(pids.filter(|pid| {
        identity(Path::new(&format!("/proc/{pid}/ns/net")))
            .is_some_and(|net| namespaces.contains(&net))
    }));
    let mut own = Some(std::process::id());
    while let Some(pid) = own {
        found.remove(&pid);
        own = parent(pid);
    }
    found
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
    (parent != 0).then_some(parent)
}

fn program(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// Mounts of the host under the lab's folder, the deepest first.
fn mounts(id: &str) -> Vec<String> {
    let Some((_, folder)) = read(id) else {
        return Vec::new();
    };
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    let mut ours: Vec<String> =
        points.filter(|point| Path::new(point).starts_with(&folder)).map(str::to_owned).collect();
    ours.reverse();
    ours
}
