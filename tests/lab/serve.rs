//! `kubesmith-lab serve`: a lab as a process of its own.
//!
//! With guests it runs inside the lab's network: the process makes the network, then becomes itself again in there. It
//! ends when its standard input closes or a signal comes, and takes everything away that it made.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::components::Components;
use crate::control::{self, Lab};
use crate::guests::network::{GATEWAY, Network};
use crate::guests::{Guests, cleanup, image};
use crate::pve::{self, Pve, Seed, Version};
use crate::{command, host, packages};

/// What to serve.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "these are flags of a command line")]
pub struct Options {
    /// Only the API: virtual machines start and stop, but nothing boots in them.
    #[arg(long)]
    pve_only: bool,
    /// The version to be.
    #[arg(long, value_enum, default_value_t)]
    pve_version: Version,
    /// The port of the API; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The datacentre to begin with.
    #[arg(long, value_enum, default_value_t)]
    seed: Seed,
    /// The lab's name, after which everything that it makes on this machine is named.
    #[arg(long)]
    id: Option<String>,
    /// Where guests' disks and certificates lie; a temporary folder otherwise.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Tasks and delays take almost no time.
    #[arg(long)]
    fast: bool,
    /// Seconds for which names and states in lists may be old; 10 on the real thing.
    #[arg(long)]
    status_round: Option<u64>,
    /// Serve on when standard input closes; a signal ends it.
    #[arg(long)]
    detached: bool,
    /// This process is inside the lab's network already.
    #[arg(long, hide = true)]
    inside: bool,
}

/// Which lab is meant.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// The lab's id.
    #[arg(long, default_value = "kubesmith-demo")]
    id: String,
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = Runtime::new()?;
    let result = runtime.block_on(work);
    // Not dropped: that would wait for whoever is still reading standard input.
    runtime.shutdown_background();
    result
}

/// Serves until standard input closes or a signal comes.
pub fn run(options: Options) -> Result<()> {
    let id = options.id.clone().unwrap_or_else(|| format!("lab-{}", std::process::id()));
    if options.pve_only {
        return block_on(serve(options, id, None));
    }
    if options.inside {
        let netns = Path::new("/run/netns").join(&id);
        return block_on(serve(options, id, Some(netns)));
    }
    let network = block_on(prepare(&id))?;
    let mut again = command::blocking("nsenter");
    again.arg(format!("--net={}", network.path().display())).arg("--");
    again.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).arg("--inside");
    if options.id.is_none() {
        again.args(["--id", &id]);
    }
    // Only returns if it fails: from here on this process is the one inside.
    let error = again.exec();
    block_on(Network::remove(&id))?;
    Err(error).context("failed to enter the lab's network with nsenter")
}

/// Makes what needs the way out, and then the network that has none.
async fn prepare(id: &str) -> Result<Network> {
    if let Some(why) = host::why_no_guests() {
        bail!("{why}; `--pve-only` serves the API without guests");
    }
    host::prepare().await?;
    cleanup::reap(id).await?;
    image::ensure_all().await?;
    Network::create(id).await
}

async fn serve(options: Options, id: String, netns: Option<PathBuf>) -> Result<()> {
    let temporary = match &options.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("failed to make {}", dir.display()))?;
            None
        }
        None => Some(tempfile::Builder::new().prefix(&format!("kubesmith-{id}-")).tempdir()?),
    };
    let dir = options.dir.clone().or_else(|| temporary.as_ref().map(|dir| dir.path().to_owned()));
    let dir = dir.context("one of the two is set")?;
    let guests = netns.as_ref().map(|_| Guests::open(&dir, &id)).transpose()?;
    let served = until_told_to_stop(&options, &id, &dir, netns.as_deref(), guests.clone()).await;
    // Also after a failure: nothing may stay behind.
    if let Some(guests) = guests {
        guests.close().await?;
        Network::remove(&id).await?;
    }
    served
}

async fn until_told_to_stop(
    options: &Options,
    id: &str,
    dir: &Path,
    netns: Option<&Path>,
    guests: Option<Arc<Guests>>,
) -> Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let packages = match &guests {
        Some(_) => {
            let folder = dir.join("packages");
            let versions = [image::GOLDEN_VERSION];
            let folder = packages::build_repository(&folder, &versions).await?.folder;
            let debian = image::ensure_debian(&host::cache_dir()).await?;
            std::os::unix::fs::symlink(debian, folder.join("debian"))?;
            Some(folder)
        }
        None => None,
    };
    // Without guests nobody could tell what a template's machines carry.
    let components = if guests.is_some() { Components::of_environment()? } else { None };
    let pve = Pve::start(pve::Options {
        version: options.pve_version,
        seed: options.seed,
        fast: options.fast,
        status_round: options.status_round.map(|seconds| Duration::from_secs(seconds.max(1))),
        kubernetes_template: components.as_ref().map(Components::template),
        guests: guests.clone(),
        listen: SocketAddr::from(([127, 0, 0, 1], options.port)),
    })
    .await?;
    let ca_file = dir.join("ca.pem");
    std::fs::write(&ca_file, &pve.ca_pem)
        .with_context(|| format!("failed to write {}", ca_file.display()))?;
    let loopback = TcpListener::bind(("127.0.0.1", 0)).await?;
    let about = json!({
        "url": pve.url, "ca_file": ca_file, "token": pve.token, "fingerprint": pve.fingerprint, "id": id,
        "netns": netns, "control": format!("http://{}", loopback.local_addr()?),
        "kubernetes": components.map(|own| json!({"template": own.template(), "version": own.version})),
    });
    let in_network = match netns {
        Some(_) => Some(
            TcpListener::bind((GATEWAY, 80))
                .await
                .context("failed to serve in the lab's network")?,
        ),
        None => None,
    };
    let lab = Arc::new(Lab { pve, guests, packages });
    let mut servers = tokio::task::JoinSet::new();
    for listener in [Some(loopback), in_network].into_iter().flatten() {
        servers.spawn(control::serve(Arc::clone(&lab), listener));
    }
    writeln!(std::io::stdout(), "{about}").context("failed to say that the lab is ready")?;
    let detached = options.detached;
    tokio::select! {
        () = input_closed(), if !detached => Ok(()),
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
        Some(ended) = servers.join_next() => ended?,
    }
}

/// Returns once whoever started us has closed our standard input, or is gone.
async fn input_closed() {
    let mut input = tokio::io::stdin();
    let mut buffer = [0; 256];
    while matches!(input.read(&mut buffer).await, Ok(1..)) {}
}

/// Opens a shell in the network of a lab that runs.
pub fn shell(named: &Named) -> Result<()> {
    let netns = Path::new("/run/netns").join(&named.id);
    if !netns.exists() {
        bail!(
            "no lab \"{}\" runs here: start one with `kubesmith-lab serve --id {}`",
            named.id,
            named.id
        );
    }
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let error = command::blocking("nsenter")
        .arg(format!("--net={}", netns.display()))
        .arg("--")
        .arg(shell)
        .exec();
    Err(error).context("failed to enter the lab's network with nsenter")
}

/// Removes what a lab that was killed left behind.
pub fn down(named: &Named) -> Result<()> {
    block_on(cleanup::reap(&named.id))
}
