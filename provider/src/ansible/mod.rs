//! Runs a playbook over the machines of a cluster, in a private folder that is removed afterwards.
//!
//! Rust computes, Ansible assigns: inventory and variables are final values. Secrets are only in files that
//! nobody else may read, never in arguments or in the environment; the machines' key is on no disk at all.

mod content;
mod folder;
pub(crate) mod inventory;
mod line;
mod progress;
mod vars;

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use kubesmith_process::{Error, Line, Tool};
use kubesmith_spec::{ClusterSpec, NodeName};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use self::folder::Folder;
pub(crate) use self::folder::sweep;
use self::inventory::{Access, Host, inventory};
use self::progress::Progress;
use self::vars::vars;
use crate::events::Events;
use crate::secret_file::SecretFile;
use crate::wait::Limits;

/// How long the end of a connection may take.
const HANG_UP: Duration = Duration::from_secs(5);

/// The playbooks that the provider runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Playbook {
    /// From machines that answer to a cluster.
    Site,
    /// Drain nodes and take them out.
    Remove,
    /// Fetch the kubeconfig and nothing else.
    Kubeconfig,
}

/// What a playbook runs on.
pub(crate) struct Run<'a> {
    /// The program `ansible-playbook`.
    pub(crate) program: &'a Path,
    /// The cluster.
    pub(crate) spec: &'a ClusterSpec,
    /// The machines.
    pub(crate) hosts: &'a [Host],
    /// The private key that opens them.
    pub(crate) private_key: &'a str,
    /// Their pinned host keys.
    pub(crate) known_hosts: &'a str,
    /// The nodes that `remove.yml` takes out.
    pub(crate) remove: &'a [NodeName],
}

/// Why a playbook did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlayError {
    /// The folder for the run could not be made.
    #[error("the folder for the playbook could not be written: {0}")]
    Folder(#[from] io::Error),
    /// Tasks failed.
    #[error("{}", .0.join("\n"))]
    Tasks(Vec<String>),
    /// The program itself did not work.
    #[error(transparent)]
    Program(#[from] Error),
}

impl Playbook {
    fn file(self) -> &'static str {
        match self {
            Self::Site => "site.yml",
            Self::Remove => "remove.yml",
            Self::Kubeconfig => "kubeconfig.yml",
        }
    }
}

/// Runs the playbook. Returns the kubeconfig, if the playbook fetched it.
pub(crate) async fn play(
    run: &Run<'_>,
    playbook: Playbook,
    limits: &Limits,
    events: &Events,
) -> Result<Option<Zeroizing<String>>, PlayError> {
    let folder = Folder::new()?;
    let root = folder.path();
    let private_key = SecretFile::new(run.private_key.as_bytes())?;
    prepare(run, root, &private_key.path())?;

    let told = root.join("events.jsonl");
    let mut progress = Progress::follow(&told, events)?;
    let tool = Tool::new(run.program)
        .args(["-i", "inventory.json", "-e", "@vars.json"])
        .arg(Path::new("ansible").join(playbook.file()))
        .current_dir(root);
    // A person's own settings, such as ANSIBLE_HOST_KEY_CHECKING=False, would win over ours.
    let theirs = std::env::vars_os().map(|(name, _)| name);
    let theirs = theirs.filter(|name| name.as_encoded_bytes().starts_with(b"ANSIBLE_"));
    let tool = theirs
        .fold(tool, Tool::env_remove)
        .env("ANSIBLE_CONFIG", root.join("ansible/ansible.cfg"))
        .env("ANSIBLE_HOME", root.join("home"))
        .env("ANSIBLE_LOCAL_TEMP", root.join("tmp"))
        .env("ANSIBLE_SSH_CONTROL_PATH_DIR", root.join("cp"))
        .env("ANSIBLE_NOCOLOR", "1")
        .env("KUBESMITH_ANSIBLE_EVENTS", &told)
        // If we are killed, the playbook ends too: the next apply takes these machines over.
        .stdin_lifeline()
        .env("KUBESMITH_ANSIBLE_LIFELINE", "1")
        .env_remove("KUBESMITH_API_TOKEN")
        .timeout(limits.left());
    let finished = tool.run(&limits.cancel, |line| {
        let (Line::Stdout(text) | Line::Stderr(text)) = line;
        tracing::debug!(target: "ansible", "{text}");
        progress.catch_up();
    });
    let finished = finished.await;
    progress.catch_up();
    hang_up(&root.join("cp")).await;
    match finished {
        Ok(_) => Ok(read_secret(&root.join("artifacts/kubeconfig"))?),
        Err(Error::Failed { .. }) if !progress.failures.is_empty() => {
            Err(PlayError::Tasks(progress.failures))
        }
        Err(error) => Err(error.into()),
    }
}

/// Ends the ssh connections that Ansible keeps open for its next task: nothing outlives a run.
async fn hang_up(sockets: &Path) {
    let sockets = std::fs::read_dir(sockets).into_iter().flatten().flatten();
    let exits = sockets.map(|socket| async move {
        let path = format!("ControlPath={}", socket.path().display());
        let tool = Tool::new("ssh").args(["-F", "none", "-O", "exit", "-o", &path, "any"]);
        let ended = tool.timeout(HANG_UP).output(&CancellationToken::new()).await;
        if let Err(error) = ended {
            tracing::debug!(%error, "an ssh connection ends by itself");
        }
    });
    join_all(exits).await;
}

/// Fills the folder of a run.
fn prepare(run: &Run<'_>, root: &Path, private_key: &Path) -> io::Result<()> {
    content::unpack(&root.join("ansible"))?;
    for folder in ["artifacts", "home", "tmp", "cp"] {
        DirBuilder::new().mode(0o700).create(root.join(folder))?;
    }
    let known_hosts = root.join("known_hosts");
    let access = Access { user: &run.spec.ssh_user, private_key, known_hosts: &known_hosts };
    write_private(&known_hosts, run.known_hosts.as_bytes())?;
    write_private(&root.join("events.jsonl"), b"")?;
    write_private(
        &root.join("inventory.json"),
        &serde_json::to_vec_pretty(&inventory(run.hosts, access))?,
    )?;
    let artifacts = root.join("artifacts");
    write_private(
        &root.join("vars.json"),
        &serde_json::to_vec_pretty(&vars(run.spec, &artifacts, run.remove))?,
    )
}

pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(content)
}

fn read_secret(path: &Path) -> io::Result<Option<Zeroizing<String>>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
