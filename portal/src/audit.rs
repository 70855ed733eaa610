//! One row in the log per request that changes something: added before it is served, completed after.
//!
//! If the row can't be written the request is not served. If the portal dies in between, the row stays without a result,
//! which says exactly what is known.

use std::sync::{Arc, Mutex, PoisonError};

use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use serde_json::Value;

use crate::App;
use crate::error::Error;
use crate::rights::{Action, Actor, Via};
use crate::store::audit::{Begun, Target};

/// What a handler adds to the row: which thing it turned out to be about, and more of it. Never a secret.
#[derive(Debug, Clone, Default)]
pub struct Note(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    who: Option<(String, Option<String>, String)>,
    target: Option<Target>,
    detail: Option<Value>,
}

impl Note {
    /// What the request is about, if the path doesn't say it or not by name.
    pub fn target(&self, kind: &str, id: &impl ToString, name: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).target =
            Some(Target { kind: kind.to_owned(), id: id.to_string(), name: name.into() });
    }

    /// More of it: what was changed, from what to what.
    pub fn detail(&self, detail: Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).detail = Some(detail);
    }

    /// Who it turned out to be, where nobody was signed in.
    pub fn who(&self, login: impl Into<String>, person: Option<String>, via: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).who =
            Some((login.into(), person, via.to_owned()));
    }

    fn take(&self) -> Noted {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The row of one request.
pub struct Trace<'a> {
    app: &'a App,
    action: Action,
    wanted: bool,
    actor: Option<&'a Actor>,
    target: Target,
    request: &'a str,
    address: &'a str,
}

impl<'a> Trace<'a> {
    /// Whether there will be a row depends on the method, and on whether secrets are read.
    pub fn new(
        app: &'a App,
        action: Action,
        method: &Method,
        actor: Option<&'a Actor>,
        target: Target,
        request: &'a str,
        address: &'a str,
    ) -> Self {
        let run = matches!(actor, Some(Actor { via: Via::Run { .. }, .. }));
        let wanted = !method.is_safe() || (action == Action::ReadState && !run);
        Self { app, action, wanted, actor, target, request, address }
    }

    /// The actor was not let in. Strangers leave no row: they could fill the disk.
    pub async fn refused(self, error: Error) -> Response {
        if self.wanted && self.actor.is_some() {
            let status = error.problem().status;
            let written = match self.begin(None).await {
                Ok(row) => self.complete(row, None, status, None).await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                return Error::internal(error).into_response();
            }
        }
        error.into_response()
    }

    /// Serves the request between the row's two halves.
    pub async fn around(self, note: Note, serving: impl Future<Output = Response>) -> Response {
        if !self.wanted {
            return serving.await;
        }
        // Nobody is signed in yet: the handler finds out who it is.
        let begun = if self.actor.is_none() { None } else { Some(self.begin(None).await) };
        if let Some(Err(error)) = begun {
            return Error::internal(error).into_response();
        }
        let response = serving.await;
        let Noted { who, target, detail } = note.take();
        let status = response.status();
        let row = match begun {
            Some(row) => row,
            None if status == StatusCode::TOO_MANY_REQUESTS => return response,
            None => self.begin(who.as_ref()).await,
        };
        let completed = match row {
            Ok(row) => self.complete(row, target, status, detail).await,
            Err(error) => Err(error),
        };
        if let Err(error) = completed {
            tracing::error!(
                request = self.request,
                ?error,
                "a row of the audit log could not be completed"
            );
        }
        response
    }

    async fn begin(
        &self,
        who: Option<&(String, Option<String>, String)>,
    ) -> Result<i64, sqlx::Error> {
        let (person, login, via) = match (self.actor, who) {
            (Some(actor), _) => (Some(actor.person.as_str()), actor.login.as_str(), via(actor)),
            (None, Some((login, person, via))) => (person.as_deref(), login.as_str(), via.clone()),
            (None, None) => (None, "", String::new()),
        };
        let action = action_name(self.action);
        let begun = Begun {
            request: self.request,
            person,
            login,
            via: &via,
            action: &action,
            target: self.target.clone(),
            address: self.address,
        };
        self.app.store.begin_audit(begun).await
    }

    async fn complete(
        &self,
        row: i64,
        target: Option<Target>,
        status: StatusCode,
        detail: Option<Value>,
    ) -> Result<(), sqlx::Error> {
        let result = match status.as_u16() {
            200..=399 => "done",
            401 | 403 | 404 => "refused",
            _ => "failed",
        };
        let detail = detail.map(|detail| detail.to_string());
        self.app.store.complete_audit(row, target, result, status.as_u16(), detail.as_deref()).await
    }
}

/// How an actor proved who they are, without anything secret.
fn via(actor: &Actor) -> String {
    match &actor.via {
        Via::Session(id) => format!("session {id}"),
        Via::Key { id, .. } => format!("key ks_{id}"),
        Via::Run { run, .. } => format!("run {run}"),
    }
}

/// As it stands in the log: `change_cluster`.
pub fn action_name(action: Action) -> String {
    match serde_json::to_value(action) {
        Ok(Value::String(name)) => name,
        _ => format!("{action:?}"),
    }
}
