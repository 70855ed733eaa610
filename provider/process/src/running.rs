//! A child that runs, and its process group.

use std::fmt;
use std::io;
use std::process::ExitStatus;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(ExitStatus);

/// Kills the group when it goes out of scope before the child has been reaped.
pub(crate) struct Running {
    pub(crate) child: Child,
    group: Pid,
    ended: AsyncFd<rustix::fd::OwnedFd>,
    reaped: bool,
}

impl Running {
    #[expect(
        deprecated,
        reason = "what is missing in its contract, a descriptor that stays open, an OwnedFd gives; the replacement is unsafe"
    )]
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let group = id.ok_or_else(|| io::Error::other("the child has no process id"))?;
        // The child cannot have been reaped yet, so the number is its own.
        let ended = pidfd_open(group, PidfdFlags::empty())?;
        Ok(Self { child, group, ended: AsyncFd::new(ended)?, reaped: false })
    }

    /// Wait until the child has ended, without reaping it: while it is a zombie nobody else can get its group's number.
    pub(crate) async fn ended(&self) {
        if self.ended.readable().await.is_err() {
            // Only while the runtime shuts down, which drops this future and so ends the child.
            std::future::pending::<()>().await;
        }
    }

    /// Kill what is left of the group, then reap the child.
    pub(crate) async fn reap(&mut self) -> io::Result<Exit> {
        self.signal(Signal::KILL);
        let status = self.child.wait().await;
        self.reaped = true;
        status.map(Exit)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // That nobody is left to be told is fine.
        let _ = kill_process_group(self.group, signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::KILL);
        }
    }
}

impl Exit {
    /// Whether it ended with 0.
    pub fn success(self) -> bool {
        self.0.success()
    }

    /// The exit code, unless a signal ended it.
    pub fn code(self) -> Option<i32> {
        self.0.code()
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::os::unix::process::ExitStatusExt as _;
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(f, "failed with exit code {code}"),
            (None, Some(signal)) => write!(f, "was ended by signal {signal}"),
            (None, None) => f.write_str("ended in an unknown way"),
        }
    }
}
