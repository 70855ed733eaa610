//! Watches: what is there (when asked for), then each change as one line of JSON, until the time is over.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_util::stream;
use http::{HeaderValue, Response, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};

use super::{
    Store,
    reply::{Refusal, Reply},
    resources::Resource,
    route::{Query, Target},
    select::Selector,
    store::{Change, Event},
    table,
};

/// A watch that names no time ends after this; clients ask again.
const DEFAULT_TIME: Duration = Duration::from_mins(30);

/// What one watch sees and how it tells it.
struct View {
    resource: &'static Resource,
    prefix: String,
    selector: Selector,
    table: bool,
}

/// The state of a running watch, between two of its lines.
struct Running {
    view: View,
    pending: std::collections::VecDeque<Value>,
    events: Receiver<Event>,
    end: Instant,
    /// Older changes are part of what the watch began with.
    seen: u64,
}

/// Starts a watch.
pub(super) fn start(
    store: &Arc<Store>,
    target: &Target,
    query: &Query,
    accept: &str,
) -> Result<Reply, Refusal> {
    let view = View {
        resource: target.resource,
        prefix: target.resource.prefix(&target.namespace),
        selector: Selector::of(query, target.name.as_deref())?,
        table: table::wanted(accept),
    };
    let since = query.get("resourceVersion").map_or("", String::as_str);
    let initial = query.get("sendInitialEvents").is_some_and(|value| value == "true");
    let mut pending = std::collections::VecDeque::new();
    let (events, seen);
    if since.is_empty() || since == "0" || initial {
        let (objects, version, receiver) = store.watch_from_now(&view.prefix);
        for object in objects.iter().filter(|object| view.selector.matches(object)) {
            pending.push_back(view.line("ADDED", object));
        }
        if initial {
            pending.push_back(json!({"type": "BOOKMARK", "object": {
                "kind": view.resource.kind, "apiVersion": view.resource.api_version(),
                "metadata": {"resourceVersion": version.to_string(), "annotations": {"k8s.io/initial-events-end": "true"}},
            }}));
        }
        (events, seen) = (receiver, version);
    } else {
        let since: u64 = since.parse().map_err(|_| {
            Refusal::bad_request(format!("resourceVersion: Invalid value: \"{since}\""))
        })?;
        let expired = || Refusal::new(410, "Expired", format!("too old resource version: {since}"));
        let (backlog, receiver) = store.watch(since).ok_or_else(expired)?;
        seen = backlog.last().map_or(since, |event| event.version);
        pending.extend(backlog.iter().filter_map(|event| view.of(event)));
        events = receiver;
    }
    let time = query
        .get("timeoutSeconds")
        .and_then(|value| value.parse().ok())
        .map_or(DEFAULT_TIME, Duration::from_secs);
    let running = Running { view, pending, events, end: Instant::now() + time, seen };
    let lines = stream::unfold(running, |mut running| async move {
        let line = running.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(format!("{line}\n")))), running))
    });
    let mut response = Response::new(StreamBody::new(lines).boxed());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

impl Running {
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(line) = self.pending.pop_front() {
                return Some(line);
            }
            match tokio::time::timeout_at(self.end, self.events.recv()).await {
                Ok(Ok(event)) if event.version > self.seen => {
                    self.pending.extend(self.view.of(&event));
                }
                Ok(Ok(_)) => {}
                Ok(Err(RecvError::Lagged(_))) => {
                    self.end = Instant::now();
                    return Some(
                        json!({"type": "ERROR", "object": Refusal::new(410, "Expired", "the watch fell behind").status()}),
                    );
                }
                Ok(Err(RecvError::Closed)) | Err(_) => return None,
            }
        }
    }
}

impl View {
    /// The line for a change, if this watch sees it. An object that no longer matches is gone from the watch's view.
    fn of(&self, event: &Event) -> Option<Value> {
        if !event.key.starts_with(&self.prefix) {
            return None;
        }
        let now = event.change != Change::Deleted && self.selector.matches(&event.object);
        let before = match (&event.previous, event.change) {
            (Some(previous), _) => self.selector.matches(previous),
            (None, Change::Deleted) => self.selector.matches(&event.object),
            (None, _) => false,
        };
        let kind = match (before, now) {
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
            (false, false) => return None,
        };
        Some(self.line(kind, &event.object))
    }

    fn line(&self, kind: &str, object: &Arc<Value>) -> Value {
        if self.table {
            return json!({"type": kind, "object": table::render(self.resource, &[Arc::clone(object)], None)});
        }
        json!({"type": kind, "object": **object})
    }
}
