//! The lab's own control API: faults, the journal of requests, programs run in guests.
//!
//! Plain HTTP and JSON under `/lab/`. In the lab's network the same server hands out packages and container images, so that
//! one address does for all.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::containers;
use crate::guests::Guests;
use crate::packages;
use crate::pve::{Fault, Pve};

/// What is controlled.
pub struct Lab {
    /// The simulated Proxmox VE.
    pub pve: Pve,
    /// The light guests, if there are any.
    pub guests: Option<Arc<Guests>>,
    /// The folder of the package repository, if there is one.
    pub packages: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Exec {
    argv: Vec<String>,
}

#[derive(Deserialize)]
struct Break {
    script: String,
}

#[derive(Deserialize)]
struct Lock {
    lock: Option<String>,
}

/// Serves until the future is dropped.
pub async fn serve(lab: Arc<Lab>, listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await.context("cannot accept control connections")?;
        let lab = Arc::clone(&lab);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let lab = Arc::clone(&lab);
                async move { Ok::<_, std::convert::Infallible>(lab.respond(request).await) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a control connection ended");
            }
        });
    }
}

/// Packages and images come through one line for all guests: 300 Mbit/s, in bytes a second, as much as public repositories
/// give to a good line. From this machine's memory a download would take no time, as it does nowhere else.
const UPLINK: u64 = 37_500_000;

async fn through_uplink(answer: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    static LINE: Mutex<()> = Mutex::const_new(());
    let bytes = answer.body().size_hint().exact().unwrap_or_default();
    let _line = LINE.lock().await;
    tokio::time::sleep(Duration::from_micros(bytes * 1_000_000 / UPLINK)).await;
    answer
}

impl Lab {
    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        if let Some(answer) = containers::registry::respond(&parts.method, path) {
            return through_uplink(answer).await;
        }
        if let (Some(folder), false) = (&self.packages, path.starts_with("/lab/")) {
            return through_uplink(packages::respond(folder, &parts.method, path).await).await;
        }
        let result = match body.collect().await {
            Ok(body) => self.act(&parts.method, path, &body.to_bytes()).await,
            Err(error) => Err(error.into()),
        };
        let (status, body) = match result {
            Ok(Some(value)) => (StatusCode::OK, value),
            Ok(None) => (
                StatusCode::NOT_FOUND,
                json!({"error": format!("there is no {} {path}", parts.method)}),
            ),
            Err(error) => (StatusCode::BAD_REQUEST, json!({"error": format!("{error:#}")})),
        };
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        response
    }

    /// Does what a request asks; nothing if there is no such thing.
    async fn act(&self, method: &Method, path: &str, body: &[u8]) -> Result<Option<Value>> {
        let segments: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
        let value = match (method.as_str(), segments.as_slice()) {
            ("GET", ["lab", "requests"]) => serde_json::to_value(self.pve.requests())?,
            ("DELETE", ["lab", "requests"]) => {
                self.pve.forget_requests();
                Value::Null
            }
            ("GET", ["lab", "held"]) => json!(self.pve.held_requests()),
            ("POST", ["lab", "faults"]) => {
                self.pve.add_fault(parse::<Fault>(body)?)?;
                Value::Null
            }
            ("DELETE", ["lab", "faults"]) => {
                self.pve.clear_faults();
                Value::Null
            }
            ("PUT", ["lab", "vms", vmid, "lock"]) => {
                self.pve.set_lock(number(vmid)?, parse::<Lock>(body)?.lock.as_deref())?;
                Value::Null
            }
            ("GET", ["lab", "guests"]) => {
                self.guests.as_ref().map_or(json!([]), |guests| json!(guests.list()))
            }
            ("POST", ["lab", "guests", vmid, "exec"]) => {
                let argv = parse::<Exec>(body)?.argv;
                let argv: Vec<_> = argv.iter().map(String::as_str).collect();
                let output = self.guests()?.exec(number(vmid)?, &argv).await?;
                json!({
                    "status": output.status.code(),
                    "stdout": String::from_utf8_lossy(&output.stdout),
                    "stderr": String::from_utf8_lossy(&output.stderr),
                })
            }
            ("POST", ["lab", "guests", vmid, "break"]) => {
                self.guests()?.break_before_boot(number(vmid)?, &parse::<Break>(body)?.script)?;
                Value::Null
            }
            _ => return Ok(None),
        };
        Ok(Some(value))
    }

    fn guests(&self) -> Result<&Guests> {
        self.guests.as_deref().context("this lab has no guests: it serves the API only")
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).context("the body is not what this takes")
}

fn number(vmid: &str) -> Result<u32> {
    vmid.parse().with_context(|| format!("'{vmid}' is not a VMID"))
}
