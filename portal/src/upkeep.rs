//! What an operator does beside serving: a first configuration, a backup, and proof that a backup is one.
//!
//! A backup is a folder: the database as it was at one instant, and a copy of every workspace. A workspace's state changes only
//! by whole files that are renamed into place, so that a copy never holds half of one; a run that is under way while the copy
//! is made is finished or repaired after a restore like after any other restart.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::config::{COMMENTED, Config};
use crate::store;
use crate::time::Time;

/// What a backup says of itself.
const MANIFEST: &str = "manifest.json";

#[derive(Serialize, Deserialize)]
struct Manifest {
    version: u32,
    made_at: Time,
    /// Path in the backup and SHA-256, ascending.
    files: Vec<(String, String)>,
}

/// Writes the commented configuration; never over a file that is there.
pub fn init(path: &Path) -> anyhow::Result<()> {
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(path).with_context(
            || format!("could not make {}: this never overwrites a file", path.display()),
        )?;
    std::io::Write::write_all(&mut file, COMMENTED.as_bytes())?;
    Ok(())
}

/// Copies everything into a folder that does not exist yet. The portal may go on serving.
pub async fn backup(config: &Config, to: &Path) -> anyhow::Result<usize> {
    ensure!(config.database().is_file(), "there is no database at {}", config.database().display());
    make_folder(to).with_context(|| {
        format!("could not make {}: a backup never goes into a folder that is there", to.display())
    })?;
    store::copy(&config.database(), &to.join("portal.sqlite")).await?;
    restrict(&to.join("portal.sqlite"))?;
    if config.workspaces().is_dir() {
        copy_tree(&config.workspaces(), &to.join("workspaces"))?;
    }
    let files = hashes(to)?;
    let count = files.len();
    let manifest = Manifest { version: 1, made_at: Time::now(), files };
    write_private(&to.join(MANIFEST), &serde_json::to_vec_pretty(&manifest)?)?;
    Ok(count)
}

/// Whether a backup is whole and its database sound. Says what it holds.
pub async fn verify(backup: &Path) -> anyhow::Result<String> {
    let path = backup.join(MANIFEST);
    let text = fs::read(&path)
        .with_context(|| format!("could not read {}: is this a backup?", path.display()))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?;
    ensure!(
        manifest.version == 1,
        "this backup is of version {}; this program knows version 1",
        manifest.version
    );
    let found = hashes(backup)?;
    for (file, hash) in &manifest.files {
        match found.binary_search_by(|(other, _)| other.cmp(file)) {
            Err(_) => bail!("{file} is missing"),
            Ok(at) => ensure!(found[at].1 == *hash, "{file} was changed after the backup was made"),
        }
    }
    if let Some((extra, _)) =
        found.iter().find(|(file, _)| manifest.files.iter().all(|(known, _)| known != file))
    {
        bail!("{extra} is no part of the backup");
    }
    let counts = store::check(&backup.join("portal.sqlite")).await?;
    Ok(format!("whole, made {}: {} files, {counts}", manifest.made_at, manifest.files.len()))
}

/// Puts a backup back, where nothing is yet.
pub async fn restore(config: &Config, backup: &Path) -> anyhow::Result<String> {
    let holds = verify(backup).await?;
    let there = [config.database(), config.workspaces()].into_iter().find(|path| path.exists());
    if let Some(path) = there {
        bail!(
            "{} is there already: move it away first, so that nothing is lost by a restore",
            path.display()
        );
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.data)?;
    if backup.join("workspaces").is_dir() {
        copy_tree(&backup.join("workspaces"), &config.workspaces())?;
    }
    // Last: a database without its workspaces would be believed.
    copy_file(&backup.join("portal.sqlite"), &config.database())?;
    Ok(holds)
}

fn make_folder(path: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    make_folder(to).with_context(|| format!("could not make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("could not read {}", from.display()))? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_file() {
            copy_file(&source, &target)?;
        }
        // Links are made again by the next run; following them could leave the folder.
    }
    Ok(())
}

/// A file that vanished since the folder was listed is none of ours any more.
fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    match fs::copy(from, to) {
        Ok(_) => restrict(to),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error)
            .with_context(|| format!("could not copy {} to {}", from.display(), to.display())),
    }
}

fn restrict(path: &Path) -> anyhow::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .with_context(|| format!("could not restrict {}", path.display()))
}

fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    std::io::Write::write_all(&mut file, content)?;
    Ok(file.sync_all()?)
}

/// Every file but the manifest, by its path, ascending.
fn hashes(root: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.as_os_str() != MANIFEST {
                let hash = Sha256::digest(fs::read(root.join(&path))?);
                files.push((path.to_string_lossy().into_owned(), hex::encode(hash)));
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}
