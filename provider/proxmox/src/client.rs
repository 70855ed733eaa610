//! The one request function, and what all requests share: endpoints, token, trust, limits.

mod failure;
mod limits;
mod request;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::ext::ReasonPhrase;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::{Host, Url};

use self::failure::{refused, root_cause, transport};
use self::limits::{CLONES_PER_STORAGE, Change, REQUESTS_PER_NODE, Slots};
use crate::endpoints::Endpoints;
use crate::error::{Class, Error};
use crate::login::Credentials;
use crate::retry::Deadline;
use crate::tls::{self, Trust};
use crate::wire;

pub use self::limits::Permit;
pub(crate) use self::request::{Answer, Request, delete, get, post, put};

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

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
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
