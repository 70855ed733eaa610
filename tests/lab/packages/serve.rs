//! A static file server over HTTP, enough for apt and curl, on any host name.

use std::{
    convert::Infallible,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Bytes, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Serves the files of `folder` until the future is dropped.
pub async fn serve(folder: PathBuf, listener: TcpListener) -> anyhow::Result<()> {
    let folder: Arc<Path> = folder.into();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Descriptors ran out, or the peer is gone already: neither is a reason to stop serving the others.
                tracing::warn!(%error, "failed to accept a connection to the package repository");
                tokio::task::yield_now().await;
                continue;
            }
        };
        let folder = Arc::clone(&folder);
        connections.spawn(async move {
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let folder = Arc::clone(&folder);
                async move {
                    Ok::<_, Infallible>(
                        respond(&folder, request.method(), request.uri().path()).await,
                    )
                }
            });
            if let Err(error) = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
            {
                tracing::debug!(%error, "a connection to the package repository ended early");
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Answers one request for a file of `folder`; for a server that has other routes too.
pub async fn respond(folder: &Path, method: &http::Method, path: &str) -> Response<Full<Bytes>> {
    if method != http::Method::GET && method != http::Method::HEAD {
        return answer(StatusCode::METHOD_NOT_ALLOWED, Bytes::new());
    }
    // apt escapes the colons of `core:/stable:`, curl does not.
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
    let relative = Path::new(decoded.trim_start_matches('/'));
    if relative.components().any(|component| !matches!(component, Component::Normal(_))) {
        return answer(StatusCode::NOT_FOUND, Bytes::new());
    }
    match tokio::fs::read(folder.join(relative)).await {
        // hyper leaves out the body of an answer to HEAD and keeps its length.
        Ok(content) => answer(StatusCode::OK, content.into()),
        Err(_) => answer(StatusCode::NOT_FOUND, Bytes::from_static(b"not found\n")),
    }
}

fn answer(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}
