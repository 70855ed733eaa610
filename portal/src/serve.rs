//! The portal as a server: what stands around all routes, and its life from start to end.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{Extensions, HeaderName, HeaderValue, StatusCode, header};
use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::answer::{self, Asked};
use crate::config::Config;
use crate::gate::{Confidential, RequestId};
use crate::kube::withdraw;
use crate::people::{accounts, proof};
use crate::runs::queue;
use crate::time::Time;
use crate::{App, Error, metrics, routes, store};

/// The most that a body may hold; routes that take more say so themselves.
const BODY: usize = 64 * 1024;

/// A body of which nothing more comes for so long is given up, and with it the place of its request.
const STALLED: Duration = Duration::from_mins(1);

/// How long requests that are being served may still take when the portal is asked to end.
const LEAVE: Duration = Duration::from_secs(20);

/// What is over is swept so often.
const SWEEP: Duration = Duration::from_mins(15);

/// Whoever asks the same once more does so within this time.
const ONCE: SignedDuration = SignedDuration::from_hours(24);

/// Serves until the process is asked to end: on the configured address, and on a socket that was opened by somebody else.
pub async fn serve(config: Config, more: Option<std::net::TcpListener>) -> anyhow::Result<()> {
    let app = App::open(config).await?;
    tokio::spawn(asked_to_end(app.clone())?);
    if let Some(address) = app.config.metrics_listen {
        tokio::spawn(metrics::serve(address, app.stopping.clone()).await?);
    }
    let address = app.config.listen;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("could not listen on {address}"))?;
    tracing::info!(address = %listener.local_addr()?, url = %app.config.public_url, "serving");
    // From here on no other portal serves from this folder.
    let folder = app.config.ssh_folder();
    app.kube.prepare().with_context(|| format!("could not make {}", folder.display()))?;
    // Beside the runtime: while a thread of it is busy, what waits in its queue waits as well.
    let preparing = app.clone();
    tokio::task::spawn_blocking(move || preparing.terraform.prepare(&preparing.config)).await??;
    welcome(&app).await?;
    tokio::spawn(work(app.clone()));
    tokio::spawn(sweep(app.clone()));
    tokio::spawn(withdraw::serve(app.clone()));
    let stopping = app.stopping.clone();
    let mut listeners = vec![listener];
    if let Some(more) = more {
        more.set_nonblocking(true).context("what lies on standard input is no socket")?;
        listeners.push(TcpListener::from_std(more)?);
    }
    let serving = futures_util::future::try_join_all(listeners.into_iter().map(|listener| {
        let service = router(&app).into_make_service_with_connect_info::<SocketAddr>();
        let serving = axum::serve(listener, service);
        serving.with_graceful_shutdown(stopping.clone().cancelled_owned()).into_future()
    }));
    let serving = async {
        let ended = serving.await;
        // Those whose clients have hung up have no connection that would be waited for.
        app.requests.close();
        app.requests.wait().await;
        ended
    };
    let late = async {
        stopping.cancelled().await;
        tokio::time::sleep(LEAVE).await;
    };
    tokio::select! {
        ended = serving => drop(ended?),
        () = late => tracing::warn!("some requests did not end in time"),
    }
    app.store.close().await;
    tracing::info!("ended");
    Ok(())
}

/// On a new site: the one way in, printed for whoever started the portal, never written to the log.
async fn welcome(app: &App) -> anyhow::Result<()> {
    let link = accounts::bootstrap(app).await.map_err(|error| anyhow::anyhow!("{error}"))?;
    if let Some(link) = link {
        use std::io::Write as _;
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "Nobody administers this portal yet. Open this once, within 30 minutes:\n\n  {}\n",
            link.url
        )?;
        out.flush()?;
    }
    Ok(())
}

/// Works on runs until the portal is asked to end. Only when the last one has ended, and has sent its state, is serving over.
async fn work(app: App) {
    let stopping = app.stopping.clone().drop_guard();
    queue::serve(app).await;
    drop(stopping);
}

async fn sweep(app: App) {
    let mut ticks = tokio::time::interval(SWEEP);
    while app.stopping.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = sweep_once(&app).await {
            tracing::warn!(%error, "what is over could not be swept");
        }
    }
}

/// Removes sessions that have ended, and requests that nobody will repeat any more.
pub async fn sweep_once(app: &App) -> store::Result<()> {
    app.store.sweep_sessions(proof::idle_since(app)).await?;
    app.store.sweep_requests(Time::now().plus(-ONCE)).await
}

/// SIGTERM from the service manager, or Ctrl-C. Listens from the call on, not from the first poll.
fn asked_to_end(app: App) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to end");
        app.draining.cancel();
    })
}

/// All routes with everything around them.
pub fn router(app: &App) -> Router {
    let origin = app.config.origin();
    let csrf = CsrfLayer::new()
        .add_trusted_origin(&origin)
        .unwrap_or_default()
        .with_rejection_response(|_: ProtectionError| cross_site().into_response());
    routes::router(app)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(csrf)
        .layer(CatchPanicLayer::custom(|_| Error::internal("a handler panicked").into_response()))
        .layer(compression())
        .layer(from_fn_with_state(app.clone(), dress))
        .layer(RequestBodyTimeoutLayer::new(STALLED))
}

/// Quick rather than small: pages are made anew for each request. Streams are left as they are.
fn compression() -> CompressionLayer<impl Predicate> {
    let is_public =
        |_, _, _: &_, extensions: &Extensions| extensions.get::<Confidential>().is_none();
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(DefaultPredicate::new().and(is_public))
}

fn cross_site() -> Error {
    Error::new(
        StatusCode::FORBIDDEN,
        "cross_site",
        "This request came from another site, so it was not served. Open the portal itself and try again there.",
    )
}

/// Headers that every answer carries; words for errors that never reached the gate.
async fn dress(State(app): State<App>, request: Request, next: Next) -> Response {
    let asked = Asked::of(&request);
    let mut response = next.run(request).await;
    if response.extensions().get::<Error>().is_some() {
        let id = RequestId(ulid::Ulid::generate().to_string());
        response = answer::finish(&app, &asked, None, &id, response);
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if app.config.is_https() {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=63072000"),
        );
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Nothing from elsewhere, nothing inline, nothing framed. `same-origin` and not `no-referrer`: browsers that don't send
/// Sec-Fetch-Site would send `Origin: null` with our own forms.
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];
