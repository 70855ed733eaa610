//! A folder of its own for each guest in each control group hierarchy of the host.
//!
//! Guests get what the host has: the single hierarchy of version 2, or on older set-ups one for
//! each controller of version 1 with version 2 beside them. systemd and runc cope with both.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

const ROOT: &str = "/sys/fs/cgroup";

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hierarchy {
    /// Where the host has it.
    mount: PathBuf,
    /// What a guest mounts it with; `cgroup2` for version 2.
    options: String,
}

/// The hierarchies of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchies(Vec<Hierarchy>);

impl Hierarchies {
    /// Those that are mounted under `/sys/fs/cgroup`.
    pub(super) fn of_host() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")
            .context("failed to read the host's mounts")?;
        let found = Self::parse(&mounts);
        ensure!(
            !found.0.is_empty(),
            "no control groups are mounted under {ROOT}: light guests need them"
        );
        Ok(found)
    }

    fn parse(mountinfo: &str) -> Self {
        let hierarchies = mountinfo.lines().filter_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mount = Path::new(before.split(' ').nth(4)?);
            let mut after = after.split(' ');
            let options = match after.next()? {
                "cgroup2" => "cgroup2".to_owned(),
                "cgroup" => version_1_options(after.nth(1)?),
                _ => return None,
            };
            mount.starts_with(ROOT).then(|| Hierarchy { mount: mount.to_owned(), options })
        });
        Self(hierarchies.collect())
    }

    /// What `inside.sh` mounts: `unified`, or `name:options` for each hierarchy.
    pub(super) fn for_guest(&self) -> String {
        if let [only] = self.0.as_slice()
            && only.mount == Path::new(ROOT)
        {
            return "unified".to_owned();
        }
        let entries = self.0.iter().filter_map(|hierarchy| {
            let name = hierarchy.mount.file_name()?.to_str()?;
            Some(format!("{name}:{}", hierarchy.options))
        });
        entries.collect::<Vec<_>>().join(" ")
    }

    /// The folders of a lab, one in each hierarchy.
    fn of_lab(&self, id: &str) -> Vec<PathBuf> {
        self.0.iter().map(|hierarchy| hierarchy.mount.join(format!("kubesmith-{id}"))).collect()
    }

    /// Makes a guest's folders and answers them.
    pub(super) fn create(&self, id: &str, vmid: u32) -> Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for hierarchy in &self.0 {
            let lab = hierarchy.mount.join(format!("kubesmith-{id}"));
            let guest = lab.join(vmid.to_string());
            for (parent, folder) in [(&hierarchy.mount, &lab), (&lab, &guest)] {
                fs::create_dir_all(folder).with_context(|| {
                    format!("failed to make the control group {}", folder.display())
                })?;
                hand_down(parent, folder, &hierarchy.options);
            }
            folders.push(guest);
        }
        Ok(folders)
    }

    /// Removes a guest's folders. All its processes must have ended.
    pub(super) async fn remove(&self, id: &str, vmid: u32) {
        for lab in self.of_lab(id) {
            remove_tree(&lab.join(vmid.to_string())).await;
        }
    }

    /// Removes the folders of a whole lab.
    pub(super) async fn remove_lab(&self, id: &str) {
        for lab in self.of_lab(id) {
            remove_tree(&lab).await;
        }
    }

    /// The lab's folders that exist.
    pub(super) fn existing(&self, id: &str) -> Vec<PathBuf> {
        self.of_lab(id).into_iter().filter(|folder| folder.exists()).collect()
    }

    /// The processes in any folder of the lab.
    pub(super) fn processes(&self, id: &str) -> Vec<u32> {
        let mut found = Vec::new();
        for folder in self.existing(id).iter().flat_map(|lab| tree(lab)) {
            let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            // A zero is a process that this process cannot name.
            found.extend(
                text.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|pid| *pid != 0),
            );
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The controllers (or the name) of a version 1 hierarchy, without options that only its first mount may set.
fn version_1_options(all: &str) -> String {
    let passing =
        ["rw", "ro", "xattr", "clone_children", "noprefix", "cpuset_v2_mode", "favordynmods"];
    let keep = all
        .split(',')
        .filter(|option| !passing.contains(option) && !option.starts_with("release_agent="));
    let kept = keep.collect::<Vec<_>>().join(",");
    if kept.starts_with("name=") { format!("none,{kept}") } else { kept }
}

/// Makes the parent's controllers usable in a new folder. What cannot be handed down is left out:
/// guests boot without, and only limits on containers are missing then.
fn hand_down(parent: &Path, folder: &Path, options: &str) {
    if options == "cgroup2" {
        let controllers = fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default();
        for controller in controllers.split_whitespace() {
            let _ = fs::write(parent.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    } else if options.split(',').any(|option| option == "cpuset") {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let _ =
                fs::read(parent.join(file)).and_then(|value| fs::write(folder.join(file), value));
        }
    }
}

/// A folder and all below it, the deepest first.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut all: Vec<PathBuf> = below.flat_map(|entry| tree(&entry.path())).collect();
    all.push(folder.to_owned());
    all
}

/// The kernel lets go of a folder a moment after its last process, on a busy machine a long one, so a refusal is tried again
/// for ten seconds.
async fn remove_tree(folder: &Path) {
    for _ in 0..500 {
        for folder in tree(folder) {
            let _ = fs::remove_dir(folder);
        }
        if !folder.exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    tracing::warn!("the control group {} cannot be removed: processes are in it", folder.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_gets_the_hierarchies_of_the_host() {
        let hybrid = "\
24 21 0:22 / /sys rw,relatime - sysfs sysfs rw
25 24 0:23 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
26 25 0:24 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuacct
27 25 0:25 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/bin/x,name=systemd
28 25 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
29 21 0:27 / /elsewhere rw,relatime - cgroup cgroup rw,pids";
        assert_eq!(
            Hierarchies::parse(hybrid).for_guest(),
            "cpu,cpuacct:cpu,cpuacct systemd:none,name=systemd unified:cgroup2"
        );
        let unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(Hierarchies::parse(unified).for_guest(), "unified");
    }
}
