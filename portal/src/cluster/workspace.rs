//! The folder of a cluster: the files that Terraform reads, made whole from the spec, and whether somebody edited them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use include_dir::{Dir, include_dir};
use sha2::{Digest as _, Sha256};

use super::Spec;
use super::folder::Folder;
use super::hcl::{self, Backend, Unfaithful};
use crate::ids::{ClusterId, RunId};
use crate::terraform::mirror::Provider;

static MODULE: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../modules/cluster");

/// Where the module's files lie in a workspace.
const MODULE_FOLDER: [&str; 2] = ["modules", "cluster"];
/// What was written last, by name and SHA-256.
const MANIFEST: &str = ".kubesmith.json";
/// What may lie beside the rendered files. Terraform reads no file whose name begins with a dot.
const OTHERS: [&str; 4] = ["modules", "state", "runs", "errored.tfstate"];

/// The rendered files, by their path in the workspace. `Display` of nothing: the bytes are what Terraform reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// All files of a cluster. The same spec gives the same files.
    pub fn render(spec: &Spec, backend: &Backend, provider: &Provider) -> Result<Self, Unfaithful> {
        let mut files = BTreeMap::new();
        files.insert("main.tf".to_owned(), hcl::main_tf(&spec.wanted, backend)?.into_bytes());
        let settings = format!("{:#}\n", hcl::tfvars(&spec.site));
        files.insert("terraform.tfvars.json".to_owned(), settings.into_bytes());
        files.insert(".terraform.lock.hcl".to_owned(), provider.lock_file().into_bytes());
        for file in MODULE.files() {
            let name = file.path().to_string_lossy();
            files.insert(format!("{}/{name}", MODULE_FOLDER.join("/")), file.contents().to_vec());
        }
        Ok(Self(files))
    }

    /// Each with its path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// The text of `main.tf`.
    pub fn main_tf(&self) -> String {
        self.0
            .get("main.tf")
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .unwrap_or_default()
    }

    fn hashes(&self) -> BTreeMap<String, String> {
        self.iter().map(|(name, bytes)| (name.to_owned(), hash(bytes))).collect()
    }
}

/// A cluster's folder.
#[derive(Debug)]
pub struct Workspace {
    folder: Folder,
}

impl Workspace {
    /// Opens the folder of a cluster under `root`; it is made if it is missing.
    pub fn open(root: &Path, cluster: &ClusterId) -> io::Result<Self> {
        Ok(Self { folder: Folder::make(root)?.inner(cluster.as_str())? })
    }

    /// Where Terraform runs.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder itself.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Where the state lies.
    pub fn state(&self) -> io::Result<Folder> {
        self.folder.inner("state")
    }

    /// Where a run keeps its files.
    pub fn run(&self, run: &RunId) -> io::Result<Folder> {
        self.folder.inner("runs")?.inner(run.as_str())
    }

    /// The files that are not as the portal wrote them: changed, removed, or put there by somebody else.
    pub fn edited(&self) -> io::Result<Vec<String>> {
        let Some(manifest) = self.folder.read(MANIFEST)? else { return Ok(Vec::new()) };
        let written: BTreeMap<String, String> =
            serde_json::from_slice(&manifest).unwrap_or_default();
        let mut edited = BTreeSet::new();
        for (path, hash_then) in &written {
            let now = self.read(path)?.map(|bytes| hash(&bytes));
            if now.as_ref() != Some(hash_then) {
                edited.insert(path.clone());
            }
        }
        let module = self.module()?;
        let seen = |name: &String| !name.starts_with('.') && !OTHERS.contains(&name.as_str());
        let there = self.folder.names()?.into_iter().filter(seen);
        let in_module = module
            .names()?
            .into_iter()
            .filter(seen)
            .map(|name| format!("{}/{name}", MODULE_FOLDER.join("/")));
        edited.extend(there.chain(in_module).filter(|path| !written.contains_key(path)));
        Ok(edited.into_iter().collect())
    }

    /// Writes all files, and removes what else Terraform would read.
    pub fn write(&self, files: &Files) -> io::Result<()> {
        for path in self.edited()? {
            let (folder, name) = self.place(&path)?;
            folder.remove(name)?;
        }
        for (path, bytes) in files.iter() {
            let (folder, name) = self.place(path)?;
            folder.write(name, bytes)?;
        }
        self.folder.write(MANIFEST, &serde_json::to_vec_pretty(&files.hashes())?)
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let (folder, name) = self.place(path)?;
        folder.read(name)
    }

    fn module(&self) -> io::Result<Folder> {
        self.folder.inner(MODULE_FOLDER[0])?.inner(MODULE_FOLDER[1])
    }

    fn place<'a>(&self, path: &'a str) -> io::Result<(Folder, &'a str)> {
        match path.rsplit_once('/') {
            None => Ok((Folder::make(self.path())?, path)),
            Some((_, name)) => Ok((self.module()?, name)),
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::samples::spec;
    use super::*;

    fn files() -> Files {
        let backend = Backend { address: "http://127.0.0.1/api/v1/clusters/x/state".into() };
        Files::render(&spec(), &backend, &Provider::sample()).unwrap()
    }

    #[test]
    fn a_folder_that_was_edited_by_hand_is_noticed_and_put_right() {
        let root = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(root.path(), &ClusterId::new()).unwrap();
        assert_eq!(workspace.edited().unwrap(), Vec::<String>::new(), "nothing was written yet");
        workspace.write(&files()).unwrap();
        assert_eq!(workspace.edited().unwrap(), Vec::<String>::new());

        let path = |name: &str| workspace.path().join(name);
        std::fs::write(path("main.tf"), "resource \"null_resource\" \"x\" {}").unwrap();
        std::fs::write(path("override.tf"), "").unwrap();
        std::fs::write(path("modules/cluster/extra.tf"), "").unwrap();
        std::fs::remove_file(path("terraform.tfvars.json")).unwrap();
        let edited = workspace.edited().unwrap();
        assert_eq!(
            edited,
            ["main.tf", "modules/cluster/extra.tf", "override.tf", "terraform.tfvars.json"]
        );

        workspace.write(&files()).unwrap();
        assert_eq!(workspace.edited().unwrap(), Vec::<String>::new());
        assert_eq!(std::fs::read_to_string(path("main.tf")).unwrap(), files().main_tf());
        assert!(!path("override.tf").exists() && !path("modules/cluster/extra.tf").exists());
    }

    #[test]
    fn the_module_stands_beside_main_tf() {
        let files = files();
        let names: Vec<_> = files.iter().map(|(name, _)| name).collect();
        for name in ["main.tf", "modules/cluster/variables.tf", "modules/cluster/versions.tf"] {
            assert!(names.contains(&name), "{names:?}");
        }
    }
}
