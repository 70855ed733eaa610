//! Starts one guest and follows it to its end.
//!
//! Everything that needs the inside of the guest's namespaces is `inside.sh`, run by util-linux'
//! `unshare`: those calls are `unsafe` in Rust, and a shell script shows the order of mounts best.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    sync::watch,
};

use super::{cgroup::Hierarchies, image::Image, network};
use crate::command::command;

const ENTER: &str = include_str!("enter.sh");
const INSIDE: &str = include_str!("inside.sh");
const HOST_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Which faults hold for a start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) never_boots: bool,
    pub(super) ssh_refused: bool,
}

/// What one guest is made of.
#[derive(Debug, Clone)]
pub(super) struct Boot {
    pub(super) id: String,
    pub(super) vmid: u32,
    /// The guest's own folder: disk, seed and console.
    pub(super) folder: PathBuf,
    pub(super) image: Image,
    pub(super) hierarchies: Hierarchies,
    pub(super) mac: Option<String>,
    pub(super) faults: Faults,
}

/// A guest that was started.
#[derive(Debug)]
pub(super) struct Machine {
    /// The guest's PID 1 as the host numbers it.
    init: AtomicU32,
    ended: watch::Sender<bool>,
}

impl Boot {
    /// Boots the guest and returns when its root stands and init takes over.
    pub(super) async fn start(self) -> Result<Arc<Machine>> {
        let (child, init) = match self.launch().await {
            Ok(started) => started,
            Err(error) => {
                self.tear_down().await;
                return Err(error);
            }
        };
        let machine =
            Arc::new(Machine { init: AtomicU32::new(init), ended: watch::Sender::new(false) });
        tokio::spawn(self.follow(child, Arc::clone(&machine)));
        Ok(machine)
    }

    async fn launch(&self) -> Result<(Child, u32)> {
        network::connect(&self.id, self.vmid, self.mac.as_deref()).await?;
        let cgroups = self.hierarchies.create(&self.id, self.vmid)?;
        for folder in ["disk", "work", "root"] {
            fs::create_dir_all(self.folder.join(folder))?;
        }
        let console_path = self.folder.join("console.log");
        let console = fs::File::create(&console_path)?;

        let mut enter = command("sh");
        enter.args(["-c", ENTER, "kubesmith-guest", "nsenter"]);
        enter.arg(format!("--net={}", network::guest_namespace(&self.id, self.vmid).display()));
        enter.args([
            "unshare",
            "--mount",
            "--uts",
            "--ipc",
            "--pid",
            "--cgroup",
            "--fork",
            "--kill-child",
        ]);
        enter.args(["--propagation", "private", "sh", "-c", INSIDE, "kubesmith-guest"]);
        let cgroups: Vec<String> =
            cgroups.iter().map(|folder| folder.display().to_string()).collect();
        let layers: Vec<String> =
            self.image.layers.iter().map(|layer| layer.display().to_string()).collect();
        let flag = |set: bool| if set { "yes" } else { "" };
        enter.env("KUBESMITH_CGROUPS", cgroups.join(" "));
        enter.env("KUBESMITH_HIERARCHIES", self.hierarchies.for_guest());
        enter.env("KUBESMITH_LOWER", layers.join(":"));
        enter.env("KUBESMITH_UPPER", self.folder.join("disk"));
        enter.env("KUBESMITH_WORK", self.folder.join("work"));
        enter.env("KUBESMITH_ROOT", self.folder.join("root"));
        enter.env("KUBESMITH_CONTAINERD", self.folder.join("containerd"));
        enter.env("KUBESMITH_SEED", self.folder.join("seed"));
        enter.env("KUBESMITH_BREAK", self.folder.join("break"));
        enter.env(
            "KUBESMITH_CA",
            if fs::exists(HOST_CERTIFICATES)? { HOST_CERTIFICATES } else { "" },
        );
        enter.env("KUBESMITH_NEVER_BOOTS", flag(self.faults.never_boots));
        enter.env("KUBESMITH_SSH_REFUSED", flag(self.faults.ssh_refused));
        // Ctrl-C in a terminal is for the lab, which ends its guests in order.
        enter.process_group(0);
        enter.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(console);
        let mut child = enter.spawn().context("failed to start the guest's first process")?;

        let stdout = child.stdout.take().expect("standard output is piped");
        let line = BufReader::new(stdout).lines().next_line().await?;
        let init = line.as_deref().and_then(|line| line.strip_prefix("ready ")?.parse().ok());
        let Some(init) = init else {
            child.wait().await?;
            let said = fs::read_to_string(&console_path).unwrap_or_default();
            bail!("the guest's root could not be set up: {}", said.trim());
        };
        Ok((child, init))
    }

    /// Waits for the guest's end, boots it again when it asked for that, and else removes what its run had on the host.
    async fn follow(self, mut child: Child, machine: Arc<Machine>) {
        while child.wait().await.is_ok_and(rebooted) {
            match self.launch().await {
                Ok((again, init)) => {
                    child = again;
                    machine.init.store(init, Ordering::Relaxed);
                }
                Err(error) => {
                    tracing::error!(
                        "guest {} did not come back from its reboot: {error:#}",
                        self.vmid
                    );
                    break;
                }
            }
        }
        self.tear_down().await;
        machine.ended.send_replace(true);
    }

    async fn tear_down(&self) {
        if let Err(error) = network::disconnect(&self.id, self.vmid).await {
            tracing::warn!("guest {}: {error:#}", self.vmid);
        }
        self.hierarchies.remove(&self.id, self.vmid).await;
    }
}

impl Machine {
    pub(super) fn is_running(&self) -> bool {
        !*self.ended.borrow()
    }

    /// The guest's PID 1 as the host numbers it.
    pub(super) fn init(&self) -> u32 {
        self.init.load(Ordering::Relaxed)
    }

    /// Kills the guest's init, and with it the kernel kills all its processes; returns when nothing is left of the run.
    pub(super) async fn kill(&self) {
        let pid = i32::try_from(self.init()).ok().and_then(Pid::from_raw);
        if self.is_running()
            && let Some(pid) = pid
        {
            let _ = kill_process(pid, Signal::KILL);
        }
        self.ended().await;
    }

    /// Waits for the end of the guest's run.
    pub(super) async fn ended(&self) {
        let mut ended = self.ended.subscribe();
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

/// In a PID namespace the kernel turns the reboot call into SIGHUP for init, and `unshare` dies of the same.
fn rebooted(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::HUP.as_raw())
}
