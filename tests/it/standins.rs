//! The lab's stand-ins for Kubernetes, driven as roles and people drive the real ones: by argv, files and a real kubectl.

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
const TOKEN: &str = "abcdef.0123456789abcdef";
const FLANNEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lab/packages/kube-flannel.yml");

/// A machine: a folder for its files, and a kubelet that runs while it has a configuration.
struct Machine {
    root: TempDir,
    name: &'static str,
    port: u16,
    stop: Arc<AtomicBool>,
    kubelet: Option<JoinHandle<()>>,
}

impl Machine {
    fn new(name: &'static str, port: u16) -> Self {
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

    fn file(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn run(&self, arguments: &[&str]) -> Output {
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

    fn init(&self) -> Output {
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

    fn join(&self, token: &str, pin: &str) -> Output {
        self.kubeadm("join", &format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ntimeouts: {{discovery: 1s}}\ndiscovery:\n  bootstrapToken:\n    \
             apiServerEndpoint: 127.0.0.1:{}\n    token: {token}\n    caCertHashes: [\"{pin}\"]\nnodeRegistration:\n  name: {}\n  \
             kubeletExtraArgs: [{{name: node-ip, value: 127.0.0.1}}]\n",
            self.port, self.name
        ))
    }

    /// What `kubeadm token create --print-join-command` ends with.
    fn pin(&self) -> String {
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
    fn stop_kubelet(&self) {
        std::fs::remove_file(self.file("var/lib/kubelet/config.yaml")).expect("a file");
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpListener::bind(("0.0.0.0", self.port)).is_err() {
            assert!(Instant::now() < deadline, "the API server is still there");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// kubectl with the administrator's file: the real one, or the stand-in.
    fn kubectl(&self, real: bool, arguments: &[&str]) -> Output {
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
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 1000).expect("below 1000") * 10;
    std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed))
        .find(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok())
        .expect("the iterator does not end")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output of what has to succeed.
fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}{}", output.status, out(output), err(output));
    out(output)
}

fn has_real_kubectl() -> bool {
    let found = command("kubectl").args(["version", "--client"]).output().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "kubectl is not on PATH");
        eprintln!("SKIPPED: kubectl is not on PATH");
    }
    found
}

#[test]
fn a_cluster_is_made_joined_drained_and_reset_under_the_eyes_of_a_real_kubectl() {
    if !has_real_kubectl() {
        return;
    }
    let port = free_port();
    let (first, worker) = (Machine::new("demo-cp-1", port), Machine::new("demo-worker-1", port));
    let said = good(&first.init());
    assert!(said.contains("Your Kubernetes control-plane has initialized successfully!"), "{said}");
    let kubectl = |arguments: &[&str]| good(&first.kubectl(true, arguments));

    let nodes = kubectl(&["get", "nodes", "--no-headers"]);
    assert_eq!(
        nodes.split_whitespace().take(3).collect::<Vec<_>>(),
        ["demo-cp-1", "NotReady", "control-plane"]
    );
    assert!(nodes.trim_end().ends_with("v1.36.4"), "{nodes}");
    assert!(kubectl(&["apply", "-f", FLANNEL]).contains("daemonset.apps/kube-flannel-ds created"));
    kubectl(&["wait", "--for=condition=Ready", "node", "--all", "--timeout=30s"]);
    assert!(first.file("etc/cni/net.d/10-flannel.conflist").exists());

    good(&worker.join(TOKEN, &first.pin()));
    kubectl(&["wait", "--for=condition=Ready", "node/demo-worker-1", "--timeout=30s"]);
    kubectl(&["create", "namespace", "course"]);
    kubectl(&["create", "deployment", "web", "--image=nginx", "--replicas=2", "-n", "course"]);
    kubectl(&["rollout", "status", "deployment/web", "-n", "course", "--timeout=30s"]);
    let places =
        kubectl(&["get", "pods", "-n", "course", "-o", "jsonpath={.items[*].spec.nodeName}"]);
    assert_eq!(places, "demo-worker-1 demo-worker-1", "ordinary pods keep off the control plane");

    let refused = first.kubectl(true, &["drain", "demo-worker-1"]);
    assert!(
        !refused.status.success() && err(&refused).contains("DaemonSet-managed"),
        "{}",
        err(&refused)
    );
    kubectl(&["drain", "demo-worker-1", "--ignore-daemonsets", "--timeout=30s"]);
    kubectl(&["delete", "node", "demo-worker-1"]);
    assert_eq!(kubectl(&["get", "nodes", "-o", "name"]), "node/demo-cp-1\n");
    kubectl(&["delete", "namespace", "course", "--timeout=30s"]);

    // Taken back, and made again on the same machine.
    let again = first.init();
    assert!(!again.status.success());
    assert!(
        err(&again).contains("[ERROR FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml]"),
        "{}",
        err(&again)
    );
    first.stop_kubelet();
    good(&first.run(&["kubeadm", "reset", "-f"]));
    let left =
        ["etc/kubernetes/admin.conf", "etc/kubernetes/pki/ca.key", "var/lib/etcd/standin.json"];
    assert!(left.iter().all(|file| !first.file(file).exists()));
    good(&first.init());
}

#[test]
fn joining_needs_a_live_token_and_the_right_pin_and_happens_once() {
    let port = free_port();
    let (first, worker) = (Machine::new("demo-cp-1", port), Machine::new("demo-worker-1", port));
    let early = first.run(&["kubelet"]);
    assert!(
        early.status.code() == Some(1)
            && err(&early).contains("failed to load kubelet config file"),
        "{}",
        err(&early)
    );
    good(&first.init());
    let pin = first.pin();
    let refused = |token: &str, pin: &str, why: &str| {
        let output = worker.join(token, pin);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(why), "{}", err(&output));
        assert!(!worker.file("etc/kubernetes/kubelet.conf").exists());
    };
    refused(TOKEN, &format!("sha256:{}", "0".repeat(64)), "are pinned");
    refused(
        "zzzzzz.0123456789abcdef",
        &pin,
        "could not find a JWS signature in the cluster-info ConfigMap for token ID \"zzzzzz\"",
    );
    refused("abcdef.ffffffffffffffff", &pin, "failed to verify JWS signature");
    good(&first.run(&["kubeadm", "token", "delete", "abcdef"]));
    // Unknown to the API at once, and to cluster-info a moment later.
    refused(TOKEN, &pin, "error execution phase preflight");
    let token = good(&first.run(&["kubeadm", "token", "create", "--ttl", "1h"]));
    good(&worker.join(token.trim(), &pin));
    let again = worker.join(token.trim(), &pin);
    assert!(
        err(&again).contains("[ERROR FileAvailable--etc-kubernetes-kubelet.conf]"),
        "{}",
        err(&again)
    );
    let listed = good(&first.run(&["kubeadm", "token", "list"]));
    assert!(listed.contains(token.trim()) && !listed.contains(TOKEN), "{listed}");
}

#[test]
fn the_stand_in_kubectl_says_what_the_real_one_says() {
    if !has_real_kubectl() {
        return;
    }
    let first = Machine::new("demo-cp-1", free_port());
    good(&first.init());
    good(&first.kubectl(false, &["apply", "-f", FLANNEL]));
    good(
        &first.kubectl(false, &["wait", "--for=condition=Ready", "node", "--all", "--timeout=30s"]),
    );
    good(&first.kubectl(
        false,
        &["rollout", "status", "deploy/coredns", "-n", "kube-system", "--timeout=30s"],
    ));
    let lines: [&[&str]; 15] = [
        &["get", "nodes", "-o", "name"],
        &[
            "get",
            "nodes",
            "-o",
            r#"jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#,
        ],
        &["get", "node", "demo-cp-1", "-o", "jsonpath={.status.addresses[0].address}"],
        &["get", "pods", "-n", "kube-system", "-l", "component=etcd", "-o", "name"],
        &["get", "node", "nobody"],
        &["get", "widgets"],
        &["get", "ns", "nobody", "--ignore-not-found"],
        &["get", "pods", "-n", "default"],
        &["get", "--raw", "/version"],
        &["apply", "-f", FLANNEL],
        &["rollout", "status", "ds/kube-flannel-ds", "-n", "kube-flannel", "--timeout=10s"],
        &["wait", "--for=condition=Ready", "node/demo-cp-1", "--timeout=10s"],
        &["cordon", "demo-cp-1"],
        &["uncordon", "demo-cp-1"],
        &["delete", "node", "nobody"],
    ];
    let strip = |text: String| text.trim_end().trim_start_matches("error: ").to_owned();
    for line in lines {
        let (real, standin) = (first.kubectl(true, line), first.kubectl(false, line));
        assert_eq!(
            real.status.code(),
            standin.status.code(),
            "{line:?}: {} / {}",
            err(&real),
            err(&standin)
        );
        if line[0] != "cordon" && line[0] != "uncordon" {
            assert_eq!(strip(out(&real)), strip(out(&standin)), "{line:?}");
            assert_eq!(strip(err(&real)), strip(err(&standin)), "{line:?}");
        }
    }
}

#[test]
fn rights_are_those_that_were_granted_and_certificates_can_be_counted_on() {
    let first = Machine::new("demo-cp-1", free_port());
    good(&first.init());
    let user = good(&first.run(&[
        "kubeadm",
        "kubeconfig",
        "user",
        "--client-name",
        "ada",
        "--org",
        "students",
        "--validity-period",
        "1h",
    ]));
    let file = first.file("ada.conf");
    std::fs::write(&file, user).expect("a file");
    let file = file.to_string_lossy();
    let refused = first.run(&["kubectl", "--kubeconfig", &file, "get", "nodes"]);
    assert_eq!(
        err(&refused).trim(),
        "Error from server (Forbidden): nodes is forbidden: User \"ada\" cannot list resource \"nodes\" in API group \"\" at the cluster scope"
    );
    let grant = first.file("grant.yaml");
    let group = "rbac.authorization.k8s.io";
    std::fs::write(&grant, format!(
        "apiVersion: {group}/v1\nkind: RoleBinding\nmetadata: {{name: students, namespace: default}}\n\
         roleRef: {{apiGroup: {group}, kind: ClusterRole, name: edit}}\nsubjects: [{{apiGroup: {group}, kind: Group, name: students}}]\n"
    )).expect("a file");
    good(&first.kubectl(false, &["apply", "-f", &grant.to_string_lossy()]));
    good(&first.run(&[
        "kubectl",
        "--kubeconfig",
        &file,
        "create",
        "configmap",
        "mine",
        "--from-literal=a=b",
    ]));
    assert!(
        !first
            .run(&["kubectl", "--kubeconfig", &file, "get", "configmaps", "-n", "kube-system"])
            .status
            .success()
    );

    let report = good(&first.run(&["kubeadm", "certs", "check-expiration", "-o", "json"]));
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let certificates = report["certificates"].as_array().expect("a list");
    assert_eq!(certificates.len(), 11);
    assert!(
        certificates
            .iter()
            .all(|one| one["missing"] == false && one["residualTime"].as_i64() > Some(364 * 86400)),
        "{report:#}"
    );
}

#[test]
fn a_service_accounts_token_is_good_in_its_namespace_until_the_account_is_gone() {
    if !has_real_kubectl() {
        return;
    }
    let first = Machine::new("demo-cp-1", free_port());
    good(&first.init());
    let kubectl = |arguments: &[&str]| good(&first.kubectl(false, arguments));
    let objects = first.file("objects.yaml");
    std::fs::write(&objects, concat!(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: blue}}\n",
        "- {apiVersion: v1, kind: ServiceAccount, metadata: {name: ada, namespace: blue}}\n",
        "- {apiVersion: v1, kind: ResourceQuota, metadata: {name: q, namespace: blue}, spec: {hard: {pods: '20', requests.cpu: '2'}}}\n",
        "- apiVersion: rbac.authorization.k8s.io/v1\n  kind: RoleBinding\n  metadata: {name: ada, namespace: blue}\n",
        "  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}\n",
        "  subjects: [{kind: ServiceAccount, name: ada, namespace: blue}]\n",
    )).expect("a file");
    kubectl(&["apply", "-f", &objects.to_string_lossy()]);
    let short =
        first.kubectl(false, &["create", "token", "ada", "-n", "blue", "--duration", "60s"]);
    assert!(
        err(&short).contains("may not specify a duration less than 10 minutes"),
        "{}",
        err(&short)
    );
    let token = kubectl(&[
        "create",
        "token",
        "-n",
        "blue",
        "--duration",
        "3600s",
        "-o",
        "json",
        "--",
        "ada",
    ]);
    let token: serde_json::Value = serde_json::from_str(&token).expect("JSON");
    let token = token["status"]["token"].as_str().expect("a token");

    let mut config = command("kubectl");
    let file = first.file("ada.conf");
    config.arg("--kubeconfig").arg(&file).args([
        "config",
        "set-credentials",
        "ada",
        "--token",
        token,
    ]);
    good(&config.output().expect("kubectl"));
    let ada = |arguments: &[&str]| {
        let mut kubectl = command("kubectl");
        kubectl.arg("--kubeconfig").arg(&file).args([
            "--user",
            "ada",
            "--insecure-skip-tls-verify",
            "--server",
        ]);
        kubectl
            .arg(format!("https://127.0.0.1:{}", first.port))
            .args(arguments)
            .output()
            .expect("kubectl")
    };
    assert_eq!(good(&ada(&["get", "namespace", "blue", "-o", "name"])), "namespace/blue\n");
    good(&ada(&["create", "configmap", "mine", "-n", "blue", "--from-literal=a=b"]));
    assert_eq!(
        good(&ada(&["get", "quota", "-n", "blue", "-o", "jsonpath={.items[0].status.used}"])),
        r#"{"pods":"0","requests.cpu":"0"}"#
    );
    for refused in [
        &["get", "namespaces"][..],
        &["get", "namespace", "default"],
        &["get", "pods", "-n", "default"],
        &["delete", "quota", "q", "-n", "blue"],
        &["get", "nodes"],
    ] {
        let output = ada(refused);
        assert!(
            !output.status.success() && err(&output).contains("is forbidden"),
            "{refused:?}: {}",
            err(&output)
        );
    }
    kubectl(&[
        "delete",
        "serviceaccount,rolebinding",
        "-n",
        "blue",
        "--ignore-not-found",
        "--",
        "ada",
    ]);
    let over = ada(&["get", "configmaps", "-n", "blue"]);
    assert!(
        err(&over).contains("You must be logged in") || err(&over).contains("Unauthorized"),
        "{}",
        err(&over)
    );
}
