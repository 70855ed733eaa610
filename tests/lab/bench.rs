//! `kubesmith-lab bench`: the speed that we hold ourselves to, as ratios; a miss fails the command.
//!
//! Every figure is set against something else measured in the same run on the same machine, so that a slow machine
//! does not fail it and a fast one does not hide a loss. Use a release build.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::{
    by_hand, command,
    demo::{build_provider, say},
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
    let nothing = session.workspace("nothing", NOTHING, &provider, &ansible_playbook)?;
    rows.push(plan(&workspace, &nothing, options.runs).await?);
    workspace.terraform(&["destroy", "-auto-approve", "-no-color"]).await?;
    session.check_empty().await?;
    session.end().await?;

    let mut missed = !show_requests(&requests);
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

/// The yardstick: a plan for which Terraform needs no plugin.
const NOTHING: &str = "resource \"terraform_data\" \"nothing\" {}\n";

/// A plan without changes, beside Terraform's own.
async fn plan(workspace: &Workspace, nothing: &Workspace, runs: usize) -> Result<Row> {
    for arguments in [&["init"][..], &["apply", "-auto-approve"]] {
        nothing.terraform(arguments).await?;
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        for (workspace, times) in [(workspace, &mut ours), (nothing, &mut theirs)] {
            let began = Instant::now();
            let text = workspace.terraform(&["plan", "-no-color"]).await?;
            times.push(began.elapsed());
            ensure!(text.contains("No changes."), "the plan is not empty:\n{text}");
        }
    }
    Ok(ratio("empty plan / Terraform's own", median(ours), median(theirs), 2.5))
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

/// Why a create of pool, lease and 1+2 machines makes each kind of request, and how many of it at most. A kind that is
/// not here, or more of one, is a missed bound: somebody must say why first.
const REQUESTS: &[(&str, usize, &str)] = &[
    ("GET    /version", 2, "address, certificate and token are proven once a process: plan, apply"),
    (
        "GET    /access/permissions",
        3,
        "preflight: what the token may do on pool, storage and bridge",
    ),
    ("GET    /nodes", 1, "where the ledger's machine is made, once in a datacentre"),
    (
        "GET    /cluster/resources",
        12,
        "which nodes are up and which VMs exist where: one look that resources share for a moment, and each look \
         before and after writes",
    ),
    (
        "GET    /cluster/nextid",
        16,
        "an address is leased, and a machine taken for absent, only when its VMID is free",
    ),
    (
        "GET    /nodes/NODE/storage",
        6,
        "preflight and placement: room on the template's storage, as each node sees it",
    ),
    (
        "GET    /nodes/NODE/qemu/VMID/config",
        36,
        "the stamp is read before each write (4 a machine), and in each look",
    ),
    (
        "GET    /nodes/NODE/qemu/VMID/status/current",
        12,
        "each look at a finished machine: lists lag ten seconds",
    ),
    (
        "GET    /nodes/NODE/qemu/VMID/firewall/ipset",
        3,
        "the pool's data: before it is made, and then shared by lease and cluster",
    ),
    (
        "GET    /nodes/NODE/qemu/VMID/firewall/ipset/lab",
        5,
        "the ledger's rows: before, after, and for the cluster",
    ),
    (
        "GET    /nodes/NODE/tasks/UPID/status",
        40,
        "looks at 10 tasks: quick for a second, then once a second",
    ),
    ("POST   /nodes/NODE/qemu", 1, "the ledger's machine, once in a datacentre"),
    ("POST   /nodes/NODE/qemu/VMID/firewall/ipset", 1, "the pool's set"),
    (
        "POST   /nodes/NODE/qemu/VMID/firewall/ipset/lab",
        6,
        "one row an address: created if absent, so that races are decided",
    ),
    ("POST   /nodes/NODE/qemu/VMID/clone", 3, "one a machine"),
    (
        "PUT    /nodes/NODE/qemu/VMID/config",
        6,
        "one a machine for all settings, one to mark it as finished",
    ),
    ("PUT    /nodes/NODE/qemu/VMID/resize", 3, "one a machine"),
    ("POST   /nodes/NODE/qemu/VMID/status/start", 3, "one a machine"),
];

/// What a create asked of Proxmox, by method and shape of the path, and why. True if all is accounted for.
fn show_requests(journal: &Value) -> bool {
    let mut shapes = BTreeMap::<String, usize>::new();
    let rows = journal.as_array().cloned().unwrap_or_default();
    for row in &rows {
        let path = row["path"].as_str().unwrap_or_default().trim_start_matches("/api2/json");
        let shape: Vec<_> =
            path.split('?').next().unwrap_or_default().split('/').map(shape).collect();
        let shape = format!("{:<6} {}", row["method"].as_str().unwrap_or("?"), shape.join("/"));
        *shapes.entry(shape).or_default() += 1;
    }
    say(format_args!(
        "\nProxmox requests of a create of pool, lease and 1+2 machines: {}",
        rows.len()
    ));
    let mut accounted = true;
    for (shape, count) in shapes {
        let known = REQUESTS.iter().find(|(known, ..)| *known == shape);
        let (most, why) = known.map_or((0, "not accounted for"), |(_, most, why)| (*most, *why));
        accounted &= count <= most;
        let verdict = if count <= most { "" } else { "MORE THAN ACCOUNTED FOR: " };
        say(format_args!("  {count:>3} (<= {most:>2})  {shape:<50} {verdict}{why}"));
    }
    accounted
}

/// A path's part with what differs by nature left out.
fn shape(part: &str) -> &str {
    if part.starts_with("UPID") {
        "UPID"
    } else if part.parse::<u32>().is_ok() {
        "VMID"
    } else if part.parse::<std::net::IpAddr>().is_ok() {
        "ADDRESS"
    } else if part.starts_with("pve") {
        "NODE"
    } else {
        part
    }
}
