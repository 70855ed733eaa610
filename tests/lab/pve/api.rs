//! What an endpoint is given and what it may answer.
//!
//! Proxmox VE puts nearly every error text into the HTTP reason phrase, so a refusal is a status and a message; only
//! parameter errors carry a map as well.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};

use serde_json::{Value, json};

use super::access::Principal;
use super::params::Params;
use super::state::State;
use super::world::World;

/// A request that got through authentication, permissions and parameter verification.
pub(crate) struct Call {
    pub(crate) world: Arc<World>,
    pub(crate) who: Principal,
    pub(crate) params: Params,
}

impl Call {
    /// The truth, locked. Endpoints hold it for one short moment and never across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.world.state()
    }

    /// The node of the URL.
    pub(crate) fn node(&self) -> &str {
        self.params.text("node")
    }

    /// Refuses an option that is for the user root@pam alone.
    pub(crate) fn no_root_option(&self, name: &str) -> Result<(), Refusal> {
        let is_set = self.params.get(name).is_some_and(|value| !matches!(value, "" | "0"));
        if is_set && !self.who.is_root() {
            return Err(Refusal::parameter(name, "Only root may use this option."));
        }
        Ok(())
    }

    /// The virtual machine of the URL.
    pub(crate) fn vmid(&self) -> u32 {
        self.params.number("vmid")
    }
}

/// An answer with status 200.
pub(crate) struct Reply {
    pub(crate) data: Value,
    pub(crate) total: Option<usize>,
}

impl From<Value> for Reply {
    fn from(data: Value) -> Self {
        Self { data, total: None }
    }
}

/// What an endpoint returns.
pub(crate) type Answer = Result<Reply, Refusal>;

/// The answer of an endpoint that has nothing to say.
pub(crate) fn done() -> Answer {
    Ok(Value::Null.into())
}

/// An answer with another status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) errors: BTreeMap<String, String>,
    pub(crate) body: Body,
}

/// What the body of a refusal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// The JSON envelope.
    Json,
    /// The message as text.
    Text,
    /// Nothing at all.
    Empty,
}

impl Refusal {
    /// What stands in a task's end when its work is refused like this.
    pub(crate) fn in_task(&self) -> String {
        let code = if self.status == 500 { String::new() } else { format!("{} ", self.status) };
        format!("{code}{}", self.message)
    }

    fn new(status: u16, message: impl Into<String>, body: Body) -> Self {
        Self { status, message: message.into(), errors: BTreeMap::new(), body }
    }

    /// 500: how Proxmox says nearly everything, "does not exist" included.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(500, message, Body::Json)
    }

    /// 403. An empty detail is the bare text, which names nothing.
    pub(crate) fn forbidden(detail: &str) -> Self {
        let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
        Self::new(403, format!("Permission check failed{detail}"), Body::Json)
    }

    /// Somebody changed what the request's digest was made of.
    pub(crate) fn modified() -> Self {
        Self::failed("detected modified configuration - file changed by other user? Try again.")
    }

    /// A user who is not there, wherever it is noticed.
    pub(crate) fn no_such_user(id: &str) -> Self {
        Self::failed(format!("no such user ('{id}')"))
    }

    /// 400 for one parameter.
    pub(crate) fn parameter(name: &str, message: impl Into<String>) -> Self {
        Self::parameters(BTreeMap::from([(name.to_owned(), message.into())]))
    }

    /// 400 for several parameters at once.
    pub(crate) fn parameters(errors: BTreeMap<String, String>) -> Self {
        Self { errors, ..Self::new(400, "Parameter verification failed.", Body::Json) }
    }

    /// 401 of the authentication step, whose text is only in the reason phrase.
    pub(crate) fn unauthenticated(reason: &str) -> Self {
        Self::new(401, reason, Body::Empty)
    }

    /// 401 of the login endpoint, which has a body.
    pub(crate) fn bad_login() -> Self {
        Self::new(401, "authentication failure", Body::Json)
    }

    /// 595 to 599: what the answering node says about the node it forwards to.
    pub(crate) fn forwarding(status: u16, reason: &str) -> Self {
        Self::new(status, reason, Body::Empty)
    }

    /// 501 or 506 from before any endpoint is reached.
    pub(crate) fn protocol(status: u16, message: impl Into<String>) -> Self {
        Self::new(status, message, Body::Text)
    }

    /// 501 for a path or method that does not exist, which alone of these has the envelope.
    pub(crate) fn not_implemented(method: &str, path: &str) -> Self {
        Self::new(501, format!("Method '{method} {path}' not implemented"), Body::Json)
    }

    /// The body's bytes; `bare` without the message.
    pub(crate) fn bytes(&self, bare: bool) -> Vec<u8> {
        match self.body {
            Body::Empty => Vec::new(),
            Body::Text => self.message.clone().into_bytes(),
            Body::Json => {
                // Messages of dying code end with a newline; the router's own does not.
                let end = if self.status == 501 { "" } else { "\n" };
                let mut body = json!({"data": null});
                if !bare {
                    body["message"] = format!("{}{end}", self.message).into();
                }
                if !self.errors.is_empty() {
                    body["errors"] = json!(self.errors);
                }
                body.to_string().into_bytes()
            }
        }
    }
}
