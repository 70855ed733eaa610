//! A folder that is ours alone: 0700, its files 0600, and nothing in it reached through a link or a path from outside.
//!
//! It is opened once; whatever is done in it goes through that handle.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags};

const FOLDER: Mode = Mode::RWXU;
const FILE: Mode = Mode::RUSR.union(Mode::WUSR);

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    handle: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens the folder at this path, which is made if it is missing. The path is the portal's own.
    pub fn make(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::open(path, flags, Mode::empty())?;
        rustix::fs::fchmod(&handle, FOLDER)?;
        Ok(Self { handle, path: path.to_owned() })
    }

    /// A folder in it, which is made if it is missing.
    pub fn inner(&self, name: &str) -> io::Result<Self> {
        match rustix::fs::mkdirat(&self.handle, plain(name)?, FOLDER) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let handle = self.open(name, OFlags::DIRECTORY)?;
        Ok(Self { handle, path: self.path.join(name) })
    }

    /// Its path, for programs that are started in it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands in a file; `None` if there is none.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self.open(name, OFlags::RDONLY) {
            Ok(handle) => {
                let mut bytes = Vec::new();
                File::from(handle).read_to_end(&mut bytes)?;
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a whole file, or leaves the old one: never half of either, whatever dies meanwhile.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let part = self.part(name, bytes)?;
        rustix::fs::renameat(&self.handle, &part, &self.handle, plain(name)?)?;
        rustix::fs::fsync(&self.handle)?;
        Ok(())
    }

    /// The same, but only if there is no such file: `false` if there is one.
    pub fn write_new(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        let part = self.part(name, bytes)?;
        let linked =
            rustix::fs::linkat(&self.handle, &part, &self.handle, plain(name)?, AtFlags::empty());
        rustix::fs::unlinkat(&self.handle, &part, AtFlags::empty())?;
        match linked {
            Ok(()) => {
                rustix::fs::fsync(&self.handle)?;
                Ok(true)
            }
            Err(rustix::io::Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// A file that is written piece by piece, at its end.
    pub fn append(&self, name: &str) -> io::Result<File> {
        Ok(self.open(name, OFlags::CREATE | OFlags::APPEND | OFlags::RDWR)?.into())
    }

    /// A file to read from, piece by piece; `None` if there is none.
    pub fn reader(&self, name: &str) -> io::Result<Option<File>> {
        match self.open(name, OFlags::RDONLY) {
            Ok(handle) => Ok(Some(handle.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a file; that there is none is fine.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.handle, plain(name)?, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The names of everything in it, in order.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let mode = if flags.contains(OFlags::CREATE) { FILE } else { Mode::empty() };
        Ok(rustix::fs::openat2(&self.handle, plain(name)?, flags | OFlags::CLOEXEC, mode, within)?)
    }

    /// The bytes in a file of a name that nobody else uses.
    fn part(&self, name: &str, bytes: &[u8]) -> io::Result<String> {
        let part = format!(".{}.{}", plain(name)?, ulid::Ulid::generate());
        let mut file =
            File::from(self.open(&part, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY)?);
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(part)
    }
}

/// Names are ours; one that leads elsewhere is a fault and goes no further.
fn plain(name: &str) -> io::Result<&str> {
    let elsewhere = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']);
    if elsewhere {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain name"))
    } else {
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files_are_private_and_whole() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::make(&root.path().join("a/b")).unwrap();
        folder.write("x", b"1").unwrap();
        folder.write("x", b"2").unwrap();
        assert_eq!(folder.read("x").unwrap().unwrap(), b"2");
        assert_eq!(folder.read("y").unwrap(), None);
        assert!(folder.write_new("lock", b"mine").unwrap());
        assert!(!folder.write_new("lock", b"theirs").unwrap());
        assert_eq!(folder.read("lock").unwrap().unwrap(), b"mine");
        assert_eq!(folder.names().unwrap(), ["lock", "x"]);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.path()), 0o700);
        assert_eq!(mode(&folder.path().join("x")), 0o600);
        assert_eq!(mode(folder.inner("deeper").unwrap().path()), 0o700);
    }

    #[test]
    fn nothing_leads_out_of_it() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("secret"), "s").unwrap();
        let folder = Folder::make(&root.path().join("in")).unwrap();
        std::os::unix::fs::symlink("../secret", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("..", folder.path().join("up")).unwrap();
        for name in ["../secret", "/etc/passwd", "..", ".", "", "a\0b", "link", "up/secret"] {
            assert!(folder.read(name).is_err(), "{name:?}");
        }
        assert!(folder.inner("up").is_err() && folder.append("link").is_err());
        assert_eq!(std::fs::read(root.path().join("secret")).unwrap(), b"s");
    }
}
