//! When the process ends, and when it does not.
//!
//! Ctrl-C reaches Terraform and us alike: Terraform then says `StopProvider`, so we ignore the
//! signal. When Terraform is killed nobody says anything: we notice that our parent changed.

use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::serve::handshake::Mode;

/// The host kills what still runs 2 s after it asked for shutdown; be gone before.
const BACKSTOP: Duration = Duration::from_millis(1500);

/// How long operations may take to come to an end when nobody waits for them any more.
const ORPHANED: Duration = Duration::from_secs(1);

/// How often we look whether the parent is still there.
const TICK: Duration = Duration::from_millis(100);

/// Starts to watch.
pub(super) fn watch(
    mode: &Mode,
    stop: CancellationToken,
    cancel: impl Fn() + Send + Sync + 'static,
    socket_directory: PathBuf,
) -> std::io::Result<()> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    match mode {
        Mode::Plugin(_) => {
            tokio::spawn(async move {
                while interrupts.recv().await.is_some() {
                    tracing::trace!("ignored SIGINT: terraform says StopProvider");
                }
            });
            tokio::spawn(watch_parent(stop.clone(), socket_directory.clone()));
        }
        Mode::Debug => {
            let stop = stop.clone();
            tokio::spawn(async move {
                interrupts.recv().await;
                stop.cancel();
            });
        }
    }
    tokio::spawn(async move {
        stop.cancelled().await;
        cancel();
        exit_after(BACKSTOP, socket_directory);
    });
    Ok(())
}

/// Ends the process, whatever still runs in it.
fn exit_after(time: Duration, socket_directory: PathBuf) {
    // A thread, because the runtime may be what hangs.
    std::thread::spawn(move || {
        std::thread::sleep(time);
        tracing::warn!("an operation did not end in time: exiting without it");
        let _ = std::fs::remove_dir_all(socket_directory);
        std::process::exit(0);
    });
}

async fn watch_parent(stop: CancellationToken, socket_directory: PathBuf) {
    let parent = rustix::process::getppid();
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if rustix::process::getppid() != parent {
            tracing::warn!("terraform is gone: stopping");
            exit_after(ORPHANED, socket_directory);
            stop.cancel();
            return;
        }
    }
}
