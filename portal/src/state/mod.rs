//! Terraform's state of a cluster: files in its workspace, with every version kept, one writer at a time.
//!
//! The portal's own runs, laptops and CI all come through here (`api/state.rs` speaks Terraform's protocol for it). What is
//! written must carry the lock, continue the history (lineage) and be newer (serial).

use std::io;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::cluster::exists::{self, NotAState, State};
use crate::cluster::folder::Folder;
use crate::time::Time;

const CURRENT: &str = "current.tfstate";
const LOCK: &str = "lock.json";
/// So many versions are kept beside the current one.
const KEPT: usize = 50;

/// Between looking and writing nobody else may write. Held for milliseconds, whatever the cluster.
static WRITING: Mutex<()> = Mutex::new(());

/// Who holds the lock of a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// What Terraform said of itself: its id, operation and host. Told to whoever finds the state locked.
    pub info: LockInfo,
    /// Who it is, as the portal knows it: `run 01J...`, or somebody's login.
    pub holder: String,
    /// Since when.
    pub since: Time,
}

/// Terraform's own words about a lock. Fields we do not know are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockInfo {
    /// Random, made by Terraform.
    #[serde(rename = "ID")]
    pub id: String,
    /// Everything else.
    #[serde(flatten)]
    pub others: serde_json::Map<String, serde_json::Value>,
}

/// Why a state was not written.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Somebody else writes.
    #[error("the state is locked by {}", .0.holder)]
    Locked(Box<Lock>),
    /// Nobody locked it before.
    #[error("lock the state before writing it; -lock=false is not possible here")]
    NotLocked,
    /// It is of another history.
    #[error(
        "the state has the lineage {theirs}, but this cluster's is {ours}: it belongs to something else"
    )]
    Lineage {
        /// What was sent.
        theirs: String,
        /// What is kept.
        ours: String,
    },
    /// It is older than what is kept.
    #[error("the state has the serial {theirs}, but {ours} is kept already")]
    Serial {
        /// What was sent.
        theirs: u64,
        /// What is kept.
        ours: u64,
    },
    /// It is none.
    #[error(transparent)]
    NotAState(#[from] NotAState),
    /// There are things in it, which would be forgotten.
    #[error("the state is not empty: destroy the cluster instead")]
    NotEmpty,
    /// The disk.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// A version of a state that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Its serial.
    pub serial: u64,
    /// The file's name.
    #[serde(skip)]
    pub name: String,
}

/// The state of one cluster.
#[derive(Debug)]
pub struct States {
    folder: Folder,
}

impl States {
    /// In the folder that [`crate::cluster::workspace::Workspace::state`] opens.
    pub fn new(folder: Folder) -> Self {
        Self { folder }
    }

    /// The current state as it was written.
    pub fn text(&self) -> io::Result<Option<Vec<u8>>> {
        self.folder.read(CURRENT)
    }

    /// Where the current state lies, for programs that read it.
    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join(CURRENT)
    }

    /// The current state, understood.
    pub fn current(&self) -> Result<Option<State>, Refused> {
        match self.text()? {
            Some(text) => Ok(Some(State::parse(&text)?)),
            None => Ok(None),
        }
    }

    /// Whether nothing stands in it, or there never was one.
    pub fn is_empty(&self) -> Result<bool, Refused> {
        Ok(self.current()?.is_none_or(|state| state.is_empty()))
    }

    /// Writes a state for the holder of the lock `id`.
    pub fn write(&self, id: Option<&str>, text: &[u8]) -> Result<(), Refused> {
        let state = State::parse(text)?;
        let _writing = hold();
        match (self.lock_of()?, id) {
            (Some(lock), Some(id)) if lock.info.id == id => {}
            (Some(lock), _) => return Err(Refused::Locked(Box::new(lock))),
            (None, _) => return Err(Refused::NotLocked),
        }
        self.accept(&state, text)
    }

    /// Takes what a run of ours left on disk because it could not be sent. The run has ended, and it held the lock.
    ///
    /// Terraform names the history of a first state only when it sends it; one that nobody got is called `lineage`.
    pub fn reconcile(&self, text: &[u8], lineage: &str) -> Result<(), Refused> {
        let _writing = hold();
        let named = match self.text()? {
            None => exists::named(text, lineage)?,
            Some(_) => text.to_owned(),
        };
        self.accept(&State::parse(&named)?, &named)
    }

    fn accept(&self, state: &State, text: &[u8]) -> Result<(), Refused> {
        if let Some(kept) = self.current()? {
            if kept.lineage != state.lineage {
                let (theirs, ours) = (state.lineage.clone(), kept.lineage);
                return Err(Refused::Lineage { theirs, ours });
            }
            let same = kept.serial == state.serial && self.text()?.as_deref() == Some(text);
            if same {
                return Ok(());
            }
            if state.serial <= kept.serial {
                return Err(Refused::Serial { theirs: state.serial, ours: kept.serial });
            }
        }
        let versions = self.folder.inner("versions")?;
        versions.write(&format!("{:012}.tfstate", state.serial), text)?;
        self.folder.write(CURRENT, text)?;
        let names = versions.names()?;
        for name in &names[..names.len().saturating_sub(KEPT)] {
            versions.remove(name)?;
        }
        Ok(())
    }

    /// Forgets a state in which nothing stands; its versions stay.
    pub fn delete(&self) -> Result<(), Refused> {
        let _writing = hold();
        if let Some(lock) = self.lock_of()? {
            return Err(Refused::Locked(Box::new(lock)));
        }
        if !self.is_empty()? {
            return Err(Refused::NotEmpty);
        }
        Ok(self.folder.remove(CURRENT)?)
    }

    /// The versions that are kept, newest first.
    pub fn versions(&self) -> io::Result<Vec<Version>> {
        let names = self.folder.inner("versions")?.names()?.into_iter().rev();
        let version = |name: String| {
            let serial = name.strip_suffix(".tfstate")?.parse().ok()?;
            Some(Version { serial, name })
        };
        Ok(names.filter_map(version).collect())
    }

    /// Who holds the lock.
    pub fn lock_of(&self) -> io::Result<Option<Lock>> {
        let Some(text) = self.folder.read(LOCK)? else { return Ok(None) };
        serde_json::from_slice(&text).map(Some).map_err(io::Error::other)
    }

    /// Takes the lock; the same lock may be taken again, because an answer may have been lost.
    pub fn lock(&self, info: LockInfo, holder: &str) -> Result<(), Refused> {
        let lock = Lock { info, holder: holder.to_owned(), since: Time::now() };
        if self.folder.write_new(LOCK, &serde_json::to_vec(&lock).map_err(io::Error::other)?)? {
            return Ok(());
        }
        match self.lock_of()? {
            Some(held) if held.info.id == lock.info.id && held.holder == lock.holder => Ok(()),
            Some(held) => Err(Refused::Locked(Box::new(held))),
            // Let go in this very moment: Terraform asks again.
            None => Err(Refused::Locked(Box::new(lock))),
        }
    }

    /// Lets go of the lock `id`. That it is free already is fine.
    pub fn unlock(&self, id: &str) -> Result<(), Refused> {
        let _writing = hold();
        match self.lock_of()? {
            Some(lock) if lock.info.id != id => Err(Refused::Locked(Box::new(lock))),
            Some(_) => Ok(self.folder.remove(LOCK)?),
            None => Ok(()),
        }
    }

    /// Lets go of whatever lock this holder has: its process is known to have ended.
    pub fn unlock_of(&self, holder: &str) -> io::Result<bool> {
        let _writing = hold();
        let held = self.lock_of()?.is_some_and(|lock| lock.holder == holder);
        if held {
            self.folder.remove(LOCK)?;
        }
        Ok(held)
    }
}

fn hold() -> std::sync::MutexGuard<'static, ()> {
    WRITING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states() -> (tempfile::TempDir, States) {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::make(root.path()).unwrap();
        (root, States::new(folder))
    }

    fn state(lineage: &str, serial: u64) -> Vec<u8> {
        format!(r#"{{"version":4,"serial":{serial},"lineage":"{lineage}","resources":[]}}"#)
            .into_bytes()
    }

    fn lock(id: &str) -> LockInfo {
        serde_json::from_value(serde_json::json!({"ID": id, "Who": "me@laptop"})).unwrap()
    }

    #[test]
    fn one_writer_at_a_time() {
        let (_root, states) = states();
        assert!(states.text().unwrap().is_none() && states.is_empty().unwrap());
        assert!(matches!(states.write(None, &state("a", 1)), Err(Refused::NotLocked)));
        states.lock(lock("1"), "anna").unwrap();
        states.lock(lock("1"), "anna").unwrap();
        let Err(Refused::Locked(held)) = states.lock(lock("2"), "run x") else { panic!() };
        assert_eq!(
            (held.holder.as_str(), held.info.others["Who"].as_str()),
            ("anna", Some("me@laptop"))
        );
        for id in [None, Some("2")] {
            assert!(matches!(states.write(id, &state("a", 1)), Err(Refused::Locked(_))));
        }
        states.write(Some("1"), &state("a", 1)).unwrap();
        assert!(matches!(states.unlock("2"), Err(Refused::Locked(_))));
        states.unlock("1").unwrap();
        states.unlock("1").unwrap();
    }

    #[test]
    fn a_state_goes_on_where_it_was() {
        let (_root, states) = states();
        states.lock(lock("1"), "anna").unwrap();
        let write = |text: &[u8]| states.write(Some("1"), text);
        write(&state("a", 3)).unwrap();
        write(&state("a", 3)).unwrap();
        let mut other = state("a", 3);
        other.push(b'\n');
        assert!(matches!(write(&other), Err(Refused::Serial { theirs: 3, ours: 3 })));
        assert!(matches!(write(&state("a", 2)), Err(Refused::Serial { .. })));
        assert!(matches!(write(&state("b", 4)), Err(Refused::Lineage { .. })));
        assert!(matches!(write(b"{}"), Err(Refused::NotAState(_))));
        write(&state("a", 10)).unwrap();
        let serials: Vec<_> =
            states.versions().unwrap().iter().map(|version| version.serial).collect();
        assert_eq!(serials, [10, 3]);
        assert!(matches!(states.delete(), Err(Refused::Locked(_))));
        states.unlock("1").unwrap();
        states.delete().unwrap();
        assert_eq!(states.versions().unwrap().len(), 2, "history stays");
    }

    #[test]
    fn what_could_not_be_sent_is_taken_also_if_it_is_the_first_state_of_all() {
        let (_root, states) = states();
        let unnamed = br#"{"version":4,"serial":0,"lineage":"","resources":[]}"#;
        states.reconcile(unnamed, "run x").unwrap();
        let kept = states.current().unwrap().unwrap();
        assert_eq!((kept.lineage.as_str(), kept.serial), ("run x", 0));
        assert!(matches!(states.reconcile(unnamed, "run y"), Err(Refused::NotAState(_))));
        states.reconcile(&state("run x", 1), "run y").unwrap();
        assert!(matches!(
            states.reconcile(&state("run y", 2), "run y"),
            Err(Refused::Lineage { .. })
        ));
        let (_root, states) = self::states();
        states.reconcile(&state("a", 3), "run x").unwrap();
        assert_eq!(states.current().unwrap().unwrap().lineage, "a");
    }

    #[test]
    fn the_lock_of_a_run_that_is_dead_is_let_go_and_no_other() {
        let (_root, states) = states();
        states.lock(lock("1"), "run x").unwrap();
        assert!(!states.unlock_of("run y").unwrap());
        assert!(states.unlock_of("run x").unwrap());
        assert!(states.lock_of().unwrap().is_none());
    }
}
