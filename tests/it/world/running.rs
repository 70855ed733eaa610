//! A Terraform that runs beside the test: watched, interrupted, killed.

use std::{fs, path::PathBuf, process::Child};

use rustix::process::{Pid, Signal, kill_process_group};

use super::wait_until;

/// A Terraform that runs beside the test.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub(super) fn new(child: Child, log: PathBuf) -> Self {
        Self { child, log }
    }

    /// Whether Terraform has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("terraform's status").is_some()
    }

    fn signal(&self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.child), signal).expect("a signal");
    }

    /// SIGKILL to Terraform, the provider and all that they started in the same process group.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("terraform ends");
    }

    /// SIGINT once to the group, as Ctrl-C does; returns when Terraform has taken notice.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
        wait_until("Terraform is interrupted", || self.text().contains("Interrupt received"));
    }

    /// What Terraform has printed so far.
    fn text(&self) -> String {
        fs::read_to_string(&self.log).expect("terraform.log")
    }

    /// Waits for the end: whether it succeeded, and all it printed.
    pub(crate) fn finish(mut self) -> (bool, String) {
        let status = self.child.wait().expect("terraform ends");
        (status.success(), self.text())
    }
}
