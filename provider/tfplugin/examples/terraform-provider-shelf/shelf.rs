//! The "remote system": a directory of JSON files.

use std::io;
use std::path::PathBuf;

use serde_json::Value;

/// What resources work with.
pub(crate) struct Shelf {
    directory: PathBuf,
    pub(crate) capacity: u32,
}

impl Shelf {
    pub(crate) fn new(directory: PathBuf, capacity: u32) -> Self {
        Self { directory, capacity }
    }

    pub(crate) fn put(&self, name: &str, content: &Value) -> io::Result<()> {
        std::fs::write(self.file(name), content.to_string())
    }

    pub(crate) fn find(&self, name: &str) -> io::Result<Option<Value>> {
        match std::fs::read(self.file(name)) {
            Ok(content) => Ok(Some(serde_json::from_slice(&content)?)),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.file(name)) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(fault),
            _ => Ok(()),
        }
    }

    /// How often the key of a box was renewed.
    pub(crate) fn renewals(&self, name: &str) -> io::Result<u64> {
        let key = self.find(&format!("{name}.key"))?.unwrap_or_default();
        Ok(key["renewed"].as_u64().unwrap_or_default())
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.file(from), self.file(to))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.json"))
    }
}
