//! What Prometheus asks for, on an address of its own: no name of a person or a cluster is in it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use http::Method;
use metrics::{counter, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Upper bounds of the buckets that requests are counted in, in seconds.
const BUCKETS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Starts to count, and binds the address. The future serves until the portal ends.
pub async fn serve(
    address: SocketAddr,
    stopping: CancellationToken,
) -> anyhow::Result<impl Future<Output = ()>> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?;
    let handle = builder.install_recorder()?;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("could not listen on {address} for metrics"))?;
    let render = move || {
        let text = handle.render();
        async { text }
    };
    let router = Router::new().route("/metrics", get(render));
    Ok(async move {
        let served =
            axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "metrics are served no longer");
        }
    })
}

/// One request was served. `route` is the path with its parameters in braces.
pub fn served(method: &Method, route: &'static str, status: u16, took: Duration) {
    answered(method, route, status);
    histogram!("kubesmith_portal_request_seconds", "route" => route).record(took.as_secs_f64());
}

/// One request was answered, served or not.
pub fn answered(method: &Method, route: &'static str, status: u16) {
    let labels = [
        ("method", method.to_string()),
        ("route", route.to_owned()),
        ("status", status.to_string()),
    ];
    counter!("kubesmith_portal_requests_total", &labels).increment(1);
}
