//! `kubesmith-lab`: the simulated datacentre from the command line.

use clap::{Parser, Subcommand};
use kubesmith_lab::{bench, components, demo, host, portal, serve};

#[derive(Parser)]
#[command(
    name = "kubesmith-lab",
    version,
    about = "A simulated Proxmox datacentre on this machine"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build a cluster in the lab from nothing, show it, and take it away again.
    Demo(demo::Options),
    /// Serve the portal over a simulated datacentre, to click through it in a browser.
    Portal(portal::Options),
    /// Measure the speed that we hold ourselves to; fails when a bound is missed.
    Bench(bench::Options),
    /// Install what the lab and the tests need and this machine lacks.
    Prepare {
        /// Also what the lints need.
        #[arg(long)]
        lint: bool,
    },
    /// Print the path of a program that the lab provides: `ansible-playbook`, `ansible-lint`, `kubectl`, `packer`,
    /// `schemathesis`, `chromium` or `chromedriver`.
    Tool {
        /// Its name.
        name: String,
    },
    /// Kubernetes' own programs, for labs whose guests are to run them.
    #[command(subcommand)]
    Kubernetes(Kubernetes),
    /// Serve a lab until stdin closes or SIGTERM; prints one JSON line when it is ready.
    Serve(serve::Options),
    /// Open a shell inside a running lab's network.
    Shell(serve::Named),
    /// Remove what a lab that was killed left behind.
    Down(serve::Named),
}

#[derive(Subcommand)]
enum Kubernetes {
    /// Build them from Debian's source package: most of an hour on two busy cores.
    Build(components::BuildOptions),
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .init();
    match Arguments::parse().command {
        Command::Demo(options) => runtime()?.block_on(demo::run(options)),
        Command::Portal(options) => runtime()?.block_on(portal::run(options)),
        Command::Bench(options) => runtime()?.block_on(bench::run(options)),
        Command::Prepare { lint } => runtime()?.block_on(prepare(lint)),
        Command::Tool { name } => runtime()?.block_on(tool(&name)),
        Command::Kubernetes(Kubernetes::Build(options)) => {
            runtime()?.block_on(components::build_from_source(options))
        }
        Command::Serve(options) => serve::run(options),
        Command::Shell(named) => serve::shell(&named),
        Command::Down(named) => serve::down(&named),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn prepare(lint: bool) -> anyhow::Result<()> {
    host::prepare().await?;
    tool("ansible-playbook").await?;
    tool("kubectl").await?;
    for name in ["chromium", "chromedriver", "schemathesis"] {
        if let Err(why) = tool(name).await {
            tracing::warn!("tests that need {name} are skipped: {why:#}");
        }
    }
    if lint {
        tool("ansible-lint").await?;
        tool("packer").await?;
    }
    Ok(())
}

async fn tool(name: &str) -> anyhow::Result<()> {
    let cache = host::cache_dir();
    let path = match name {
        "ansible-playbook" => host::ansible_playbook(&cache).await?,
        "ansible-lint" => host::ansible_lint(&cache).await?,
        "kubectl" => host::kubectl().await?,
        "packer" => host::packer().await?,
        "schemathesis" => host::schemathesis(&cache).await?,
        "chromium" => host::chromium().await?,
        "chromedriver" => host::chromedriver().await?,
        _ => {
            anyhow::bail!(
                "the lab provides ansible-playbook, ansible-lint, kubectl, packer, schemathesis, chromium and chromedriver, not {name}"
            )
        }
    };
    demo::say(path.display());
    Ok(())
}
