//! The playbooks and roles, carried inside this program, so that provider and roles always fit.

use std::io;
use std::path::Path;

use include_dir::{Dir, include_dir};

static CONTENT: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../ansible");

/// Writes them into this folder.
pub(crate) fn unpack(folder: &Path) -> io::Result<()> {
    std::fs::create_dir(folder)?;
    CONTENT.extract(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_playbook_that_is_run_is_there() {
        let folder = tempfile::tempdir().unwrap();
        unpack(&folder.path().join("ansible")).unwrap();
        for file in [
            "ansible.cfg",
            "site.yml",
            "remove.yml",
            "kubeconfig.yml",
            "callback_plugins/kubesmith_events.py",
        ] {
            assert!(folder.path().join("ansible").join(file).is_file(), "{file}");
        }
    }
}
