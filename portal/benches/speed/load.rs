//! Requests at a fixed rate, whether or not the answers to earlier ones have come: who waits in a queue is counted from
//! when the request was due.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use axum::body::{Body, Bytes};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A browser without a screen.
#[derive(Clone)]
pub(crate) struct Browser(Client<HttpConnector, Body>);

/// A page, and the people who look at it in turn.
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) cookies: Vec<String>,
}

/// How long the answers took, ascending.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// In milliseconds, what so many percent of them kept within.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let place = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0[place].as_secs_f64() * 1000.0
    }
}

impl Browser {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    /// Asks as browsers do; the answer's body is still to come.
    pub(crate) async fn ask(&self, url: &str, cookie: &str) -> anyhow::Result<Response<Incoming>> {
        self.request(url, cookie, "gzip").await
    }

    /// A page as it came over the wire: compressed.
    pub(crate) async fn page(&self, url: &str, cookie: &str) -> anyhow::Result<Bytes> {
        let answer = self.ask(url, cookie).await?;
        Ok(answer.into_body().collect().await?.to_bytes())
    }

    /// A page as it is read.
    pub(crate) async fn text(&self, url: &str, cookie: &str) -> anyhow::Result<String> {
        let answer = self.request(url, cookie, "identity").await?;
        Ok(String::from_utf8(answer.into_body().collect().await?.to_bytes().into())?)
    }

    async fn request(
        &self,
        url: &str,
        cookie: &str,
        encoding: &str,
    ) -> anyhow::Result<Response<Incoming>> {
        let request = Request::get(url)
            .header(header::COOKIE, cookie)
            .header(header::ACCEPT_ENCODING, encoding)
            .body(Body::empty())?;
        let answer = self.0.request(request).await?;
        ensure!(answer.status() == StatusCode::OK, "{url} answers {}", answer.status());
        Ok(answer)
    }

    /// Asks for each of the targets `rate` times a second, evenly and in turn, so that all of them see the same machine.
    pub(crate) async fn offer<const N: usize>(
        &self,
        targets: [&Target; N],
        rate: u32,
        seconds: u32,
    ) -> anyhow::Result<[Times; N]> {
        let mut due = pace(targets.len(), rate, seconds);
        let mut asked = JoinSet::new();
        while let Some((number, at)) = due.recv().await {
            let (browser, target) = (self.clone(), targets[number % N]);
            let url = target.url.clone();
            let cookie = target.cookies[number / N % target.cookies.len()].clone();
            asked.spawn(async move {
                browser.page(&url, &cookie).await?;
                anyhow::Ok((number % N, at.elapsed()))
            });
        }
        let mut times = [const { Vec::new() }; N];
        while let Some(answered) = asked.join_next().await {
            let (target, took) = answered??;
            times[target].push(took);
        }
        for times in &mut times {
            times.sort_unstable();
            ensure!(!times.is_empty(), "nothing was asked");
        }
        Ok(times.map(Times))
    }
}

/// When each request is due. A thread of its own: the runtime's timers count in milliseconds.
fn pace(targets: usize, rate: u32, seconds: u32) -> mpsc::UnboundedReceiver<(usize, Instant)> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let each = Duration::from_secs(1) / rate;
    thread::spawn(move || {
        let begun = Instant::now();
        for round in 0..rate * seconds {
            for target in 0..targets {
                let share = each * u32::try_from(target).unwrap_or_default()
                    / u32::try_from(targets).unwrap_or(1);
                let due = begun + each * round + share;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let number = usize::try_from(round).unwrap_or_default() * targets + target;
                if sender.send((number, due)).is_err() {
                    return;
                }
            }
        }
    });
    receiver
}

/// A bare axum handler that answers one page, on threads of its own; where it is.
pub(crate) fn bare(page: String) -> anyhow::Result<String> {
    let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    let url = format!("http://{}/", socket.local_addr()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let answer = move || {
        let page = page.clone();
        async { axum::response::Html(page) }
    };
    let router = axum::Router::new().route("/", axum::routing::get(answer));
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(socket)?;
            anyhow::Ok(axum::serve(listener, router).await?)
        })
    });
    Ok(url)
}
