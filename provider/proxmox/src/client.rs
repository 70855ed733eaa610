//! The one request function, and what all requests share: endpoints, token, trust, limits.

use std::collections::{BTreeMap, HashMap};
use std::error::Error as StdError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::ext::ReasonPhrase;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::{Host, Url};

use crate::endpoints::Endpoints;
use crate::error::{Class, Error};
use crate::login::Credentials;
use crate::retry::Deadline;
use crate::tls::{self, Trust};
use crate::wire;

/// Requests in flight per node. A node has three workers, and each runs one call at a time.
const REQUESTS_PER_NODE: usize = 4;

/// Clones at a time per storage. More of them run into the storage's lock, whose waiters give up after ten seconds.
const CLONES_PER_STORAGE: usize = 3;

/// The server closes idle connections after 5 seconds; a request on such a one would have an unknown outcome.
const IDLE: Duration = Duration::from_secs(3);

/// A Proxmox cluster's API. Cloning it is cheap, and clones share connections and limits.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    http: reqwest::Client,
    endpoints: Endpoints,
    /// Counts the beginning and the end of every request that changes something.
    changes: AtomicU64,
    nodes: Slots,
    clones: Slots,
}

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub struct Options {
    /// `https://host:8006` of one node or several; the next is tried when one cannot be reached.
    pub endpoints: Vec<Url>,
    /// Who we are.
    pub credentials: Credentials,
    /// Who they are.
    pub trust: Trust,
    /// Time for a connection.
    pub connect_timeout: Duration,
    /// Time for one request. Proxmox's own limit between its nodes is 30 seconds.
    pub request_timeout: Duration,
    /// Shown in the server's access log.
    pub user_agent: String,
}

/// Leave to begin another clone on a storage. Keep it until the clone's task has ended.
#[derive(Debug)]
pub struct Permit {
    _slot: OwnedSemaphorePermit,
}

impl Options {
    /// System roots, usual timeouts.
    pub fn new(endpoints: Vec<Url>, credentials: impl Into<Credentials>) -> Self {
        Self {
            endpoints,
            credentials: credentials.into(),
            trust: Trust::SystemRoots,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(45),
            user_agent: concat!("kubesmith/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl Client {
    /// Make a client. Nothing is sent yet.
    pub fn new(options: Options) -> Result<Self, Error> {
        let Options { endpoints, credentials, trust, connect_timeout, request_timeout, user_agent } =
            options;
        if endpoints.is_empty() {
            return Err(Error::local(Class::Malformed, "no endpoint is given"));
        }
        for endpoint in &endpoints {
            if !endpoint.username().is_empty() || endpoint.password().is_some() {
                let message = "the endpoint must not hold a user or a password";
                return Err(Error::local(Class::Malformed, message));
            }
            // Plain HTTP would show the token to the network; on the loopback there is no network.
            if endpoint.scheme() != "https"
                && !(endpoint.scheme() == "http" && is_loopback(endpoint))
            {
                return Err(Error::local(
                    Class::Malformed,
                    format!("the endpoint {endpoint} must begin with https://"),
                ));
            }
        }
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(&trust)?)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(IDLE)
            .connect_timeout(connect_timeout)
            .timeout(request_timeout)
            .user_agent(user_agent)
            .default_headers(credentials.headers());
        if endpoints.iter().all(is_loopback) {
            builder = builder.no_proxy();
        }
        let http =
            builder.build().map_err(|error| Error::local(Class::Malformed, root_cause(&error)))?;
        Ok(Self(Arc::new(Shared {
            http,
            endpoints: Endpoints::new(endpoints),
            changes: AtomicU64::new(0),
            nodes: Slots::new(REQUESTS_PER_NODE),
            clones: Slots::new(CLONES_PER_STORAGE),
        })))
    }

    /// Wait for leave to begin another clone on this storage.
    pub async fn clone_slot(&self, storage: &str, deadline: &Deadline) -> Result<Permit, Error> {
        Ok(Permit { _slot: deadline.bound(self.0.clones.take(storage)).await? })
    }

    /// A number that is another one as soon as this client changes something: what was seen before is then out of date.
    pub fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    pub(crate) async fn send<T: DeserializeOwned>(&self, request: Request) -> Result<T, Error> {
        Ok(self.answer(request).await?.data)
    }

    /// The one request function.
    pub(crate) async fn answer<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<Answer<T>, Error> {
        let _slot = self.0.nodes.take(request.node()).await;
        let started = Instant::now();
        let change = (request.method != Method::GET).then(|| Change::begin(&self.0.changes));
        let result = self.deliver(&request).await;
        drop(change);
        let status = result.as_ref().map_or_else(Error::status, |_| Some(200));
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (method, path) = (request.method.as_str(), request.shown_path());
        tracing::debug!(method, path, status, ms, "proxmox");
        result.map_err(|error| {
            let error = error.in_request(method, &path);
            if request.method == Method::GET { error.of_a_read() } else { error }
        })
    }

    /// Try the endpoints in turn, beginning with the one that worked last, as long as a request was not delivered. A
    /// question may be asked again even if it is not known whether it was heard; anything else may not.
    async fn deliver<T: DeserializeOwned>(&self, request: &Request) -> Result<Answer<T>, Error> {
        let endpoints = &self.0.endpoints;
        let mut failure = None;
        for index in endpoints.order() {
            let endpoint = &endpoints.urls[index];
            let mut result = self.attempt(endpoint, request).await;
            // The server may close a connection in the instant in which it is used again.
            if request.method == Method::GET
                && result.as_ref().is_err_and(|error| error.is_unknown_outcome() && error.is_cut())
            {
                result = self.attempt(endpoint, request).await;
            }
            match result {
                Err(error) if error.status().is_none() && error.is_unreachable() => {
                    endpoints.rest(index);
                    failure = failure.or(Some(error));
                }
                done => {
                    // One that does not answer in time may be dead; whoever looks what became of it asks another.
                    match &done {
                        Err(error) if error.status().is_none() => endpoints.rest(index),
                        _ => endpoints.worked(index),
                    }
                    return done;
                }
            }
        }
        Err(failure.expect("there is at least one endpoint"))
    }

    async fn attempt<T: DeserializeOwned>(
        &self,
        endpoint: &Url,
        request: &Request,
    ) -> Result<Answer<T>, Error> {
        // People copy the address with the path of the API at its end.
        let base = endpoint.as_str().trim_end_matches('/').trim_end_matches("/api2/json");
        let mut url = format!("{base}/api2/json/{}", request.path.join("/"));
        let parameters = wire::encode_pairs(&request.parameters);
        let has_body = matches!(request.method, Method::POST | Method::PUT);
        if !has_body && !parameters.is_empty() {
            url = format!("{url}?{parameters}");
        }
        let mut builder = self.0.http.request(request.method.clone(), url);
        if has_body {
            // Said explicitly, because hyper says nothing about an empty body.
            builder = builder
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(CONTENT_LENGTH, parameters.len())
                .body(parameters);
        }
        let response = builder.send().await.map_err(|error| transport(endpoint, &error))?;

        let status = response.status();
        let reason = response.extensions().get::<ReasonPhrase>();
        let reason = reason.map(|phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned());
        let reason =
            reason.unwrap_or_else(|| status.canonical_reason().unwrap_or_default().to_owned());
        let server_time =
            response.headers().get(DATE).and_then(|date| date.to_str().ok()).and_then(unix_time);
        // The status of a refusal counts even if its body is cut off.
        let body = match response.text().await {
            Ok(body) => body,
            Err(_) if status != StatusCode::OK => String::new(),
            Err(error) => {
                return Err(Error::local(
                    Class::UnknownOutcome,
                    format!("the answer was cut off: {}", root_cause(&error)),
                )
                .cut());
            }
        };
        if !status.is_success() {
            return Err(refused(status.as_u16(), &reason, &body));
        }
        let Envelope { data } = serde_json::from_str(&body).map_err(|error| {
            Error::local(
                Class::Malformed,
                format!("{endpoint} does not answer like Proxmox VE: {error}"),
            )
        })?;
        Ok(Answer { data, server_time })
    }
}

/// A call: method, path, parameters. They travel in the query for GET and DELETE and in a form otherwise.
pub(crate) struct Request {
    method: Method,
    /// Encoded segments below `/api2/json`.
    path: Vec<String>,
    parameters: Vec<(String, String)>,
}

pub(crate) struct Answer<T> {
    pub(crate) data: T,
    /// The server's clock, in seconds since 1970.
    pub(crate) server_time: Option<i64>,
}

pub(crate) fn get(path: &[&str]) -> Request {
    Request::new(Method::GET, path)
}

pub(crate) fn post(path: &[&str]) -> Request {
    Request::new(Method::POST, path)
}

pub(crate) fn put(path: &[&str]) -> Request {
    Request::new(Method::PUT, path)
}

pub(crate) fn delete(path: &[&str]) -> Request {
    Request::new(Method::DELETE, path)
}

impl Request {
    fn new(method: Method, path: &[&str]) -> Self {
        Self {
            method,
            path: path.iter().map(|segment| wire::encode(segment)).collect(),
            parameters: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn with_all(mut self, parameters: Vec<(String, String)>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// The node that has to do the work, or nothing if any of them does it.
    fn node(&self) -> &str {
        match &self.path[..] {
            [nodes, node, ..] if nodes == "nodes" => node,
            _ => "",
        }
    }

    fn shown_path(&self) -> String {
        format!(
            "/{}",
            self.path.iter().map(|segment| wire::decode(segment)).collect::<Vec<_>>().join("/")
        )
    }
}

/// A request that changes something, from its beginning to its end, even if nobody waits for the end.
struct Change<'a>(&'a AtomicU64);

impl<'a> Change<'a> {
    fn begin(changes: &'a AtomicU64) -> Self {
        changes.fetch_add(1, Ordering::AcqRel);
        Self(changes)
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// Named semaphores.
struct Slots {
    each: usize,
    by_name: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Slots {
    fn new(each: usize) -> Self {
        Self { each, by_name: Mutex::default() }
    }

    async fn take(&self, name: &str) -> OwnedSemaphorePermit {
        let semaphore = {
            let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(
                by_name
                    .entry(name.to_owned())
                    .or_insert_with(|| Arc::new(Semaphore::new(self.each))),
            )
        };
        semaphore.acquire_owned().await.expect("the semaphore is never closed")
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    errors: Option<BTreeMap<String, Value>>,
}

fn refused(status: u16, reason: &str, body: &str) -> Error {
    let Refusal { message, errors } = serde_json::from_str(body).unwrap_or_default();
    let parameters = errors.unwrap_or_default().into_iter();
    let parameters = parameters
        .filter_map(|(name, text)| Some((name, wire::scalar(&text)?.trim().to_owned())))
        .collect();
    Error::answered(status, reason, message.as_deref(), parameters)
}

/// No answer: was the request sent?
fn transport(endpoint: &Url, error: &reqwest::Error) -> Error {
    if let Some((class, message)) = find_rustls(error).and_then(tls::refusal) {
        return Error::local(class, format!("{endpoint}: {message}"));
    }
    let cause = root_cause(error);
    if error.is_connect() || error.is_builder() {
        Error::local(Class::NotDelivered, format!("cannot reach {endpoint}: {cause}"))
    } else {
        let lost =
            Error::local(Class::UnknownOutcome, format!("no answer from {endpoint}: {cause}"));
        if error.is_timeout() { lost } else { lost.cut() }
    }
}

/// The causes of an error, itself first. An `io::Error` keeps its own cause behind a door of its own.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    fn next<'a>(error: &&'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
        let error: &'a (dyn StdError + 'static) = *error;
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    }
    std::iter::successors(Some(error), next)
}

fn find_rustls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(|error| error.downcast_ref())
}

fn root_cause(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().expect("an error is its own first cause").to_string()
}

fn is_loopback(endpoint: &Url) -> bool {
    match endpoint.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn unix_time(date: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(date).ok().map(|time| time.timestamp().as_second())
}

#[cfg(test)]
mod tests;
