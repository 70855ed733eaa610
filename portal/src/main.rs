//! The program: `serve`, and what an operator does beside it.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Parser, Subcommand};
use kubesmith_portal::App;
use kubesmith_portal::config::Config;
use kubesmith_portal::people::accounts;
use kubesmith_portal::serve::serve;
use kubesmith_portal::upkeep;
use tracing_subscriber::EnvFilter;

/// Self-service Kubernetes clusters: the portal.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve pages and API until asked to stop.
    Serve {
        #[command(flatten)]
        with: WithConfig,
        /// Serve the listening socket on standard input as well (`StandardInput=socket` of systemd).
        #[arg(long)]
        socket_on_stdin: bool,
    },
    /// Write a configuration in which every key is explained.
    Init {
        /// Where to; never over a file that is there.
        #[arg(default_value = "kubesmith-portal.toml")]
        file: PathBuf,
    },
    /// What only whoever is on the host may do.
    #[command(subcommand)]
    Admin(Admin),
    /// Copy database and workspaces into a new folder. The portal may go on serving.
    Backup {
        #[command(flatten)]
        with: WithConfig,
        /// The folder to make.
        to: PathBuf,
    },
    /// Print the description of the API (`OpenAPI`, JSON).
    Openapi,
    /// Check that a backup is whole.
    Verify {
        /// The backup's folder.
        backup: PathBuf,
    },
    /// Put a backup back, where nothing is yet.
    Restore {
        #[command(flatten)]
        with: WithConfig,
        /// The backup's folder.
        backup: PathBuf,
    },
}

#[derive(Subcommand)]
enum Admin {
    /// Print a link that sets a password, good for 30 minutes; enables the account if it is disabled.
    /// Without a login: the link that makes the first administrator.
    Recover {
        #[command(flatten)]
        with: WithConfig,
        /// Whose password was lost.
        login: Option<String>,
    },
}

#[derive(clap::Args)]
struct WithConfig {
    /// The configuration file, as `init` writes it.
    #[arg(long, value_name = "FILE", env = "KUBESMITH_PORTAL_CONFIG")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    if matches!(command, Command::Serve { .. }) {
        // Whatever Terraform and what it starts write is the portal's account's alone.
        rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let read = |with: WithConfig| Config::read(&with.config);
        match command {
            Command::Serve { with, socket_on_stdin } => {
                let socket = socket_on_stdin.then(inherited).transpose()?;
                serve(read(with)?, socket).await
            }
            Command::Init { file } => {
                upkeep::init(&file)?;
                say(&format!("Wrote {}. Read it, then: kubesmith-portal serve --config {0}", file.display()))
            }
            Command::Admin(Admin::Recover { with, login }) => recover(read(with)?, login.as_deref()).await,
            Command::Backup { with, to } => {
                let files = upkeep::backup(&read(with)?, &to).await?;
                say(&format!("{files} files in {}. It holds states with secrets: keep it where the portal's data may lie.", to.display()))
            }
            Command::Openapi => say(&kubesmith_portal::api::openapi::document().to_pretty_json()?),
            Command::Verify { backup } => say(&upkeep::verify(&backup).await?),
            Command::Restore { with, backup } => {
                let holds = upkeep::restore(&read(with)?, &backup).await?;
                say(&format!("Restored a backup that is {holds}."))
            }
        }
    })
}

/// The listening socket that whoever started us left on standard input.
fn inherited() -> anyhow::Result<TcpListener> {
    Ok(TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned()?))
}

async fn recover(config: Config, login: Option<&str>) -> anyhow::Result<()> {
    let app = App::open(config).await?;
    let link = match login {
        Some(login) => accounts::recover(&app, login).await?,
        None => accounts::bootstrap(&app).await.map_err(|error| anyhow!("{error}"))?.ok_or_else(
            || anyhow!("this site has an administrator already; name whose password was lost"),
        )?,
    };
    app.store.close().await;
    say(&format!("Open this once, within 30 minutes:\n\n  {}\n", link.url))
}

/// To standard output, for whoever typed the command.
fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
