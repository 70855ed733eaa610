//! One machine of stand-ins: its files, its kubelet, and what is run on it.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::world::command;

const STANDIN: &str = env!("CARGO_BIN_EXE_kubesmith-standin");
/// The token that `init` makes.
pub(super) const TOKEN: &str = "abcdef.0123456789abcdef";

/// A machine: a folder for its files, and a kubelet that runs while it has a configuration.
pub(super) struct Machine {
    root: TempDir,
    name: &'static str,
    pub(super) port: u16,
    stop: Arc<AtomicBool>,
    kubelet: Option<JoinHandle<()>>,
}

impl Machine {
    pub(super) fn new(name: &'static str, port: u16) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let socket = root.path().join("run/containerd/containerd.sock");
        std::fs::create_dir_all(socket.parent().expect("it has one")).expect("a folder");
        std::fs::write(socket, "").expect("a file");
        let stop = Arc::new(AtomicBool::new(false));
        let kubelet = std::thread::spawn({
            let (root, stop) = (root.path().to_owned(), Arc::clone(&stop));
            move || run_kubelet(&root, &stop)
        });
        Self { root, name, port, stop, kubelet: Some(kubelet) }
    }

    pub(super) fn file(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        let mut program = command(STANDIN);
        program
            .args(arguments)
            .env("STANDIN_ROOT", self.root.path())
            .env("STANDIN_NO_SYSTEMD", "1");
        program.stdin(Stdio::null()).output().expect("the stand-in runs")
    }

    /// Runs `kubeadm init` or `join` with a configuration.
    fn kubeadm(&self, command: &str, config: &str) -> Output {
        let file = self.file("kubeadm.yaml");
        std::fs::write(&file, config).expect("a file");
        let file = file.to_string_lossy();
        self.run(&[
            "kubeadm",
            command,
            "--config",
            &file,
            "--ignore-preflight-errors=IsPrivilegedUser",
        ])
    }

    pub(super) fn init(&self) -> Output {
        let (name, port) = (self.name, self.port);
        self.kubeadm("init", &format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nbootstrapTokens: [{{token: {TOKEN}, ttl: 1h0m0s}}]\n\
             localAPIEndpoint: {{advertiseAddress: 127.0.0.1, bindPort: {port}}}\nnodeRegistration:\n  name: {name}\n  \
             kubeletExtraArgs: [{{name: node-ip, value: 127.0.0.1}}]\n---\napiVersion: kubeadm.k8s.io/v1beta4\n\
             kind: ClusterConfiguration\nkubernetesVersion: v1.36.4\ncontrolPlaneEndpoint: 127.0.0.1:{port}\n\
             networking: {{podSubnet: 10.244.0.0/16}}\napiServer: {{certSANs: [cluster.example.org]}}\n---\n\
             apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: systemd\n"
        ))
    }

    pub(super) fn join(&self, token: &str, pin: &str) -> Output {
        self.kubeadm("join", &format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ntimeouts: {{discovery: 1s}}\ndiscovery:\n  bootstrapToken:\n    \
             apiServerEndpoint: 127.0.0.1:{}\n    token: {token}\n    caCertHashes: [\"{pin}\"]\nnodeRegistration:\n  name: {}\n  \
             kubeletExtraArgs: [{{name: node-ip, value: 127.0.0.1}}]\n",
            self.port, self.name
        ))
    }

    /// What `kubeadm token create --print-join-command` ends with.
    pub(super) fn pin(&self) -> String {
        let line = good(&self.run(&[
            "kubeadm",
            "token",
            "create",
            "--print-join-command",
            "--ttl",
            "10m",
        ]));
        line.split_whitespace().last().expect("the hash").to_owned()
    }

    /// What `systemctl stop kubelet` does for a reset: the configuration goes first, and with it the kubelet and its API.
    pub(super) fn stop_kubelet(&self) {
        std::fs::remove_file(self.file("var/lib/kubelet/config.yaml")).expect("a file");
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpListener::bind(("0.0.0.0", self.port)).is_err() {
            assert!(Instant::now() < deadline, "the API server is still there");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// kubectl with the administrator's file: the real one, or the stand-in.
    pub(super) fn kubectl(&self, real: bool, arguments: &[&str]) -> Output {
        let config = self.file("etc/kubernetes/admin.conf");
        let mut program = command(if real { "kubectl" } else { STANDIN });
        if !real {
            program.arg("kubectl");
        }
        program
            .args(arguments)
            .env("KUBECONFIG", config)
            .stdin(Stdio::null())
            .output()
            .expect("kubectl runs")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(kubelet) = self.kubelet.take() {
            let _ = kubelet.join();
        }
    }
}

fn run_kubelet(root: &Path, stop: &AtomicBool) {
    let pause = Duration::from_millis(20);
    while !stop.load(Ordering::Relaxed) {
        // kubeadm writes the flags before the configuration, and systemd would read them again when kubeadm restarts it.
        if !root.join("var/lib/kubelet/config.yaml").exists() {
            std::thread::sleep(pause);
            continue;
        }
        let flags = std::fs::read_to_string(root.join("var/lib/kubelet/kubeadm-flags.env"))
            .unwrap_or_default();
        let flags =
            flags.trim().trim_start_matches("KUBELET_KUBEADM_ARGS=").trim_matches('"').to_owned();
        let mut kubelet = command(STANDIN)
            .arg("kubelet")
            .args(flags.split_whitespace())
            .env("STANDIN_ROOT", root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the stand-in runs");
        while kubelet.try_wait().expect("a child").is_none() {
            let configured = root.join("var/lib/kubelet/config.yaml").exists();
            if stop.load(Ordering::Relaxed) || !configured {
                let _ = kubelet.kill();
                let _ = kubelet.wait();
                break;
            }
            std::thread::sleep(pause);
        }
        std::thread::sleep(pause);
    }
}

/// A port that nobody has: below the range that outgoing connections are given ports from, and another in each test.
pub(super) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 1000).expect("below 1000") * 10;
    std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed))
        .find(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok())
        .expect("the iterator does not end")
}

pub(super) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(super) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output of what has to succeed.
pub(super) fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}{}", output.status, out(output), err(output));
    out(output)
}

pub(super) fn has_real_kubectl() -> bool {
    let found = command("kubectl").args(["version", "--client"]).output().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "kubectl is not on PATH");
        eprintln!("SKIPPED: kubectl is not on PATH");
    }
    found
}
