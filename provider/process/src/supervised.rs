//! A child that its caller watches over: its output goes to files, and it is stopped when the caller says so.
//!
//! Files, because a pipe would end with this process, and writing to a broken pipe kills a child in the middle of its
//! work. So a child may outlive us; it is found again by a variable of its environment ([`marked`]).

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Stdio;

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;

use crate::running::Running;
use crate::{Error, Exit, Tool};

/// A child that runs, with its process group. Dropped, it is killed.
pub struct Supervised {
    running: Running,
    program: String,
}

impl Tool {
    /// Starts it with its output going to these files, and leaves watching it to the caller. The tool's time limit and grace do
    /// not apply, and nothing is cut out of what it writes.
    pub fn start(&self, stdout: File, stderr: File) -> Result<Supervised, Error> {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let running = Running::start(&mut command).map_err(|error| self.not_started(&error))?;
        Ok(Supervised { running, program: self.program() })
    }
}

impl Supervised {
    /// Waits until the child has ended, then kills what is left of its group. May be dropped and called again.
    pub async fn ended(&mut self) -> Result<Exit, Error> {
        self.running.ended().await;
        let program = &self.program;
        self.running
            .reap()
            .await
            .map_err(|error| Error::Start { program: program.clone(), reason: error.to_string() })
    }

    /// SIGINT to the group, as Ctrl-C does: asks for an orderly end.
    pub fn interrupt(&self) {
        self.running.signal(Signal::INT);
    }

    /// SIGKILL to the group.
    pub fn kill(&self) {
        self.running.signal(Signal::KILL);
    }
}

/// A process that an earlier process of ours started and that still runs.
pub struct Marked {
    /// The value of the variable it was found by.
    pub value: String,
    process: AsyncFd<OwnedFd>,
}

/// All processes whose environment has this variable and that we may look at.
pub fn marked(variable: &str) -> io::Result<Vec<Marked>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let number =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let Some(pid) = number.and_then(Pid::from_raw) else { continue };
        if let Some(process) = look(&path, pid, variable) {
            found.push(process);
        }
    }
    Ok(found)
}

#[expect(
    deprecated,
    reason = "what is missing in its contract, a descriptor that stays open, an OwnedFd gives; the replacement is unsafe"
)]
fn look(path: &Path, pid: Pid, variable: &str) -> Option<Marked> {
    let process = AsyncFd::new(pidfd_open(pid, PidfdFlags::empty()).ok()?).ok()?;
    let environment = std::fs::read(path.join("environ")).ok()?;
    let value = environment.split(|byte| *byte == 0).find_map(|entry| {
        std::str::from_utf8(entry).ok()?.strip_prefix(variable)?.strip_prefix('=')
    })?;
    // A zombie's environment is empty. Whoever can be signalled now had this number all the while.
    let marked = Marked { value: value.to_owned(), process };
    pidfd_send_signal(&marked.process, Signal::CONT).is_ok().then_some(marked)
}

impl Marked {
    /// SIGINT: asks for an orderly end.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        if self.process.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn signal(&self, signal: Signal) {
        // That it has ended meanwhile is fine.
        let _ = pidfd_send_signal(&self.process, signal);
    }
}
