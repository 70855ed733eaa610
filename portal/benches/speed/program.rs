//! The program itself, as it is installed: started, looked at from outside, and ended.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use http::header;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use rustix::process::{Pid, Signal, kill_process};

use crate::load::Browser;
use crate::site::Site;

/// A portal that serves; killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) url: String,
    /// From its start to its first answer.
    pub(crate) start: Duration,
}

impl Program {
    /// Starts it on a site, and waits until it is ready.
    pub(crate) async fn start(site: &Site) -> anyhow::Result<Self> {
        // Whoever connects before the program listens is answered as soon as it does.
        let socket = TcpListener::bind("127.0.0.1:0")?;
        let port = socket.local_addr()?.port();
        let (config, log) = (site.config(port)?, fs::File::create(site.log())?);
        let begun = Instant::now();
        #[expect(clippy::disallowed_methods, reason = "the program that is measured")]
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_kubesmith-portal"))
            .arg("serve")
            .arg("--config")
            .arg(config)
            .arg("--socket-on-stdin")
            .stdin(OwnedFd::from(socket))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("the portal does not start")?;
        let mut program =
            Self { child, url: format!("http://127.0.0.1:{port}"), start: Duration::ZERO };
        let ready = format!("{}/readyz", program.url);
        let answered = Browser::new().page(&ready, "").await;
        program.start = begun.elapsed();
        answered.with_context(|| format!("its log: {}", site.log().display()))?;
        Ok(program)
    }

    /// What of its memory is in use, in megabytes.
    pub(crate) fn memory(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let kibibytes: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kibibytes * 1024.0 / 1_000_000.0)
    }

    /// The processor's time that it has taken so far, in milliseconds.
    pub(crate) fn processor(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The fields behind the name, which stands in brackets: user and system time in ticks of a hundredth of a second.
        let (_, fields) = stat.rsplit_once(") ").context("no name")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<Result<f64, _>>()? * 10.0)
    }

    /// Asks it to end, and waits.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.child.id().try_into()?).context("a process has a number")?;
        kill_process(pid, Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the portal ended with {status}");
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stream that is open.
pub(crate) struct Stream(Incoming);

impl Stream {
    /// Watches a run, from its beginning, and waits for the first that it tells.
    pub(crate) async fn open(browser: &Browser, url: &str, cookie: &str) -> anyhow::Result<Self> {
        let answer = browser.ask(url, cookie).await?;
        let compressed = answer.headers().get(header::CONTENT_ENCODING);
        ensure!(compressed.is_none(), "{url}: what is compressed is kept back");
        let mut stream = Self(answer.into_body());
        stream.tells("data:").await?;
        Ok(stream)
    }

    /// Waits for a piece that begins like this.
    pub(crate) async fn tells(&mut self, beginning: &str) -> anyhow::Result<()> {
        loop {
            let frame = self.0.frame().await.context("the stream has ended")??;
            let data = frame.into_data().unwrap_or_default();
            if String::from_utf8_lossy(&data).lines().any(|line| line.starts_with(beginning)) {
                return Ok(());
            }
        }
    }
}
