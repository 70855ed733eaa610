//! `cargo bench -p kubesmith-portal`: the speed of the portal that we hold ourselves to; a miss fails the command.
//!
//! It starts the program on a department of 1,000 clusters in 200 environments and asks it as browsers do, over HTTP. Times
//! are set against a bare axum handler that answers a page of the same size: it is asked in turn with the portal, so that a
//! slow machine does not fail us and a fast one does not hide a loss. Without `--bench`, as `cargo test` runs it, the
//! department is small and nothing is judged: it shows that the benchmark still runs.

mod load;
mod program;
mod site;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::Write as _;

use anyhow::ensure;
use load::{Browser, Target};
use program::{Program, Stream};
use site::{Person, Site, Size};

const WHOLE: Size = Size { environments: 200, students: 400, clusters: 1_000, waiting: 125 };
const SMALL: Size = Size { environments: 4, students: 8, clusters: 20, waiting: 2 };

/// Requests a second.
const RATE: u32 = 100;
/// Streams that one person may have open.
const STREAMS: usize = 4;
/// A bare handler that takes longer than this, in milliseconds, says that the machine has other things to do. Then only the
/// ratios are judged.
const BUSY: f64 = 2.5;

/// A figure and the bound that it must keep; `None` if it can't be judged here.
struct Row {
    what: String,
    figure: f64,
    bound: Option<f64>,
    detail: String,
}

impl Row {
    fn new(what: impl Into<String>, figure: f64, bound: f64, detail: impl Into<String>) -> Self {
        Self { what: what.into(), figure, bound: Some(bound), detail: detail.into() }
    }

    fn is_missed(&self) -> bool {
        self.bound.is_some_and(|bound| self.figure > bound)
    }

    fn show(&self) {
        let Self { what, figure, bound, detail } = self;
        let verdict = if self.is_missed() { "MISSED" } else { "ok" };
        let verdict =
            bound.map_or("not judged".to_owned(), |bound| format!("<= {bound:<3} {verdict}"));
        say(format_args!("{what:<44} {figure:>8.2}  {verdict:<14}  {detail}"));
    }
}

fn main() -> anyhow::Result<()> {
    let whole = std::env::args().any(|argument| argument == "--bench");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let rows = runtime.block_on(measure(if whole { WHOLE } else { SMALL }, whole))?;
    if !whole {
        say(format_args!("{} figures; `cargo bench` shows and judges them", rows.len()));
        return Ok(());
    }
    rows.iter().for_each(Row::show);
    ensure!(!rows.iter().any(Row::is_missed), "a bound was missed");
    Ok(())
}

async fn measure(size: Size, whole: bool) -> anyhow::Result<Vec<Row>> {
    let site = Site::fill(size).await?;
    let mut rows = Vec::new();
    let mut starts = Vec::new();
    for _ in 0..if whole { 5 } else { 1 } {
        let program = Program::start(&site).await?;
        starts.push(program.start.as_secs_f64());
        program.end()?;
    }
    let slowest = starts.iter().copied().fold(0.0, f64::max);
    rows.push(Row::new("start to /readyz, s", slowest, 1.0, format!("slowest of {starts:.2?}")));

    let program = Program::start(&site).await?;
    rows.push(Row::new("memory, idle, MB", program.memory()?, 60.0, "resident, after the start"));
    let browser = Browser::new();
    let seconds = if whole { 10 } else { 1 };
    for (what, path, people) in [
        ("home, an administrator", "/", &site.admins),
        ("home, a student", "/", &site.students),
        ("list, an administrator", "/clusters", &site.admins),
        ("list, a student", "/clusters", &site.students),
    ] {
        rows.extend(page(&browser, &program, what, path, people, seconds).await?);
    }
    rows.push(Row::new("memory, idle again, MB", program.memory()?, 60.0, "after these pages"));
    rows.push(streams(&browser, &program, &site, whole).await?);
    program.end()?;
    Ok(rows)
}

/// A page with all that it loads, and how long it takes at [`RATE`].
async fn page(
    browser: &Browser,
    program: &Program,
    what: &str,
    path: &str,
    people: &[Person],
    seconds: u32,
) -> anyhow::Result<Vec<Row>> {
    let url = format!("{}{path}", program.url);
    let cookies: Vec<_> = people.iter().map(|person| person.cookie.clone()).collect();
    let sent = browser.page(&url, &cookies[0]).await?.len();
    let html = browser.text(&url, &cookies[0]).await?;
    ensure!(html.contains("cluster-"), "{what}: no cluster is on the page");
    let mut loads = 0;
    for asset in assets(&html) {
        loads += browser.page(&format!("{}{asset}", program.url), "").await?.len();
    }
    let size = kilobytes(sent + loads);
    let detail = format!("compressed; {:.1} without what browsers keep", kilobytes(sent));

    let bare = Target { url: load::bare(html)?, cookies: vec![String::new()] };
    let portal = Target { url, cookies };
    browser.offer([&portal, &bare], RATE, 1).await?;
    let before = program.processor()?;
    let [ours, theirs] = browser.offer([&portal, &bare], RATE, seconds).await?;
    let processor = (program.processor()? - before) / f64::from(RATE * seconds);
    let ratio = |percent| {
        let (ours, theirs) = (ours.percentile(percent), theirs.percentile(percent));
        (ours / theirs, format!("{ours:.2} ms / {theirs:.2} ms"))
    };
    let ((median, median_detail), (tail, tail_detail)) = (ratio(50), ratio(99));
    let median_detail =
        format!("{median_detail}; {processor:.1} ms of the processor's time for each page");
    let late = ours.percentile(99);
    let busy = theirs.percentile(99) > BUSY;
    Ok(vec![
        Row::new(format!("{what}: size, kB"), size, 80.0, detail),
        Row::new(format!("{what}: median / bare axum"), median, 25.0, median_detail),
        Row::new(format!("{what}: p99 / bare axum"), tail, 25.0, tail_detail),
        Row {
            what: format!("{what}: p99, ms"),
            figure: late,
            bound: (!busy).then_some(25.0),
            detail: if busy { "this machine is busy" } else { "at 100 requests a second" }.into(),
        },
    ])
}

/// The addresses of what a page loads.
fn assets(html: &str) -> BTreeSet<String> {
    let texts = html.split('"').map(|text| text.replace("&#x2f;", "/"));
    texts.filter(|text| text.starts_with("/assets/")).collect()
}

/// Memory while many people watch runs.
async fn streams(
    browser: &Browser,
    program: &Program,
    site: &Site,
    whole: bool,
) -> anyhow::Result<Row> {
    let mut open = Vec::new();
    for (run, person) in site.waiting.iter().zip(&site.students) {
        for _ in 0..STREAMS {
            let url = format!("{}/runs/{run}/live", program.url);
            open.push(Stream::open(browser, &url, &person.cookie).await?);
        }
    }
    if whole {
        // Until each of them was looked after once more.
        for stream in &mut open {
            stream.tells(":").await?;
        }
    }
    let what = format!("memory, {} open streams, MB", open.len());
    Ok(Row::new(what, program.memory()?, 100.0, "resident, after these pages"))
}

#[expect(clippy::cast_precision_loss, reason = "pages are not that long")]
fn kilobytes(bytes: usize) -> f64 {
    bytes as f64 / 1000.0
}

fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
