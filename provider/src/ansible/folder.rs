//! The private folder of a run. At its end the cluster's kubeconfig lies in it, so it must not outlive the run.
//!
//! It goes when the run ends. If the provider is killed before, the next provider that is started sweeps it away: who
//! is alive holds a lock on the folder, the provider and the playbook alike, and a lock ends with its process in whatever
//! way that ends.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::io::{FdFlags, fcntl_setfd};

/// Short, because the sockets of ssh connections lie in the folder, and their paths may only have 108 bytes.
const PREFIX: &str = "ks-";
/// While it is made: nobody may take a folder for abandoned that is not locked yet.
const UNFINISHED: &str = "ks~";
const LOCK: &str = "lock";

/// A folder with mode 0700 that is removed with this value.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes one among the machine's temporary files.
    pub(super) fn new() -> io::Result<Self> {
        Self::new_in(&std::env::temp_dir())
    }

    fn new_in(parent: &Path) -> io::Result<Self> {
        let made = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)?;
        let lock = File::create_new(made.path().join(LOCK))?;
        lock.lock()?;
        // The playbook inherits it: nothing is swept away under a program that still writes there.
        fcntl_setfd(&lock, FdFlags::empty())?;
        let name = made.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = parent.join(name.replacen(UNFINISHED, PREFIX, 1));
        fs::rename(made.path(), &path)?;
        let _ = made.keep();
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the folder of a run stays");
        }
    }
}

/// Removes the folders that were left by providers which were killed.
pub(crate) fn sweep() {
    sweep_in(&std::env::temp_dir());
}

fn sweep_in(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        if name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) && is_abandoned(&path) {
            tracing::info!(path = %path.display(), "removing what a killed run has left");
            if let Err(error) = remove(&path) {
                tracing::warn!(path = %path.display(), %error, "the folder of a killed run stays");
            }
        }
    }
}

/// The lock goes last: as long as it is there, a removal that was interrupted is gone on with by the next start.
fn remove(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != LOCK {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir_all(folder)
}

/// Ours, and nobody holds it any more.
fn is_abandoned(folder: &Path) -> bool {
    // Not through links: others may write there too.
    let is_ours = fs::symlink_metadata(folder)
        .is_ok_and(|about| about.is_dir() && about.uid() == rustix::process::geteuid().as_raw());
    is_ours && File::open(folder.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(parent: &Path) -> Vec<String> {
        let entries = fs::read_dir(parent).unwrap().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_private_and_goes_with_its_owner() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::new_in(parent.path()).unwrap();
        let mode = fs::metadata(folder.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(names(parent.path()).len(), 1);
        drop(folder);
        assert_eq!(names(parent.path()), Vec::<String>::new());
    }

    #[test]
    fn where_none_can_be_made_that_is_said() {
        let error = Folder::new_in(Path::new("/nonexistent")).err().unwrap();
        let said = crate::ansible::PlayError::from(error).to_string();
        assert!(said.starts_with("the folder for the playbook could not be written: "), "{said}");
    }

    #[test]
    fn only_what_nobody_holds_any_more_is_swept_away() {
        let parent = tempfile::tempdir().unwrap();
        let living = Folder::new_in(parent.path()).unwrap();
        // A lock ends with its process, so what a killed one leaves is a folder with a free lock.
        let dead = parent.path().join("ks-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        fs::write(dead.join("kubeconfig"), "a key").unwrap();
        for others in ["ks-without-lock", "ks~unfinished", "other"] {
            fs::create_dir(parent.path().join(others)).unwrap();
        }
        std::os::unix::fs::symlink(&dead, parent.path().join("ks-link")).unwrap();

        sweep_in(parent.path());
        let living_name = living.path().file_name().unwrap().to_string_lossy().into_owned();
        let mut expected = ["ks-link", "ks-without-lock", "ks~unfinished", "other", &living_name];
        expected.sort_unstable();
        assert_eq!(names(parent.path()), expected);
    }
}
