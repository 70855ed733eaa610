//! A small Kubernetes API client: JSON in, JSON out, errors as the server words them.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::Context as _;
use http::Method;
use rustls::{
    DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _};
use serde_json::Value;

use super::{
    kubeconfig::{Identity, Kubeconfig},
    pki,
};

pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";
pub(super) const JSON: &str = "application/json";
/// What asks for rows ready to print, with plain JSON as the second choice.
pub(super) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// One call must not hang on a machine that is gone; watches are exempt.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a call failed.
#[derive(Debug)]
pub(super) enum ApiError {
    /// The server answered with a Status.
    Status { code: u16, reason: String, message: String },
    /// There was no answer.
    Unreachable { server: String, reason: String, refused: bool },
}

impl ApiError {
    pub(super) fn is(&self, wanted: u16) -> bool {
        matches!(self, Self::Status { code, .. } if *code == wanted)
    }

    /// The server's own words, without what kubectl puts before them.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Status { message, .. } => message.clone(),
            Self::Unreachable { .. } => self.to_string(),
        }
    }
}

impl std::error::Error for ApiError {}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { code: 401, .. } => {
                formatter.write_str("error: You must be logged in to the server (Unauthorized)")
            }
            Self::Status { reason, message, .. } => {
                write!(formatter, "Error from server ({reason}): {message}")
            }
            Self::Unreachable { server, refused: true, .. } => {
                let host = server.trim_start_matches("https://");
                write!(
                    formatter,
                    "The connection to the server {host} was refused - did you specify the right host or port?"
                )
            }
            Self::Unreachable { reason, .. } => {
                write!(formatter, "Unable to connect to the server: {reason}")
            }
        }
    }
}

/// A connection to one API server as one identity.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<String>,
}

impl Client {
    pub(super) fn new(config: &Kubeconfig) -> anyhow::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .context("failed to set up TLS")?;
        let builder = match &config.authority {
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                for certificate in pki::certificates(authority)? {
                    roots.add(certificate).context("the certificate authority is not usable")?;
                }
                builder.with_root_certificates(roots)
            }
            None => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
            }
        };
        let tls = match &config.identity {
            Identity::Certificate(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())
                    .map_err(|error| anyhow::anyhow!("failed to read the client's key: {error}"))?;
                builder
                    .with_client_auth_cert(pki::certificates(&pair.certificate)?, key)
                    .context("the client certificate is not usable")?
            }
            _ => builder.with_no_client_auth(),
        };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .connect_timeout(Duration::from_secs(10))
            // A watch only reads: without probes it would never hear that the other machine was switched off.
            .tcp_keepalive(Duration::from_secs(5))
            .tcp_keepalive_interval(Duration::from_secs(5))
            .tcp_keepalive_retries(2)
            .build()
            .context("failed to set up the API client")?;
        let token = match &config.identity {
            Identity::Token(token) => Some(token.clone()),
            _ => None,
        };
        Ok(Self { http, server: config.server.clone(), token })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.call(Method::GET, path, JSON, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        self.call(Method::POST, path, JSON, Some((JSON, body))).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        self.call(Method::PATCH, path, JSON, Some((MERGE_PATCH, body))).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Value, ApiError> {
        self.call(Method::DELETE, path, JSON, None).await
    }

    /// Creates the object, or replaces it if it is there.
    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        self.call(Method::PUT, path, JSON, Some((JSON, body))).await
    }

    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Value, ApiError> {
        let response = self.send(method, path, accept, body, Some(TIMEOUT)).await?;
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        // /livez and its like answer with plain text.
        Ok(serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes).into_owned())))
    }

    /// Opens a watch: each event is one line of JSON.
    pub(super) async fn watch(&self, path: &str) -> Result<Watch, ApiError> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let response =
            self.send(Method::GET, &format!("{path}{separator}watch=1"), JSON, None, None).await?;
        Ok(Watch { response, buffer: Vec::new() })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<(&str, &Value)>,
        timeout: Option<Duration>,
    ) -> Result<reqwest::Response, ApiError> {
        let mut request =
            self.http.request(method, format!("{}{path}", self.server)).header("accept", accept);
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some((kind, body)) = body {
            request = request.header("content-type", kind).body(body.to_string());
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let code = response.status().as_u16();
        if code < 400 {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        Err(ApiError::Status {
            code,
            reason: status["reason"].as_str().unwrap_or("InternalError").to_owned(),
            message: status["message"].as_str().map_or(text.trim().to_owned(), str::to_owned),
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> ApiError {
        let mut reason = error.to_string();
        let mut refused = false;
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            reason = cause.to_string();
            refused |= cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused);
            source = cause.source();
        }
        // Go's words for what people search for. An authority of the same name with another key is unknown, too.
        let of_other_kind = ["expired", "not valid"].iter().any(|kind| reason.contains(kind));
        if reason.contains("invalid peer certificate") && !of_other_kind {
            "x509: certificate signed by unknown authority".clone_into(&mut reason);
        }
        ApiError::Unreachable { server: self.server.clone(), reason, refused }
    }
}

/// An open watch.
pub(super) struct Watch {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

impl Watch {
    /// The next event; `None` when the server ended the watch.
    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).ok();
            }
            self.buffer.extend_from_slice(&self.response.chunk().await.ok()??);
        }
    }
}

/// Accepts any server: discovery reads one public object this way, and then checks its authority against the pin.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
