//! The objects: versions, watch history and one file that is always whole.

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use serde_json::Value;
use tokio::sync::broadcast;

/// How many changes a watch may be behind before it has to list again.
const HISTORY: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Added,
    Modified,
    Deleted,
}

/// One change of one object.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) version: u64,
    pub(super) change: Change,
    pub(super) key: Arc<str>,
    pub(super) object: Arc<Value>,
    /// What was there before, for a selector that it matched.
    pub(super) previous: Option<Arc<Value>>,
}

/// All objects of the cluster.
#[derive(Debug)]
pub(crate) struct Store {
    inner: Mutex<Inner>,
    events: broadcast::Sender<Event>,
    file: PathBuf,
}

#[derive(Debug, Default)]
struct Inner {
    objects: BTreeMap<Arc<str>, Arc<Value>>,
    version: u64,
    history: VecDeque<Event>,
}

impl Store {
    /// Opens the store, with what an earlier run left.
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let mut inner = Inner::default();
        if file.exists() {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("failed to read {}", file.display()))?;
            let saved: Value = serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged", file.display()))?;
            // Leases are not saved at each heartbeat: a gap keeps versions from being given out twice.
            inner.version = saved["version"].as_u64().unwrap_or(0) + 1000;
            for (key, object) in saved["objects"].as_object().into_iter().flatten() {
                inner.objects.insert(key.as_str().into(), Arc::new(object.clone()));
            }
        }
        let (events, _) = broadcast::channel(HISTORY);
        Ok(Self { inner: Mutex::new(inner), events, file: file.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The map is never left half changed, so a panic elsewhere does not spoil it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &str) -> Option<Arc<Value>> {
        self.lock().objects.get(key).cloned()
    }

    /// The objects below a prefix, and the version that this answer shows.
    pub(super) fn list(&self, prefix: &str) -> (Vec<Arc<Value>>, u64) {
        let inner = self.lock();
        (inner.below(prefix), inner.version)
    }

    /// Changes one object under the lock: `change` gets what is there and returns what shall be there.
    ///
    /// Nothing happens, and no event is sent, when it returns the same; versions are set here.
    pub(super) fn change<E>(
        &self,
        key: &str,
        change: impl FnOnce(Option<&Value>) -> Result<Option<Value>, E>,
    ) -> Result<Option<Arc<Value>>, E> {
        let mut inner = self.lock();
        let previous = inner.objects.get(key).cloned();
        let Some(mut next) = change(previous.as_deref())? else {
            if let Some(previous) = previous {
                inner.version += 1;
                inner.objects.remove(key);
                self.record(&mut inner, Change::Deleted, key, previous, None);
            }
            return Ok(None);
        };
        if let Some(previous) = &previous {
            next["metadata"]["resourceVersion"] = previous["metadata"]["resourceVersion"].clone();
            if **previous == next {
                return Ok(Some(Arc::clone(previous)));
            }
        }
        inner.version += 1;
        next["metadata"]["resourceVersion"] = inner.version.to_string().into();
        let object = Arc::new(next);
        inner.objects.insert(key.into(), Arc::clone(&object));
        let kind = if previous.is_some() { Change::Modified } else { Change::Added };
        self.record(&mut inner, kind, key, Arc::clone(&object), previous);
        Ok(Some(object))
    }

    /// Writes an object that the server itself owns.
    pub(super) fn put(&self, key: &str, object: Value) {
        let _ = self.change(key, |_| Ok::<_, std::convert::Infallible>(Some(object)));
    }

    pub(super) fn remove(&self, key: &str) {
        let _ = self.change(key, |_| Ok::<_, std::convert::Infallible>(None));
    }

    fn record(
        &self,
        inner: &mut Inner,
        change: Change,
        key: &str,
        object: Arc<Value>,
        previous: Option<Arc<Value>>,
    ) {
        let object = if change == Change::Deleted {
            let mut last = (*object).clone();
            last["metadata"]["resourceVersion"] = inner.version.to_string().into();
            Arc::new(last)
        } else {
            object
        };
        let event = Event { version: inner.version, change, key: key.into(), object, previous };
        inner.history.push_back(event.clone());
        if inner.history.len() > HISTORY {
            inner.history.pop_front();
        }
        // Nobody may be listening.
        let _ = self.events.send(event);
        // Leases change every few seconds and mean nothing after a restart.
        if !key.starts_with("coordination.k8s.io/") {
            self.save(inner);
        }
    }

    fn save(&self, inner: &Inner) {
        let objects: BTreeMap<&str, &Value> =
            inner.objects.iter().map(|(key, object)| (&**key, &**object)).collect();
        let text = serde_json::json!({"version": inner.version, "objects": objects}).to_string();
        if let Err(error) = super::paths::write_file(&self.file, text.as_bytes(), 0o600) {
            tracing::error!(%error, file = %self.file.display(), "failed to save the cluster's objects");
        }
    }

    /// Listens to changes: those after `since` that are remembered, and then those to come.
    ///
    /// `None` when `since` is further back than the memory goes.
    pub(super) fn watch(&self, since: u64) -> Option<(Vec<Event>, broadcast::Receiver<Event>)> {
        let inner = self.lock();
        let oldest = inner.history.front().map_or(inner.version + 1, |event| event.version);
        if since + 1 < oldest {
            return None;
        }
        let backlog = inner.history.iter().filter(|event| event.version > since).cloned().collect();
        Some((backlog, self.events.subscribe()))
    }

    /// What is below a prefix now, and every change from then on.
    pub(super) fn watch_from_now(
        &self,
        prefix: &str,
    ) -> (Vec<Arc<Value>>, u64, broadcast::Receiver<Event>) {
        let inner = self.lock();
        (inner.below(prefix), inner.version, self.events.subscribe())
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

impl Inner {
    fn below(&self, prefix: &str) -> Vec<Arc<Value>> {
        self.objects
            .range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::json;

    use super::*;

    #[test]
    fn objects_and_versions_survive_a_restart_and_watches_miss_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("etcd/store.json");
        let store = Store::open(&file).unwrap();
        store.put("/pods/x/a", json!({"metadata": {"name": "a"}}));
        let before = store.list("/pods/").1;
        store.put("/pods/x/b", json!({"metadata": {"name": "b"}}));
        // The same again is no change.
        store.put("/pods/x/b", json!({"metadata": {"name": "b"}}));
        store.remove("/pods/x/a");
        let (missed, _) = store.watch(before).unwrap();
        let missed: Vec<_> = missed.iter().map(|event| (event.change, &*event.key)).collect();
        assert_eq!(missed, [(Change::Added, "/pods/x/b"), (Change::Deleted, "/pods/x/a")]);

        let last = store.list("").1;
        let store = Store::open(&file).unwrap();
        assert_eq!(store.list("/pods/").0.len(), 1);
        assert!(store.watch(last).is_none(), "a watch from before the restart has to list again");
        let changed = store.change("/pods/x/b", |_| {
            Ok::<_, Infallible>(Some(json!({"metadata": {"name": "b"}, "x": 1})))
        });
        let version: u64 = changed.unwrap().unwrap()["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!(version > last, "versions are never given out twice");
    }
}
