//! A run's log as it grows, for server-sent events: from any offset on, until the run has ended or the watcher may not look
//! any more.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::sse::Event;
use futures_util::Stream;
use http::StatusCode;
use tokio::sync::watch;
use tokio::time::Instant;

use super::ask;
use super::log::{self, Line};
use crate::App;
use crate::cluster::folder::Folder;
use crate::error::{Error, Result};
use crate::gate::{self, About};
use crate::ids::{PersonId, RunId};
use crate::rights::{Action, Actor};
use crate::store::runs::Run;

/// Rights are looked at again so often.
const RIGHTS: Duration = Duration::from_secs(30);
/// Something is sent at least so often, so that proxies and browsers know that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What comes faster is sent together.
const GATHER: Duration = Duration::from_millis(250);
/// Streams that one person may have open.
const EACH: usize = 4;
/// Streams that may be open at all.
const ALL: usize = 1_000;

/// The streams that are open.
#[derive(Clone, Default)]
pub struct Open(Arc<Mutex<HashMap<PersonId, usize>>>);

/// One of them; counts until it is dropped.
pub struct Place {
    open: Open,
    person: PersonId,
}

impl Open {
    /// Room for one more.
    pub fn enter(&self, person: &PersonId) -> Result<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = counts.values().sum();
        let own = counts.entry(person.clone()).or_default();
        if *own >= EACH {
            let detail = "You watch several runs already. Close a page that you don't need.";
            return Err(Error::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", detail));
        }
        if all >= ALL {
            let detail = "Too many people watch runs right now. Reload the page instead.";
            return Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail));
        }
        *own += 1;
        Ok(Place { open: self.clone(), person: person.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = counts.get_mut(&self.person) {
            *own -= 1;
            if *own == 0 {
                counts.remove(&self.person);
            }
        }
    }
}

/// What happened since the last look.
pub enum News {
    /// Lines, each with the offset behind it, and the run as it is now.
    Lines(Vec<(u64, Line)>, Box<Run>),
    /// Nothing.
    Heartbeat,
    /// The run has ended, like this, and all of it was told.
    End(Box<Run>),
}

/// Watches one run for one actor.
pub struct Watcher {
    app: App,
    actor: Actor,
    about: About,
    run: RunId,
    folder: Folder,
    changes: watch::Receiver<()>,
    offset: u64,
    checked: Instant,
    first: bool,
    ended: bool,
    _place: Place,
}

impl Watcher {
    /// From an offset on.
    pub fn new(app: &App, actor: &Actor, about: About, run: &Run, offset: u64) -> Result<Self> {
        let place = app.streams.enter(&actor.person)?;
        let folder = ask::workspace(app, &run.cluster)?.run(&run.id).map_err(Error::internal)?;
        Ok(Self {
            app: app.clone(),
            actor: actor.clone(),
            about,
            run: run.id.clone(),
            folder,
            changes: app.runs.watch(&run.id),
            offset,
            checked: Instant::now(),
            first: true,
            ended: false,
            _place: place,
        })
    }

    /// Waits for news; `None` when the stream is over.
    pub async fn next(&mut self) -> Option<News> {
        if self.ended {
            return None;
        }
        let quiet_since = Instant::now();
        loop {
            if self.checked.elapsed() >= RIGHTS {
                self.checked = Instant::now();
                let scope = &self.about.scope;
                gate::still(&self.app, &self.actor, Action::SeeCluster, scope).await.ok()?;
            }
            self.changes.borrow_and_update();
            // The state before the log: when it says that the run has ended, the log has all of it.
            let run = self.app.store.run(&self.run).await.ok()?;
            let lines = log::read(&self.folder, self.offset).ok()?;
            if let Some((offset, _)) = lines.last() {
                self.offset = *offset;
                self.first = false;
                // And once more after it: the state is never older than what the lines say of it.
                let run = self.app.store.run(&self.run).await.ok()?;
                return Some(News::Lines(lines, Box::new(run)));
            }
            if std::mem::take(&mut self.first) {
                return Some(News::Lines(lines, Box::new(run)));
            }
            if run.state.has_ended() {
                self.ended = true;
                return Some(News::End(Box::new(run)));
            }
            if quiet_since.elapsed() >= HEARTBEAT {
                return Some(News::Heartbeat);
            }
            tokio::select! {
                changed = self.changes.changed() => {
                    changed.ok()?;
                    tokio::time::sleep(GATHER).await;
                }
                () = tokio::time::sleep(Duration::from_secs(5)) => {}
                () = self.app.stopping.cancelled() => return None,
            }
        }
    }
}

/// The watcher's news as events of one kind or another.
pub fn events(
    watcher: Watcher,
    describe: impl FnMut(News) -> Vec<Event> + Send + 'static,
) -> impl Stream<Item = std::result::Result<Event, Infallible>> + Send {
    let start = (watcher, Vec::new().into_iter(), describe);
    futures_util::stream::unfold(start, async |(mut watcher, mut pending, mut describe)| {
        loop {
            if let Some(event) = pending.next() {
                return Some((Ok(event), (watcher, pending, describe)));
            }
            let news = watcher.next().await?;
            pending = describe(news).into_iter();
        }
    })
}

/// The news as JSON: every line with its offset as the event's id, so that a browser goes on where it was.
pub fn as_json(news: News) -> Vec<Event> {
    match news {
        News::Lines(lines, _) => lines
            .into_iter()
            .filter_map(|(offset, line)| {
                let text = serde_json::to_string(&line).ok()?;
                Some(Event::default().id(offset.to_string()).data(text))
            })
            .collect(),
        News::Heartbeat => vec![Event::default().comment("")],
        News::End(_) => vec![Event::default().event("end").data("")],
    }
}
