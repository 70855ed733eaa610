//! Describing a call of a program, and running it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Command;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::lines::Lines;
use crate::running::Running;

/// Lines kept for the error.
const TAIL: usize = 40;

/// Bytes that [`Tool::output`] keeps of each stream.
const OUTPUT: usize = 16 * 1024 * 1024;

/// Between one signal and the next, stronger one.
const GRACE: Duration = Duration::from_secs(10);

/// For output that is still in the pipes when the child has ended. Whoever else holds them open is not waited for longer.
const DRAIN: Duration = Duration::from_secs(1);

/// A call of a program. Arguments are visible to everybody on the machine: secrets belong into [`Tool::secret_env`] or a file.
#[derive(Clone)]
pub struct Tool {
    program: OsString,
    args: Vec<OsString>,
    /// Nothing means that the variable is removed.
    env: Vec<(OsString, Option<OsString>)>,
    secrets: Vec<String>,
    only: Option<Vec<String>>,
    current_dir: Option<PathBuf>,
    lifeline: bool,
    timeout: Option<Duration>,
    grace: Duration,
}

/// A line of output, secrets removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// From standard output.
    Stdout(&'a str),
    /// From standard error.
    Stderr(&'a str),
}

/// A child that ended with 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The last lines of its output.
    pub tail: Vec<String>,
}

/// All that a child that ended with 0 has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Tool {
    /// A program by its name or path.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            secrets: Vec::new(),
            only: None,
            current_dir: None,
            lifeline: false,
            timeout: None,
            grace: GRACE,
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// A variable whose value is cut out of everything that the child writes.
    #[must_use]
    pub fn secret_env(mut self, name: impl AsRef<OsStr>, value: &str) -> Self {
        // Very short ones would cut up ordinary words.
        if value.len() >= 6 {
            self.secrets.push(value.to_owned());
        }
        self.env(name, value)
    }

    /// Do not hand on this variable.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), None));
        self
    }

    /// Hand on nothing of our own environment but these variables.
    #[must_use]
    pub fn only_env(mut self, names: &[&str]) -> Self {
        self.only = Some(names.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// Where it runs.
    #[must_use]
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(dir.into());
        self
    }

    /// An empty standard input; so it is from the beginning.
    #[must_use]
    pub fn stdin_null(mut self) -> Self {
        self.lifeline = false;
        self
    }

    /// A standard input on which nothing ever comes and that ends when this process does.
    #[must_use]
    pub fn stdin_lifeline(mut self) -> Self {
        self.lifeline = true;
        self
    }

    /// Stop it when it takes longer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The time between SIGINT and SIGTERM, and between SIGTERM and SIGKILL, when it is stopped.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Run it and hand over its lines as they come.
    pub async fn run(
        &self,
        cancel: &CancellationToken,
        mut on_line: impl FnMut(Line<'_>),
    ) -> Result<Finished, Error> {
        let program = self.program();
        if cancel.is_cancelled() {
            return Err(Error::Cancelled { program });
        }
        let mut running =
            Running::start(&mut self.command()).map_err(|error| self.not_started(&error))?;
        // Nothing is ever written to it; it only has to live as long as the child may.
        let _lifeline = running.child.stdin.take();
        let mut stdout = Lines::new(running.child.stdout.take());
        let mut stderr = Lines::new(running.child.stderr.take());
        let mut tail = VecDeque::new();
        let mut take = |lines: Vec<String>, is_stdout: bool| {
            for line in lines {
                let line = self.redact(line);
                on_line(if is_stdout { Line::Stdout(&line) } else { Line::Stderr(&line) });
                if tail.len() == TAIL {
                    tail.pop_front();
                }
                tail.push_back(line);
            }
        };

        let mut stop = Stop::new(self.timeout, self.grace);
        loop {
            tokio::select! {
                lines = stdout.next() => take(lines, true),
                lines = stderr.next() => take(lines, false),
                () = running.ended() => break,
                () = stop.next(cancel) => running.signal(stop.signal()),
            }
        }
        let drained = Instant::now() + DRAIN;
        let exit = running.reap().await.map_err(|error| self.not_started(&error))?;
        while stdout.is_open() || stderr.is_open() {
            let more = timeout_at(drained, async {
                tokio::select! {
                    lines = stdout.next() => (lines, true),
                    lines = stderr.next() => (lines, false),
                }
            });
            match more.await {
                Ok((lines, is_stdout)) => take(lines, is_stdout),
                Err(_) => break,
            }
        }
        take(stdout.rest(), true);
        take(stderr.rest(), false);

        let tail = Vec::from(tail);
        match stop.reason {
            Some(Reason::Cancelled) => Err(Error::Cancelled { program }),
            Some(Reason::TimedOut(after)) => Err(Error::TimedOut { program, after, tail }),
            None if exit.success() => Ok(Finished { tail }),
            None => Err(Error::Failed { program, status: exit, tail }),
        }
    }

    /// Run it and keep what it writes.
    pub async fn output(&self, cancel: &CancellationToken) -> Result<Output, Error> {
        let mut output = Output { stdout: String::new(), stderr: String::new() };
        self.run(cancel, |line| {
            let (kept, line) = match line {
                Line::Stdout(line) => (&mut output.stdout, line),
                Line::Stderr(line) => (&mut output.stderr, line),
            };
            if kept.len() + line.len() < OUTPUT {
                kept.push_str(line);
                kept.push('\n');
            }
        })
        .await?;
        Ok(output)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the place that the rule points to")]
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if self.lifeline { Stdio::piped() } else { Stdio::null() });
        if let Some(names) = &self.only {
            command.env_clear();
            command.envs(names.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = &self.current_dir {
            command.current_dir(dir);
        }
        command
    }

    pub(crate) fn program(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    pub(crate) fn not_started(&self, error: &std::io::Error) -> Error {
        let program = self.program();
        let dir_is_there = self.current_dir.as_ref().is_none_or(|dir| dir.is_dir());
        if error.kind() == std::io::ErrorKind::NotFound && dir_is_there {
            Error::NotFound { program }
        } else {
            Error::Start { program, reason: error.to_string() }
        }
    }

    fn redact(&self, line: String) -> String {
        self.secrets.iter().fold(line, |line, secret| line.replace(secret.as_str(), "<redacted>"))
    }
}

/// Program and argument count only: both arguments and environment may hold what is nobody's business.
impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tool({}, {} arguments)", self.program.to_string_lossy(), self.args.len())
    }
}

#[derive(Clone, Copy)]
enum Reason {
    Cancelled,
    TimedOut(Duration),
}

/// When to send the next signal, and which: SIGINT, SIGTERM, and then SIGKILL for good.
struct Stop {
    timeout: Option<Duration>,
    /// The time limit, and after the first signal the end of the grace.
    at: Option<Instant>,
    grace: Duration,
    sent: usize,
    reason: Option<Reason>,
}

impl Stop {
    fn new(timeout: Option<Duration>, grace: Duration) -> Self {
        Self {
            timeout,
            at: timeout.map(|timeout| Instant::now() + timeout),
            grace,
            sent: 0,
            reason: None,
        }
    }

    /// Wait until a signal is due. May be dropped at any time.
    async fn next(&mut self, cancel: &CancellationToken) {
        let reason = tokio::select! {
            () = cancel.cancelled(), if self.reason.is_none() => Reason::Cancelled,
            () = until(self.at) => Reason::TimedOut(self.timeout.unwrap_or_default()),
        };
        self.reason = self.reason.or(Some(reason));
        self.sent += 1;
        self.at = Some(Instant::now() + self.grace);
    }

    fn signal(&self) -> Signal {
        match self.sent {
            0 | 1 => Signal::INT,
            2 => Signal::TERM,
            _ => Signal::KILL,
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
