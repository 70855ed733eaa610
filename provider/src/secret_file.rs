//! A secret that a child reads as a file, although it lies on no disk.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// A file in the memory of this process. It is gone with the process, in whatever way that ends.
pub(crate) struct SecretFile(File);

impl SecretFile {
    /// Only we may read it, and nobody can change it: ssh refuses a key that others might have.
    pub(crate) fn new(content: &[u8]) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(memfd_create("kubesmith", flags)?);
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(content)?;
        fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK)?;
        Ok(Self(file))
    }

    /// Where our children and theirs open it, as long as this value lives.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn it_is_read_by_its_path_and_neither_changed_nor_found_afterwards() {
        let file = SecretFile::new(b"a key").unwrap();
        let path = file.path();
        assert_eq!(fs::read(&path).unwrap(), b"a key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut opened = OpenOptions::new().write(true).open(&path).unwrap();
        assert!(opened.write_all(b"another").is_err());
        let which = || fs::metadata(&path).ok().map(|about| (about.dev(), about.ino()));
        let before = which();
        assert!(before.is_some());
        drop((file, opened));
        // Another test may have the number by now, but not the file.
        assert_ne!(which(), before);
    }
}
