//! `kubesmith-lab bench`: the speed that we hold ourselves to, as ratios; a miss fails the command.
//!
//! Every figure is set against something else measured in the same run on the same machine, so that a slow machine
//! does not fail it and a fast one does not hide a loss. Use a release build.

mod plan;
mod requests;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::{
    by_hand, command,
    demo::{Program, build, build_provider, say},
    host,
    session::{Session, Workspace},
};

const EXAMPLE: &str = include_str!("../../examples/minimal/main.tf");
/// A self-signed certificate as Terraform makes one for each start; its key was thrown away.
const CLIENT_CERTIFICATE: &str = include_str!("../fixtures/terraform-client-p521.pem");
/// What Terraform sends to every plugin; see the plugin protocol.
const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

/// What `kubesmith-lab bench` was asked to do.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How often each short command is run; the median counts.
    #[arg(long, default_value_t = 15)]
    pub runs: usize,
    /// How often the cluster is made, by Terraform and by hand.
    #[arg(long, default_value_t = 3)]
    pub creates: usize,
}

/// A figure and the bound that it must keep.
struct Row {
    what: &'static str,
    figure: f64,
    bound: f64,
    detail: String,
}

/// Runs the benchmark.
pub async fn run(options: Options) -> Result<()> {
    if let Some(why) = host::why_no_guests() {
        bail!("the benchmark boots light guests, and {why}");
    }
    host::prepare().await?;
    let ansible_playbook = host::ansible_playbook(&host::cache_dir()).await?;
    let provider = build_provider().await?;
    let shelf = build("kubesmith-tfplugin", Program::Example("terraform-provider-shelf")).await?;
    if !provider.parent().is_some_and(|folder| folder.ends_with("release")) {
        say("NOTE: this is not a release build; start and memory will look worse than they are.");
    }
    let mut rows = vec![start(&provider, options.runs).await?];

    let session = Session::start("kubesmith-bench").await?;
    let workspace = session.workspace("cluster", EXAMPLE, &provider, &ansible_playbook)?;
    workspace.terraform(&["init", "-no-color"]).await?;
    // In pairs, one after the other: both see the same machine, and one slow moment does not decide.
    let (mut ours, mut theirs, mut memory) = (Vec::new(), Vec::new(), 0.0_f64);
    for left in (0..options.creates).rev() {
        theirs.push(by_hand::create(&session, &ansible_playbook).await?);
        session.request("DELETE", &format!("{}/lab/requests", session.control())).await?;
        let (took, peak) = apply(&workspace).await?;
        ours.push(took);
        memory = memory.max(peak);
        if left > 0 {
            workspace.terraform(&["destroy", "-auto-approve", "-no-color"]).await?;
        }
    }
    let requests = session.request("GET", &format!("{}/lab/requests", session.control())).await?;
    rows.push(ratio("create 1+2 / the same by hand", median(ours), median(theirs), 1.15));
    let detail = "largest resident set of a provider process while applying".to_owned();
    rows.push(Row { what: "memory, MB", figure: memory, bound: 20.0, detail });
    let others = plan::Others::prepare(&session, &provider, &shelf, &ansible_playbook).await?;
    rows.extend(plan::measure(&workspace, &others, options.runs).await?);
    workspace.terraform(&["destroy", "-auto-approve", "-no-color"]).await?;
    session.check_empty().await?;
    session.end().await?;

    let mut missed = !requests::show(&requests);
    say("");
    for Row { what, figure, bound, detail } in rows {
        let verdict = if figure <= bound { "ok" } else { "MISSED" };
        missed |= figure > bound;
        say(format_args!("{what:<36} {figure:>8.3}  (<= {bound})  {verdict:<6}  {detail}"));
    }
    ensure!(!missed, "a bound was missed");
    Ok(())
}

fn ratio(what: &'static str, ours: Duration, theirs: Duration, bound: f64) -> Row {
    let detail = format!("{:.3} s / {:.3} s", ours.as_secs_f64(), theirs.as_secs_f64());
    Row { what, figure: ours.as_secs_f64() / theirs.as_secs_f64(), bound, detail }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// From the start of the provider to its handshake line, beside `terraform version`.
async fn start(provider: &Path, runs: usize) -> Result<Row> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let began = Instant::now();
        let mut child = command::command(provider)
            .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
            .env("PLUGIN_PROTOCOL_VERSIONS", "6")
            .env("PLUGIN_CLIENT_CERT", CLIENT_CERTIFICATE)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()?;
        let line = BufReader::new(child.stdout.take().context("stdout is piped")?)
            .lines()
            .next_line()
            .await?;
        ours.push(began.elapsed());
        ensure!(line.is_some_and(|line| line.starts_with("1|6|")), "no handshake line");
        child.kill().await?;
        let began = Instant::now();
        command::output(
            command::command("terraform").arg("version").env("CHECKPOINT_DISABLE", "1"),
        )
        .await?;
        theirs.push(began.elapsed());
    }
    Ok(ratio("handshake line / terraform version", median(ours), median(theirs), 0.1))
}

/// `terraform apply`: how long it took, and the largest resident set of a provider process in MB.
async fn apply(workspace: &Workspace) -> Result<(Duration, f64)> {
    let began = Instant::now();
    let mut command = workspace.command(&["apply", "-auto-approve", "-no-color"]);
    let log = std::fs::File::create(workspace.dir().join("terraform.log"))?;
    let mut child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
    let mut look = tokio::time::interval(Duration::from_millis(50));
    let mut largest = 0.0_f64;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = look.tick() => largest = largest.max(provider_memory()),
        }
    };
    let log = std::fs::read_to_string(workspace.dir().join("terraform.log"))?;
    ensure!(status.success(), "apply failed:\n{log}");
    Ok((began.elapsed(), largest))
}

/// The largest peak (`VmHWM`) of the provider processes that run now, in MB.
fn provider_memory() -> f64 {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let status =
        processes.filter_map(|process| std::fs::read_to_string(process.path().join("status")).ok());
    // The kernel cuts a process's name after 15 characters.
    let ours = status.filter(|status| status.starts_with("Name:\tterraform-provi"));
    let kilobytes = ours.filter_map(|status| {
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?.to_owned();
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    });
    kilobytes.fold(0.0, f64::max) / 1024.0
}
