//! `kubesmith-lab demo`: from nothing to `kubectl get nodes`, with the real Terraform and the real Ansible.
//!
//! Only Proxmox and Kubernetes' packages are the lab's own. What runs is `examples/minimal`, unchanged.

use std::{
    fmt::Display,
    io::{IsTerminal as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::process::Command;

use crate::{
    command,
    guests::cleanup,
    host,
    portal::{
        self, Portal,
        people::{self, Person},
    },
    session::{Session, Workspace},
};

const EXAMPLE: &str = include_str!("../../examples/minimal/main.tf");
const CLUSTER: &str = "kubesmith_cluster.demo";
const ID: &str = "kubesmith-demo";

/// What `kubesmith-lab demo` was asked to do.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Destroy the cluster at the end, and check that nothing is left.
    #[arg(long)]
    pub once: bool,
    /// Take the programs beside this one as they are, instead of building them first.
    #[arg(long, hide = true)]
    pub built: bool,
}

/// Runs the demo.
pub async fn run(options: Options) -> Result<()> {
    let began = Instant::now();
    if let Some(why) = host::why_no_guests() {
        bail!("the demo boots light guests, and {why}");
    }
    title("Preparing what is missing");
    host::prepare().await?;
    let programs = Programs::find().await?;
    let provider = if options.built {
        beside("terraform-provider-kubesmith")?
    } else {
        build_provider().await?
    };

    title("Starting a datacentre: three Proxmox nodes, two templates, nothing else");
    let session = Session::start(ID).await?;
    say(format_args!("  Proxmox API   {}", session.url()));

    title("terraform apply: a pool of addresses, a lease, a cluster of 1 + 2");
    let workspace =
        session.workspace("workspace", EXAMPLE, &provider, &programs.ansible_playbook)?;
    workspace.terraform(&["init", "-no-color"]).await?;
    apply(&workspace, &["apply", "-auto-approve", "-no-color"]).await?;

    title("kubectl get nodes");
    let kubeconfig = workspace.kubeconfig(CLUSTER).await?;
    let mut kubectl = session.inside(&programs.kubectl);
    kubectl.arg("--kubeconfig").arg(&kubeconfig).args(["get", "nodes", "-o", "wide"]);
    say(String::from_utf8_lossy(&command::output(&mut kubectl).await?.stdout));
    say(format_args!("From nothing to a kubeconfig in {} s.", began.elapsed().as_secs()));

    if options.once {
        title("terraform destroy");
        apply(&workspace, &["destroy", "-auto-approve", "-no-color"]).await?;
        show_receipt(&workspace)?;
    } else {
        title("A portal over the same datacentre");
        let programs = portal::Programs {
            portal: portal::portal_program(options.built).await?,
            provider,
            ansible_playbook: programs.ansible_playbook,
        };
        let portal = open_portal(&session, &programs).await?;
        play_on(&workspace, &kubeconfig).await?;
        portal.end().await?;
    }
    title("Taking the datacentre away");
    if options.once {
        session.check_empty().await?;
    }
    session.end().await?;
    let left = cleanup::leftovers(ID).await;
    ensure!(left.is_empty(), "the lab left something behind:\n  {}", left.join("\n  "));
    say("No VM, address, process, mount or namespace is left.");
    Ok(())
}

/// Programs that the machine may lack.
struct Programs {
    ansible_playbook: PathBuf,
    kubectl: PathBuf,
}

impl Programs {
    async fn find() -> Result<Self> {
        Ok(Self {
            ansible_playbook: host::ansible_playbook(&host::cache_dir()).await?,
            kubectl: host::kubectl().await?,
        })
    }
}

/// Builds the provider and the stand-ins beside this program, with the same profile; answers the provider's path.
pub(crate) async fn build_provider() -> Result<PathBuf> {
    const PROVIDER: &str = "terraform-provider-kubesmith";
    let provider = build(PROVIDER, Program::Bin(PROVIDER)).await?;
    build("kubesmith-lab", Program::Bin("kubesmith-standin")).await?;
    Ok(provider)
}

/// What a package makes.
#[derive(Clone, Copy)]
pub(crate) enum Program {
    Bin(&'static str),
    Example(&'static str),
}

/// Builds a program of this workspace beside this one, with the same profile; answers its path.
pub(crate) async fn build(package: &str, program: Program) -> Result<PathBuf> {
    let (path, target, program) = match program {
        Program::Bin(program) => (beside(program)?, "--bin", program),
        Program::Example(program) => (beside("examples")?.join(program), "--example", program),
    };
    let mut cargo = command::command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "-p", package, target, program]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    if beside("")?.ends_with("release") {
        cargo.arg("--release");
    }
    command::output(&mut cargo).await.with_context(|| format!("{program} does not build"))?;
    Ok(path)
}

pub(crate) fn beside(program: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().context("this program lies in a folder")?.join(program))
}

/// Runs Terraform and shows the provider's stages as they pass.
async fn apply(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let began = Instant::now();
    let log = std::fs::File::create(workspace.dir().join("terraform.log"))?;
    let mut child = workspace
        .command(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("terraform does not start")?;
    let mut shown = workspace.events()?.len();
    let mut look = tokio::time::interval(std::time::Duration::from_millis(100));
    let status = loop {
        let ended = tokio::select! {
            status = child.wait() => Some(status?),
            _ = look.tick() => None,
        };
        let events = workspace.events()?;
        for event in &events[shown.min(events.len())..] {
            show_event(event, began);
        }
        shown = events.len();
        if let Some(status) = ended {
            break status;
        }
    };
    let log = std::fs::read_to_string(workspace.dir().join("terraform.log"))?;
    ensure!(status.success(), "terraform {} failed:\n{log}", arguments[0]);
    let last = log.lines().rev().find(|line| line.contains("complete!"));
    say(format_args!("  {}", last.unwrap_or("done")));
    Ok(())
}

/// One line for a step that ended; a step that began is shown only when it takes part in the story.
fn show_event(event: &serde_json::Value, began: Instant) {
    let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let mark = match text("status").as_str() {
        "done" => "ok",
        "failed" => "FAILED",
        _ => return,
    };
    let detail = event["detail"].as_str().map(|detail| format!("  ({detail})")).unwrap_or_default();
    let seconds = began.elapsed().as_secs_f32();
    say(format_args!(
        "  {seconds:6.1} s  {:<10} {:<60} {mark}{detail}",
        text("phase"),
        text("step")
    ));
}

fn show_receipt(workspace: &Workspace) -> Result<()> {
    let events = workspace.events()?;
    let receipt = events.iter().rev().find(|event| event["receipt"].is_object());
    let receipt = &receipt.context("the destroy left no receipt")?["receipt"];
    say(format_args!(
        "  seen absent: VMIDs {}, addresses {}",
        receipt["vmids"], receipt["addresses"]
    ));
    Ok(())
}

/// Starts a portal with a few people in a course, and says how each of them enters.
async fn open_portal(session: &Session, programs: &portal::Programs) -> Result<Portal> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 8080))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let portal = Portal::start(session, programs, socket).await?;
    say(format_args!("  {}", portal.url));
    say(
        "  Each link sets a password, once; two browsers, or a private window, show two people at a time:",
    );
    for Person { login, role, link } in people::invite(&portal.url, &portal.link).await? {
        say(format_args!("  {login:<6} {role:<10} {link}"));
    }
    Ok(portal)
}

/// Says how to use the cluster and waits for the end.
async fn play_on(workspace: &Workspace, kubeconfig: &Path) -> Result<()> {
    title("The lab stays up");
    say(format_args!("  workspace     {}", workspace.dir().display()));
    say(format_args!("  kubeconfig    {}", kubeconfig.display()));
    say(
        "  In another terminal, inside the lab's network, with everything set for terraform and kubectl:",
    );
    say(format_args!("      {}", workspace.shell_hint()));
    say(
        "  Try: change workers.count in main.tf and `terraform apply`; `kubectl get nodes`; `terraform destroy`.",
    );
    say(
        "  Your own: cp -r ../examples/module mine && cd mine && export KUBESMITH_OWNER=mine && terraform init && terraform apply",
    );
    say("  Enter or Ctrl-C here ends the lab and removes everything.");
    until_the_end().await
}

/// Until Enter or Ctrl-C.
pub(crate) async fn until_the_end() -> Result<()> {
    if !std::io::stdin().is_terminal() {
        tokio::signal::ctrl_c().await?;
        return Ok(());
    }
    let enter = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended?,
        ended = enter => drop(ended?),
    }
    Ok(())
}

pub(crate) fn title(text: &str) {
    say(format_args!("\n== {text}"));
}

/// The demo talks to a person: standard output, and a closed one is not an error.
pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A command that is not interrupted together with us: Ctrl-C is ours to handle.
pub(crate) fn apart(mut command: Command) -> Command {
    command.process_group(0);
    command
}
