//! `kubesmith-lab portal`: the portal over a simulated datacentre, for whoever wants to click through it.
//!
//! The portal, its Terraform and its SSH live inside the lab's network. The socket that browsers come through is opened
//! out here and handed to the portal, so that nothing has to be forwarded.

pub(crate) mod people;

use std::{
    fs,
    io::Write as _,
    net::{Ipv4Addr, TcpListener},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::Child,
};

use crate::{
    demo::{Program, apart, beside, build, build_provider, say, title, until_the_end},
    guests::cleanup,
    host,
    session::{self, Session},
};

/// Its pool of addresses is what an administrator makes before anybody can use the portal.
const EXAMPLE: &str = include_str!("../../examples/minimal/main.tf");

/// What `kubesmith-lab portal` was asked to do.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The port on this machine; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The lab's id.
    #[arg(long, default_value = "kubesmith-portal")]
    id: String,
    /// For programs: one JSON line when it is ready, and the end when standard input closes.
    #[arg(long)]
    json: bool,
    /// Take the programs beside this one as they are, instead of building them first.
    #[arg(long, hide = true)]
    built: bool,
}

/// The programs that it takes.
pub(crate) struct Programs {
    pub(crate) portal: PathBuf,
    pub(crate) provider: PathBuf,
    pub(crate) ansible_playbook: PathBuf,
}

/// Serves until Enter or Ctrl-C, and takes everything away.
pub async fn run(options: Options) -> Result<()> {
    if let Some(why) = host::why_no_guests() {
        bail!("the portal's clusters are light guests, and {why}");
    }
    let tell = |text: &str| if options.json { tracing::info!("{text}") } else { title(text) };
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))
        .with_context(|| format!("port {} is taken; choose another with --port", options.port))?;
    tell("Preparing what is missing");
    host::prepare().await?;
    let programs = Programs::find(options.built).await?;
    tell("Starting a datacentre: three Proxmox nodes, two templates, a pool of addresses");
    let session = Session::start(&options.id).await?;
    let served = serve(&session, &programs, socket, &options).await;
    let ended = session.end().await;
    served?;
    ended?;
    let left = cleanup::leftovers(&options.id).await;
    ensure!(left.is_empty(), "the lab left something behind:\n  {}", left.join("\n  "));
    Ok(())
}

async fn serve(
    session: &Session,
    programs: &Programs,
    socket: TcpListener,
    options: &Options,
) -> Result<()> {
    let pool =
        session.workspace("pool", EXAMPLE, &programs.provider, &programs.ansible_playbook)?;
    pool.terraform(&["init", "-no-color"]).await?;
    pool.terraform(&["apply", "-auto-approve", "-no-color", "-target=kubesmith_ip_pool.lab"])
        .await?;
    let mut portal = Portal::start(session, programs, socket).await?;
    if options.json {
        let about = json!({
            "url": portal.url,
            "link": portal.link,
            "lab": session.all_about(),
            "log": portal.log,
        });
        say(about);
        let closed = async { tokio::io::stdin().read_to_end(&mut Vec::new()).await };
        tokio::select! {
            closed = closed => drop(closed?),
            status = portal.child.wait() => bail!("the portal ended: {}", status?),
        }
    } else {
        title("The portal is there");
        say(format_args!(
            "  Open this in a browser, within 30 minutes, to become its administrator:\n"
        ));
        say(format_args!("      {}\n", portal.link));
        say("  An environment takes the address pool `lab`, the bridge `vmbr0` and the VLAN 119.");
        say(format_args!("  Its log: {}", portal.log.display()));
        say("  Enter or Ctrl-C here ends it, destroys its clusters and removes everything.");
        until_the_end().await?;
    }
    portal.end().await
}

/// A portal that runs.
pub(crate) struct Portal {
    child: Child,
    /// Where it answers.
    pub(crate) url: String,
    /// Makes its first administrator.
    pub(crate) link: String,
    log: PathBuf,
}

impl Portal {
    /// Starts it in the lab's network, for browsers that come through the socket.
    pub(crate) async fn start(
        session: &Session,
        programs: &Programs,
        socket: TcpListener,
    ) -> Result<Self> {
        let folder = session.dir().join("portal");
        fs::create_dir_all(&folder)?;
        let port = socket.local_addr()?.port();
        let url = format!("http://127.0.0.1:{port}");
        session::mirror(&folder.join("mirror"), session::PROVIDER, &programs.provider)?;
        let token = folder.join("token");
        secret(&token, session.about("token"))?;
        let config = folder.join("kubesmith-portal.toml");
        fs::write(&config, settings(session, programs, &folder, &token, port)?)?;
        let log = folder.join("portal.log");
        let mut serve = apart(session.inside(&programs.portal));
        serve.arg("serve").arg("--config").arg(&config).arg("--socket-on-stdin");
        serve.stdin(OwnedFd::from(socket)).stdout(Stdio::piped()).stderr(fs::File::create(&log)?);
        let mut child = serve.spawn().context("the portal does not start")?;
        let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some(link) = line.trim().strip_prefix(&url) {
                let link = format!("{url}{link}");
                return Ok(Self { child, url, link, log });
            }
        }
        bail!("the portal does not start:\n{}", fs::read_to_string(&log)?)
    }

    /// Asks it to end, and waits: a run that works is stopped first.
    pub(crate) async fn end(mut self) -> Result<()> {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let pid = rustix::process::Pid::from_raw(pid).context("a process has a number")?;
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        let status = self.child.wait().await?;
        ensure!(status.success(), "the portal ended with {status}");
        Ok(())
    }
}

/// Its configuration: the keys of `kubesmith-portal init`, with the lab's values.
fn settings(
    session: &Session,
    programs: &Programs,
    folder: &Path,
    token: &Path,
    port: u16,
) -> Result<String> {
    let machine = |cores: u32, memory_mib: u32| json!({"cores": cores, "memory_mib": memory_mib, "disk_gib": 20});
    let size = |id: &str, title: &str, workers: u32, max_workers: u32, worker| {
        json!({
            "id": id,
            "title": title,
            "workers": workers,
            "max_workers": max_workers,
            "control_plane": machine(2, 4096),
            "worker": worker,
        })
    };
    let settings = json!({
        "listen": format!("127.0.0.1:{port}"),
        "public_url": format!("http://127.0.0.1:{port}"),
        "data": folder.join("data"),
        "proxmox": {
            "endpoint": session.url(),
            "api_token_file": token,
            "ca_file": session.about("ca_file"),
        },
        "terraform": {
            "provider_mirror": folder.join("mirror"),
            "ansible_playbook": programs.ansible_playbook,
        },
        "template": [{
            "id": "ubuntu",
            "title": "Ubuntu 24.04, Kubernetes 1.36",
            "template": "ubuntu-24.04-k8s-1.36",
            "kubernetes_version": "1.36.4",
            "sizes": [
                size("small", "Small: for exercises", 1, 3, machine(2, 4096)),
                size("medium", "Medium: for projects", 2, 5, machine(2, 8192)),
            ],
        }],
    });
    toml::to_string(&settings).context("the settings are TOML")
}

/// A file that only we can read.
fn secret(path: &Path, text: &str) -> Result<()> {
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

/// The portal beside this program, built first unless it is to be taken as it is.
pub(crate) async fn portal_program(built: bool) -> Result<PathBuf> {
    if built {
        beside("kubesmith-portal")
    } else {
        build("kubesmith-portal", Program::Bin("kubesmith-portal")).await
    }
}

impl Programs {
    async fn find(built: bool) -> Result<Self> {
        Ok(Self {
            provider: if built {
                beside("terraform-provider-kubesmith")?
            } else {
                build_provider().await?
            },
            portal: portal_program(built).await?,
            ansible_playbook: host::ansible_playbook(&host::cache_dir()).await?,
        })
    }
}
