//! Commands on a cluster's control plane over SSH.
//!
//! The system's ssh, one connection a cluster that several commands share. The host key must be the pinned one; the
//! private key lies in a file only while the connection is made. Words are escaped one by one: there is no way from here
//! to a remote shell with a text in it (`raw_*` and `shell` of the library are forbidden in `clippy.toml`).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use openssh::{ControlPersist, KnownHosts, Session, SessionBuilder, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Mutex, Semaphore};

use super::{Error, Machine};
use crate::ids::ClusterId;

/// The user that cloud-init makes on every machine; it may use sudo.
const USER: &str = "kubesmith";
/// For the connection itself.
const CONNECT: Duration = Duration::from_secs(10);
/// For one command, with the wait for its turn. The remote side ends it a little earlier by itself.
const COMMAND: Duration = Duration::from_secs(40);
const REMOTE_TIMEOUT: &str = "35";
/// A connection that nobody uses is closed after this many seconds.
const IDLE: NonZeroUsize = NonZeroUsize::new(60).expect("60 is not 0");
/// Commands that run at the same time on one cluster; sshd allows ten.
const AT_ONCE: usize = 4;
/// Bytes that are read of each stream.
const OUTPUT: usize = 1024 * 1024;

/// Nothing of the user's or the system's own configuration applies.
const CONFIG: &str = "Host *
  GlobalKnownHostsFile /dev/null
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  PreferredAuthentications publickey
  IdentityAgent none
  ForwardAgent no
  UpdateHostKeys no
  PermitLocalCommand no
";

/// The connections to all clusters.
pub(super) struct Connections {
    /// Private to us, and short: the path of a socket has at most 108 bytes.
    dir: PathBuf,
    slots: std::sync::Mutex<HashMap<ClusterId, Arc<Slot>>>,
}

/// One cluster's place: its connection, and who may use it now.
struct Slot {
    turns: Semaphore,
    open: Mutex<Option<Open>>,
}

/// A connection, and the mark of what it was made from: another key or address needs another connection.
struct Open {
    mark: u64,
    session: Arc<Session>,
}

impl Connections {
    /// Connections whose sockets and short-lived files will lie in this folder.
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, slots: std::sync::Mutex::default() }
    }

    /// Makes the folder. What an earlier process left there is removed.
    pub(super) fn prepare(&self) -> std::io::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        match std::fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)
    }

    /// Runs one program as root on the machine, and answers its standard output.
    ///
    /// `stdin` is all that it gets to read. Fails when it does not end with 0, with its own words.
    pub(super) async fn run(
        &self,
        machine: &Machine,
        words: &[&str],
        stdin: &[u8],
    ) -> Result<String, Error> {
        let slot = self.slot(&machine.cluster);
        let work = async {
            let _turn = slot.turns.acquire().await.map_err(|_| Error::Busy)?;
            let session = slot.session(&self.dir, machine).await?;
            match perform(&session, words, stdin).await {
                // The connection had ended before the command was sent.
                Err(Failure::Disconnected) => {
                    slot.forget(&session).await;
                    let session = slot.session(&self.dir, machine).await?;
                    perform(&session, words, stdin)
                        .await
                        .map_err(|failure| failure.into_error(machine))
                }
                done => done.map_err(|failure| failure.into_error(machine)),
            }
        };
        match tokio::time::timeout(COMMAND, work).await {
            Ok(done) => done,
            Err(_) if slot.turns.available_permits() == 0 => Err(Error::Busy),
            Err(_) => Err(Error::TimedOut(COMMAND.as_secs())),
        }
    }

    /// Closes the connection to a cluster that is gone.
    pub(super) fn forget(&self, cluster: &ClusterId) {
        self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(cluster);
    }

    fn slot(&self, cluster: &ClusterId) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let new = || Arc::new(Slot { turns: Semaphore::new(AT_ONCE), open: Mutex::default() });
        Arc::clone(slots.entry(cluster.clone()).or_insert_with(new))
    }
}

impl Slot {
    /// The connection that is open, or a new one.
    async fn session(&self, dir: &Path, machine: &Machine) -> Result<Arc<Session>, Error> {
        let mark = mark(machine);
        let mut open = self.open.lock().await;
        if let Some(known) = open.as_ref().filter(|known| known.mark == mark) {
            return Ok(Arc::clone(&known.session));
        }
        let session = Arc::new(connect(dir, machine).await?);
        *open = Some(Open { mark, session: Arc::clone(&session) });
        Ok(session)
    }

    /// Drops this connection, unless somebody has replaced it already.
    async fn forget(&self, ended: &Arc<Session>) {
        let mut open = self.open.lock().await;
        if open.as_ref().is_some_and(|open| Arc::ptr_eq(&open.session, ended)) {
            *open = None;
        }
    }
}

fn mark(machine: &Machine) -> u64 {
    let mut hasher = DefaultHasher::new();
    (machine.address, machine.private_key.as_str(), &machine.known_hosts).hash(&mut hasher);
    hasher.finish()
}

async fn connect(dir: &Path, machine: &Machine) -> Result<Session, Error> {
    let local = |error: std::io::Error| Error::Local(error.to_string());
    // Gone at the end of this function, whatever it is: ssh has read the files by then.
    let files = tempfile::Builder::new().prefix("c").tempdir_in(dir).map_err(local)?;
    let file = |name: &str, text: &str| -> std::io::Result<PathBuf> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = files.path().join(name);
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    };
    let key = file("key", &machine.private_key).map_err(local)?;
    let known_hosts = file("known_hosts", &machine.known_hosts).map_err(local)?;
    let config = file("config", CONFIG).map_err(local)?;
    let mut builder = SessionBuilder::default();
    builder
        .user(USER.to_owned())
        .keyfile(key)
        .config_file(config)
        .known_hosts_check(KnownHosts::Strict)
        .user_known_hosts_file(known_hosts)
        .control_directory(dir)
        .control_persist(ControlPersist::IdleFor(IDLE))
        .connect_timeout(CONNECT)
        .server_alive_interval(Duration::from_secs(10));
    let address = machine.address.to_string();
    match builder.connect_mux(&address).await {
        Ok(session) => Ok(session),
        Err(openssh::Error::Connect(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::Local("ssh is not installed or not on the PATH".to_owned()))
        }
        Err(openssh::Error::Connect(error)) => Err(Error::of_ssh(&address, &error.to_string())),
        Err(error) => Err(Error::Local(error.to_string())),
    }
}

enum Failure {
    /// Nothing was sent.
    Disconnected,
    /// The connection broke while the command ran.
    Broken(String),
    Said(Error),
}

impl Failure {
    fn into_error(self, machine: &Machine) -> Error {
        let address = machine.address.to_string();
        match self {
            Self::Said(error) => error,
            Self::Disconnected => {
                Error::Unreachable { address, reason: "the connection was closed".to_owned() }
            }
            Self::Broken(reason) => Error::Unreachable { address, reason },
        }
    }
}

async fn perform(session: &Session, words: &[&str], stdin: &[u8]) -> Result<String, Failure> {
    let broken = |error: &dyn std::fmt::Display| Failure::Broken(error.to_string());
    let mut child = session
        .command("sudo")
        .args(["-n", "--", "timeout", REMOTE_TIMEOUT])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .await
        .map_err(|error| match error {
            openssh::Error::Disconnected => Failure::Disconnected,
            other => broken(&other),
        })?;
    let (mut input, output, errors) =
        (child.stdin().take(), child.stdout().take(), child.stderr().take());
    let write = async {
        if let Some(input) = &mut input {
            // Who does not read its input says why on its standard error.
            let _ = input.write_all(stdin).await;
            let _ = input.shutdown().await;
        }
        drop(input);
    };
    let ((), output, errors) = tokio::join!(write, read(output), read(errors));
    let (output, errors) = (output.map_err(Failure::Said)?, errors.map_err(Failure::Said)?);
    let status = match child.wait().await {
        Ok(status) => status,
        Err(openssh::Error::Remote(_)) => {
            return Err(Failure::Said(Error::Refused(
                "sudo is not installed on the control plane".to_owned(),
            )));
        }
        Err(error) => return Err(broken(&error)),
    };
    match status.code() {
        Some(0) => Ok(output),
        // What `timeout` ends with when it had to stop the command.
        Some(124) => Err(Failure::Said(Error::TimedOut(COMMAND.as_secs()))),
        _ => Err(Failure::Said(Error::of_stderr(&errors))),
    }
}

/// Reads a stream to its end, but no more than is allowed.
async fn read(stream: Option<impl AsyncRead + Unpin>) -> Result<String, Error> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        let limit = u64::try_from(OUTPUT + 1).unwrap_or(u64::MAX);
        stream
            .take(limit)
            .read_to_end(&mut bytes)
            .await
            .map_err(|error| Error::Unreadable(error.to_string()))?;
    }
    if bytes.len() > OUTPUT {
        return Err(Error::TooMuch(OUTPUT));
    }
    String::from_utf8(bytes).map_err(|_| Error::Unreadable("it is not UTF-8".to_owned()))
}
