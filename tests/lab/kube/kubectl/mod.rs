//! kubectl inside a guest: the commands that installers and people use on a control plane, over the API's own tables.
//!
//! As the real one it has no default for root: `--kubeconfig`, `KUBECONFIG` or `~/.kube/config`.

mod apply;
mod get;
mod jsonpath;
mod kinds;
mod nodes;
mod token;
mod wait;

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use serde_json::json;

use super::{
    arguments::{Arguments, Known},
    client::Client,
    kubeconfig::Kubeconfig,
    paths, say, yaml,
};

const KNOWN: Known = Known {
    valued: &[
        "kubeconfig",
        "context",
        "namespace",
        "output",
        "selector",
        "filename",
        "field-selector",
        "raw",
        "timeout",
        "for",
        "grace-period",
        "request-timeout",
        "sort-by",
        "server",
        "cascade",
        "replicas",
        "duration",
        "from-literal",
        "from-file",
        "pod-selector",
        "dry-run",
        "field-manager",
    ],
    switches: &[
        "all-namespaces",
        "all",
        "watch",
        "wait",
        "force",
        "no-headers",
        "ignore-not-found",
        "ignore-daemonsets",
        "delete-emptydir-data",
        "delete-local-data",
        "disable-eviction",
        "overwrite",
        "server-side",
        "force-conflicts",
        "client",
        "validate",
        "show-labels",
        "short",
        "minify",
        "flatten",
        "list",
        "quiet",
        "recursive",
    ],
};

/// One call of kubectl: what was asked, and the cluster to ask.
struct Session {
    arguments: Arguments,
    client: Client,
    namespace: String,
}

pub(super) async fn run(arguments: Vec<String>) -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse(&arguments, &KNOWN)?;
    let words: Vec<String> = arguments.positional.clone();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if arguments.is_set("help") || words.is_empty() {
        say(
            "kubectl controls the Kubernetes cluster manager.\n\nCommands: annotate, api-resources, apply, cluster-info, config, cordon, create, delete, drain, get, label, rollout, scale, uncordon, version, wait",
        );
        return Ok(ExitCode::SUCCESS);
    }
    if words[0] == "version" {
        return version(&arguments).await;
    }
    if words[..] == ["config", "view"] {
        say(std::fs::read_to_string(kubeconfig_file(&arguments)?)?.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let session = Session::open(arguments)?;
    match words.as_slice() {
        ["get", rest @ ..] => get::run(&session, rest).await,
        ["api-resources"] => kinds::list(&session).await,
        ["cluster-info"] => {
            session.client.get("/api/v1/namespaces/kube-system/services").await?;
            say(format!("Kubernetes control plane is running at {}", session.server()?));
            Ok(ExitCode::SUCCESS)
        }
        ["apply"] => apply::apply(&session).await,
        ["create", "token", name] => token::create(&session, name).await,
        ["create", rest @ ..] => apply::create(&session, rest).await,
        ["delete", rest @ ..] => apply::delete(&session, rest).await,
        ["label", rest @ ..] => nodes::metadata(&session, "label", rest).await,
        ["annotate", rest @ ..] => nodes::metadata(&session, "annotate", rest).await,
        ["cordon", names @ ..] => nodes::cordon(&session, names, true).await,
        ["uncordon", names @ ..] => nodes::cordon(&session, names, false).await,
        ["drain", names @ ..] => nodes::drain(&session, names).await,
        ["scale", rest @ ..] => nodes::scale(&session, rest).await,
        ["wait", rest @ ..] => wait::wait(&session, rest).await,
        ["rollout", "status", rest @ ..] => wait::rollout_status(&session, rest).await,
        ["rollout", "restart", rest @ ..] => wait::rollout_restart(&session, rest).await,
        other => bail!(
            "unknown command \"{}\" for \"kubectl\" (the stand-in does not know it)",
            other.join(" ")
        ),
    }
}

/// The kubeconfig's file, found as the real one finds it.
fn kubeconfig_file(arguments: &Arguments) -> anyhow::Result<PathBuf> {
    if let Some(file) = arguments.value("kubeconfig") {
        return Ok(PathBuf::from(file));
    }
    if let Some(list) = std::env::var_os("KUBECONFIG")
        && let Some(first) = std::env::split_paths(&list).find(|file| file.exists())
    {
        return Ok(first);
    }
    let home = std::env::var_os("HOME")
        .map_or_else(|| PathBuf::from("/root"), PathBuf::from)
        .join(".kube/config");
    if !home.exists() {
        bail!(super::client::ApiError::Unreachable {
            server: "localhost:8080".to_owned(),
            reason: "no kubeconfig".to_owned(),
            refused: true,
        });
    }
    Ok(home)
}

impl Session {
    fn open(arguments: Arguments) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(kubeconfig_file(&arguments)?)?;
        let config = Kubeconfig::parse(&text, arguments.value("context"))?;
        let namespace =
            arguments.value("namespace").map(str::to_owned).or_else(|| config.namespace.clone());
        Ok(Self {
            client: Client::new(&config)?,
            arguments,
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
        })
    }

    fn server(&self) -> anyhow::Result<String> {
        Ok(Kubeconfig::load(&kubeconfig_file(&self.arguments)?)?.server)
    }

    /// How long a command may wait: `--timeout`, where 0 is for ever.
    fn deadline(&self, default: &str) -> anyhow::Result<tokio::time::Instant> {
        let timeout =
            super::arguments::duration(self.arguments.value("timeout").unwrap_or(default))?;
        let timeout =
            if timeout.is_zero() { std::time::Duration::from_hours(168) } else { timeout };
        Ok(tokio::time::Instant::now() + timeout)
    }
}

async fn version(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let own = format!("v{}", paths::version_of("kubectl"));
    let server = if arguments.is_set("client") {
        None
    } else {
        let config = kubeconfig_file(arguments).and_then(|file| Kubeconfig::load(&file));
        match config.and_then(|config| Client::new(&config)) {
            Ok(client) => Some(client.get("/version").await),
            Err(error) => {
                say(format!("Client Version: {own}"));
                return Err(error);
            }
        }
    };
    let known = server.as_ref().and_then(|server| server.as_ref().ok());
    if let Some(format @ ("json" | "yaml")) = arguments.value("output") {
        let mut info = json!({"clientVersion": {"gitVersion": own}});
        if let Some(server) = known {
            info["serverVersion"] = server.clone();
        }
        say(if format == "json" { format!("{info:#}") } else { yaml::render(&info) });
    } else {
        say(format!("Client Version: {own}"));
        if let Some(server) = known {
            say(format!("Server Version: {}", server["gitVersion"].as_str().unwrap_or_default()));
        }
    }
    match server {
        Some(Err(error)) => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Rows as aligned columns, three blanks apart.
pub(super) fn columns(rows: &[Vec<impl AsRef<str>>]) -> String {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| Some(row.get(column)?.as_ref().chars().count()))
            .max()
            .unwrap_or(0)
    };
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells =
                row.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", cell.as_ref()));
            cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}
