//! The wire: HTTP/1.1 over TLS, with Proxmox's manners.
//!
//! Error texts stand in the reason phrase, every status from 400 on closes the connection, an idle connection is closed
//! after five seconds, and checks come in a fixed order: authentication, path, permission, node, parameters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::access::Principal;
use super::api::{Answer, Call, Refusal, Reply};
use super::config::LOCK_WAIT;
use super::journal;
use super::params::{Params, Raw};
use super::permit;
use super::routes::{self, Route};
use super::world::{World, unix_time};

const PREFIX: &str = "/api2/json";
const IDLE: Duration = Duration::from_secs(5);
const LARGEST_BODY: usize = 512 * 1024;
const REQUESTS_PER_CONNECTION: u32 = 100;

/// A server and what it serves.
pub(crate) struct Server {
    pub(crate) world: Arc<World>,
    pub(crate) table: Vec<Route>,
}

/// The connection is to be cut without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
struct Cut;

impl Server {
    /// Accepts connections until it is told to stop.
    pub(crate) async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        tls: TlsAcceptor,
        stop: CancellationToken,
    ) {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else { continue };
            // Answers are small: held back for the acknowledgement of the handshake they take 40 ms longer.
            let _ = stream.set_nodelay(true);
            let (server, tls, stop) = (Arc::clone(&self), tls.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = server.connection(stream, tls) => {}
                }
            });
        }
    }

    async fn connection(self: Arc<Self>, mut stream: TcpStream, tls: TlsAcceptor) {
        if self.world.faults.api_is_down() {
            return;
        }
        let mut first = [0];
        let peeked = tokio::time::timeout(IDLE, stream.peek(&mut first)).await;
        match peeked {
            Ok(Ok(1)) if first[0] == 0x16 => {}
            Ok(Ok(1)) => return redirect_to_tls(&mut stream).await,
            _ => return,
        }
        let Ok(stream) = tls.accept(stream).await else { return };
        let seen = AtomicU32::new(0);
        let service = service_fn(|request| {
            let last = seen.fetch_add(1, Ordering::Relaxed) + 1 >= REQUESTS_PER_CONNECTION;
            let server = Arc::clone(&self);
            async move {
                let mut response = server.respond(request).await?;
                if last || response.status().as_u16() >= 400 {
                    response
                        .headers_mut()
                        .insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Cut>(response)
            }
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(IDLE);
        if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
            tracing::debug!(%error, "a connection ended");
        }
    }

    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let method = request.method().to_string();
        let uri = request.uri().clone();
        let full_path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let path = full_path.strip_prefix(PREFIX).unwrap_or(&full_path).to_owned();
        if self.world.faults.api_is_down() {
            return Err(Cut);
        }
        self.world.faults.hold(&method, &path, false).await;
        let result = match self.world.faults.refuses(&method, &path) {
            Some(refusal) => Err(refusal),
            None => self.answer(request).await,
        };
        self.world.faults.hold(&method, &path, true).await;
        let (status, reason) = match &result {
            Ok(_) => (200, "OK".to_owned()),
            Err(refusal) => (refusal.status, first_line(&refusal.message)),
        };
        tracing::debug!(%method, %path, status, %reason, "answered");
        let at = unix_time();
        let dropped = self.world.faults.drops_reply(&method, &path);
        self.world.journal.add(journal::Request { method, path, status, reason, at });
        if dropped { Err(Cut) } else { Ok(render(result, self.world.faults.has_no_messages())) }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Reply, Refusal> {
        let method = request.method().clone();
        if ![Method::GET, Method::POST, Method::PUT, Method::DELETE].contains(&method) {
            return Err(Refusal::protocol(501, format!("method '{method}' not available")));
        }
        let (parts, body) = request.into_parts();
        if parts.headers.contains_key(header::TRANSFER_ENCODING) {
            return Err(Refusal::protocol(501, "chunked transfer encoding not supported"));
        }
        let path = parts.uri.path().to_owned();
        let below = path
            .strip_prefix(PREFIX)
            .ok_or_else(|| Refusal::protocol(501, format!("no such file '{path}'")))?;
        let path = match below.trim_end_matches('/') {
            "" => "/",
            path => path,
        };
        let found = routes::find(&self.table, method.as_str(), path);
        let asked = found.as_ref().ok().map(|(route, _)| *route);
        let who = self.authenticate(&method, &parts.headers, asked).await?;
        let has_body = body.size_hint().exact() != Some(0);
        if has_body && (method == Method::GET || method == Method::DELETE) {
            return Err(Refusal::protocol(
                501,
                format!("Unexpected content for method '{method}'"),
            ));
        }
        let (route, in_path) = found?;
        let mut raw = if has_body { read_body(&parts.headers, body).await? } else { Raw::new() };
        raw.extend(form(parts.uri.query().unwrap_or_default().as_bytes()));
        for (name, value) in in_path {
            if raw.get(&name).is_some_and(|other| *other != value) {
                let text = "duplicate parameter (already defined in URI) with conflicting values!";
                return Err(Refusal::parameter(&name, text));
            }
            raw.insert(name, value);
        }
        let endpoint = route.endpoint;
        if who.token.is_some() && !endpoint.tokens {
            let text = format!("URI '{path}' not available with API token, need proper ticket.\n");
            return Err(Refusal::forbidden(&text));
        }
        self.world.notice_stopped_guests();
        permit::require(endpoint.check_on(self.world.version), &self.world.state(), &who, &raw)?;
        let node = raw.get("node").and_then(Value::as_str).unwrap_or_default().to_owned();
        if endpoint.is_forwarded {
            self.forward(&node)?;
        }
        let params = Params::verify(&raw, endpoint, self.world.version)?;
        let call = Call { world: Arc::clone(&self.world), who, params };
        if let Some(text) = self.world.lacks_quorum(endpoint, &call) {
            return Err(Refusal::failed(text));
        }
        let slow = endpoint.is_forwarded.then(|| self.world.faults.slow_node(&node)).flatten();
        let answer = self.act(route, call).await;
        if let Some(time) = slow {
            // The other node does the work; whoever forwarded the request has given up by then.
            tokio::time::sleep(time).await;
            return Err(Refusal::forwarding(596, "Connection timed out"));
        }
        answer
    }

    async fn act(&self, route: &Route, call: Call) -> Answer {
        let lock = if route.holds_vm() {
            Some(
                self.world
                    .locks
                    .vm(call.node(), call.vmid(), LOCK_WAIT)
                    .await
                    .map_err(Refusal::failed)?,
            )
        } else {
            None
        };
        let answer = (route.handler)(&call);
        drop(lock);
        match answer {
            // Failed logins are held up like failed authentication.
            Err(refusal) if refusal.status == 401 => {
                tokio::time::sleep(self.world.pace.refusal).await;
                Err(refusal)
            }
            answer => answer,
        }
    }

    async fn authenticate(
        &self,
        method: &Method,
        headers: &HeaderMap,
        route: Option<&Route>,
    ) -> Result<Principal, Refusal> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let header = text(header::AUTHORIZATION).unwrap_or_default();
        let cookie = text(header::COOKIE).unwrap_or_default();
        let cookie = cookie.split("; ").find_map(|cookie| cookie.strip_prefix("PVEAuthCookie="));
        // A ticket wins over a token.
        let ticket =
            cookie.or_else(|| header.strip_prefix("PVEAuthCookie")?.strip_prefix(['=', ' ']));
        let token =
            header.strip_prefix("PVEAPIToken").and_then(|rest| rest.strip_prefix(['=', ' ']));
        let now = unix_time();
        let result = match (ticket, token) {
            (Some(ticket), _) => {
                let csrf = text(HeaderName::from_static("csrfpreventiontoken"));
                self.world.state().access.by_ticket(ticket, csrf, method == Method::GET, now)
            }
            (None, Some(token)) => {
                let who = self.world.state().access.by_token(token, now);
                who.ok_or_else(|| Refusal::unauthenticated("Authentication failed!"))
            }
            (None, None) if route.is_some_and(|it| permit::is_open(&it.endpoint.check)) => {
                return Ok(Principal { user: String::new(), token: None });
            }
            (None, None) => return Err(Refusal::unauthenticated("No ticket")),
        };
        if result.is_err() {
            tokio::time::sleep(self.world.pace.refusal).await;
        }
        result
    }

    /// What happens between the node that was asked and the one that is meant.
    fn forward(&self, node: &str) -> Result<(), Refusal> {
        let state = self.world.state();
        let Some(known) = state.nodes.get(node) else {
            let text = format!("failed to get address info for: {node}: Name or service not known");
            return Err(Refusal::failed(format!("hostname lookup '{node}' failed - {text}")));
        };
        if known.down {
            return Err(Refusal::forwarding(595, "Connection refused"));
        }
        Ok(())
    }
}

/// Plain HTTP on this port is sent to HTTPS.
async fn redirect_to_tls(stream: &mut TcpStream) {
    let mut start = [0; 5];
    let read = tokio::time::timeout(IDLE, stream.peek(&mut start)).await;
    let status = match (read, start.starts_with(b"GET ") || start.starts_with(b"HEAD ")) {
        (Ok(Ok(_)), true) => "301 Moved Permanently",
        _ => "308 Permanent Redirect",
    };
    let place = stream.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let text =
        format!("HTTP/1.1 {status}\r\nLocation: https://{place}/\r\nConnection: close\r\n\r\n");
    if let Err(error) = stream.write_all(text.as_bytes()).await {
        tracing::debug!(%error, "cannot redirect");
    }
}

async fn read_body(headers: &HeaderMap, body: Incoming) -> Result<Raw, Refusal> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let bytes = Limited::new(body, LARGEST_BODY).collect().await;
    let bytes = bytes.map_err(|_| Refusal::protocol(501, "for data too large"))?.to_bytes();
    match kind.split(';').next().unwrap_or_default().trim() {
        "" | "application/x-www-form-urlencoded" => Ok(form(&bytes)),
        "application/json" => match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => Ok(object.into_iter().collect()),
            Ok(_) => Err(Refusal::protocol(500, "JSON object expected")),
            Err(error) => Err(Refusal::protocol(500, format!("malformed JSON string: {error}"))),
        },
        other => {
            Err(Refusal::protocol(506, format!("upload 'Content-Type '{other}' not implemented")))
        }
    }
}

/// Form fields; a key that is repeated is a list.
fn form(bytes: &[u8]) -> Raw {
    let mut raw = Raw::new();
    for (name, value) in url::form_urlencoded::parse(bytes) {
        match raw.get_mut(name.as_ref()) {
            Some(Value::Array(list)) => list.push(value.into()),
            Some(one) => *one = json!([one.take(), value]),
            None => drop(raw.insert(name.into_owned(), value.into())),
        }
    }
    raw
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// `bare` leaves the text to the reason phrase, as servers before 8.4 do.
fn render(result: Result<Reply, Refusal>, bare: bool) -> Response<Full<Bytes>> {
    let (status, reason, body, kind) = match result {
        Ok(reply) => {
            let mut body = json!({"data": reply.data});
            if let Some(total) = reply.total {
                body["total"] = total.into();
            }
            (
                200,
                "OK".to_owned(),
                body.to_string().into_bytes(),
                Some("application/json;charset=UTF-8"),
            )
        }
        Err(refusal) => {
            let kind = match refusal.body {
                super::api::Body::Json => Some("application/json;charset=UTF-8"),
                super::api::Body::Text => Some("text/plain"),
                super::api::Body::Empty => None,
            };
            (refusal.status, first_line(&refusal.message), refusal.bytes(bare), kind)
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(reason) = ReasonPhrase::try_from(reason.into_bytes()) {
        response.extensions_mut().insert(reason);
    }
    let headers = response.headers_mut();
    headers.insert(header::SERVER, HeaderValue::from_static("pve-api-daemon/3.0"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=0"));
    if let Some(kind) = kind {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    response
}
