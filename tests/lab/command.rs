//! The lab's own single place that starts child processes.
//!
//! Every child is killed when its handle is dropped, so that a lab that ends in an error leaves
//! no stray program; those that must outlive the handle say so where they are started.

use std::ffi::OsStr;
use std::process::Output;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// A command that ends with its handle; the caller adds arguments, environment and pipes.
#[expect(clippy::disallowed_methods, reason = "this is the lab's one place that starts children")]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.kill_on_drop(true);
    command
}

/// Another name for [`command`], where [`blocking`] stands beside it.
pub fn asynchronous(program: impl AsRef<OsStr>) -> Command {
    command(program)
}

/// A command for code that cannot wait asynchronously, such as a `Drop`.
#[expect(clippy::disallowed_methods, reason = "this is the lab's one place that starts children")]
pub fn blocking(program: impl AsRef<OsStr>) -> std::process::Command {
    std::process::Command::new(program)
}

/// Runs a program to its end and answers its standard output; a failure names the program, its
/// arguments and what it wrote last on standard error.
pub async fn run<S: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Result<String> {
    let mut command = command(program);
    command.args(arguments);
    let output = output(&mut command).await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Like [`run`] for a command that was built by the caller.
pub async fn output(command: &mut Command) -> Result<Output> {
    let line = line(command);
    command.stdin(std::process::Stdio::null());
    let output = command.output().await.with_context(|| format!("failed to start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({}): {}", output.status, last_words(&output));
    }
    Ok(output)
}

/// The end of what a program said, from standard error or else standard output.
pub fn last_words(output: &Output) -> String {
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// Program and arguments for an error message, shortened: scripts are passed as arguments too.
fn line(command: &Command) -> String {
    let command = command.as_std();
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        line.push(' ');
        if argument.len() > 120 || argument.contains('\n') {
            line.push_str("...");
        } else {
            line.push_str(&argument);
        }
    }
    line
}
