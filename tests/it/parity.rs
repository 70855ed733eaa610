//! One script over kubeadm and kubectl, run in guests with the stand-ins and in guests with Kubernetes' own programs:
//! exit codes, files and answers must be those of the recorded transcript, which is the real programs' own.

use std::fmt::Write as _;

use crate::world::{Machine, Needs, World, world};

const CONTROL_PLANE: Machine =
    Machine { vmid: 19231, name: "parity-cp-1", address: "10.40.19.231" };
const WORKER: Machine = Machine { vmid: 19232, name: "parity-worker-1", address: "10.40.19.232" };

/// What happens where, in this order: a name, the machine, and a script whose exit code and output count.
const SCRIPT: &[(&str, Machine, &str)] = &[
    (
        "a kubelet without its configuration",
        WORKER,
        "timeout 60 kubelet --config=/var/lib/kubelet/config.yaml 2>&1 | grep -o 'ailed to load [Kk]ubelet config file' | head -n 1 | tr K k; exit $((PIPESTATUS[0] != 0))", // 1.20 ended itself with 255
    ),
    ("a list of tokens before there is a cluster", CONTROL_PLANE, "kubeadm token list 2>/dev/null"),
    (
        "init",
        CONTROL_PLANE,
        "kubeadm init --config init.yaml 2>log >out; code=$?; grep -o 'Your Kubernetes control-plane has initialized successfully!' out || cat log; exit $code",
    ),
    (
        "files of a control plane",
        CONTROL_PLANE,
        "find /etc/kubernetes /var/lib/kubelet/config.yaml /var/lib/kubelet/kubeadm-flags.env -type f -printf '%m %p\\n' | sort -k 2",
    ),
    (
        "init where a cluster is",
        CONTROL_PLANE,
        "soon bash -c 'exec 3<>/dev/tcp/127.0.0.1/10250' 2>/dev/null; kubeadm init --config init.yaml 2>&1 | grep -oE '\\[ERROR [^]]*\\]: .*' | sort; exit ${PIPESTATUS[0]}",
    ),
    (
        "who the administrator's kubeconfig is",
        CONTROL_PLANE,
        "cp /etc/kubernetes/admin.conf . && grep -v -- '-data:' admin.conf",
    ),
    (
        "nodes without a network",
        CONTROL_PLANE,
        "kubectl get nodes --no-headers | awk '{ print $1, $2, $3, $5 }'",
    ),
    (
        "the network",
        CONTROL_PLANE,
        "kubectl apply -f \"$(jq -r .flannel_manifest /etc/kubesmith/image.json)\" >log 2>&1 || cat log; kubectl wait --for=condition=Ready node/parity-cp-1 --timeout=300s",
    ),
    (
        "a token",
        CONTROL_PLANE,
        "kubeadm token create --ttl 15m --description parity 2>/dev/null | tee token | grep -cE '^[a-z0-9]{6}\\.[a-z0-9]{16}$'",
    ),
    (
        "its line in the list",
        CONTROL_PLANE,
        "kubeadm token list | grep \"$(cat token)\" | awk '{ print $4, $5, $6 }'",
    ),
    ("the heading of the list", CONTROL_PLANE, "kubeadm token list | head -n 1 | tr -s ' '"),
    (
        "another token, deleted",
        CONTROL_PLANE,
        "kubeadm token create zzzzzz.0123456789abcdef --ttl 15m 2>/dev/null; kubeadm token delete zzzzzz",
    ),
    (
        "deleted once more",
        CONTROL_PLANE,
        "kubeadm token delete zzzzzz 2>&1 | head -n 1; exit ${PIPESTATUS[0]}",
    ),
    (
        "the authority's pin",
        CONTROL_PLANE,
        "openssl x509 -pubkey -noout -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform der | sha256sum | cut -d' ' -f1 > pin; kubeadm token create --print-join-command --ttl 15m 2>/dev/null | grep -c \"discovery-token-ca-cert-hash sha256:$(cat pin)\"",
    ),
    (
        "a join with the wrong pin",
        WORKER,
        "join \"$TOKEN\" $(printf '%064d' 0) 2>&1 | grep -oE 'are pinned|none of the public keys' | head -n 1; ls /etc/kubernetes/kubelet.conf 2>&1",
    ),
    (
        "a join with a token that nobody gave",
        WORKER,
        "join zzzzzz.0123456789abcdef \"$PIN\" 2>&1 | grep -o 'could not find a JWS signature in the cluster-info ConfigMap for token ID \"zzzzzz\"' | head -n 1; ls /etc/kubernetes/kubelet.conf 2>&1",
    ),
    (
        "a join with another token's secret",
        WORKER,
        "join \"${TOKEN%.*}.ffffffffffffffff\" \"$PIN\" 2>&1 | grep -o 'failed to verify JWS signature' | head -n 1; ls /etc/kubernetes/kubelet.conf 2>&1",
    ),
    (
        "a join",
        WORKER,
        "join \"$TOKEN\" \"$PIN\" >out 2>log; code=$?; grep -o 'This node has joined the cluster' out || cat log; exit $code",
    ),
    (
        "files of a worker",
        WORKER,
        "find /etc/kubernetes /var/lib/kubelet/config.yaml /var/lib/kubelet/kubeadm-flags.env -type f -printf '%m %p\\n' | sort -k 2",
    ),
    (
        "a join of a node",
        WORKER,
        "join \"$TOKEN\" \"$PIN\" 2>&1 | grep -oE '\\[ERROR [^]]*\\]: .*' | sort; exit ${PIPESTATUS[0]}",
    ),
    (
        "the worker is Ready",
        CONTROL_PLANE,
        "kubectl wait --for=condition=Ready node/parity-worker-1 --timeout=300s && kubectl get nodes --no-headers | awk '{ print $1, $2, $3, $5 }'",
    ),
    (
        "a Service in front of the API server",
        CONTROL_PLANE,
        "printf 'apiVersion: v1\\nkind: Service\\nmetadata: {name: api, namespace: kube-system}\\nspec: {selector: {component: kube-apiserver}, ports: [{port: 443, targetPort: 6443}]}\\n' | kubectl create -f - -o 'jsonpath={.spec.clusterIP}' > service; endpoints() { kubectl -n kube-system get endpoints api -o 'jsonpath={.subsets[*].addresses[*].ip}:{.subsets[*].ports[*].port}{\"\\n\"}' | grep 6443; }; soon endpoints",
    ),
    (
        "the Service, asked from a worker",
        WORKER,
        "soon curl --silent --max-time 5 --cacert /etc/kubernetes/pki/ca.crt --connect-to \"kubernetes:443:$SERVICE:443\" https://kubernetes/readyz",
    ),
    (
        "a server under another authority",
        WORKER,
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=kubernetes -days 1 -keyout other.key -out other.crt 2>/dev/null; sed \"s|certificate-authority-data:.*|certificate-authority-data: $(base64 -w0 other.crt)|\" admin.conf > other.conf; kubectl --kubeconfig other.conf get nodes 2>&1 | tail -n 1 | grep -o 'x509: certificate signed by unknown authority'; exit ${PIPESTATUS[0]}",
    ),
    (
        "a client under another authority",
        WORKER,
        "client other other.crt other.key -days 1; kubectl --kubeconfig other.conf get nodes 2>&1 | tail -n 1; exit ${PIPESTATUS[0]}",
    ),
    (
        "a client whose certificate has ended",
        CONTROL_PLANE,
        "client ended /etc/kubernetes/pki/ca.crt /etc/kubernetes/pki/ca.key -not_before 20200101000000Z -not_after 20200102000000Z; kubectl --kubeconfig ended.conf get nodes 2>&1 | tail -n 1; exit ${PIPESTATUS[0]}",
    ),
    (
        "a client whose certificate counts",
        CONTROL_PLANE,
        "client live /etc/kubernetes/pki/ca.crt /etc/kubernetes/pki/ca.key -days 1; kubectl --kubeconfig live.conf get nodes -o name",
    ),
    (
        "certificates and how long they last",
        CONTROL_PLANE,
        "kubeadm certs check-expiration 2>/dev/null | awk '$1 ~ /^(apiserver|admin|etcd|front|ca|controller|scheduler)/ && $1 != \"etcd-ca\" { print $1 }'",
    ),
    (
        "a worker drained and deleted",
        CONTROL_PLANE,
        "kubectl drain parity-worker-1 --ignore-daemonsets --delete-emptydir-data --force --timeout=120s >/dev/null 2>&1 && kubectl delete node parity-worker-1 && kubectl get nodes -o name",
    ),
    (
        "a node that is not there",
        CONTROL_PLANE,
        "kubectl delete node parity-worker-9 2>&1; kubectl get node parity-worker-9 2>&1",
    ),
    (
        "reset of the worker",
        WORKER,
        "kubeadm reset -f >out 2>&1 || { cat out; exit 1; }; find /etc/kubernetes /var/lib/kubelet -type f; systemctl is-active kubelet",
    ),
    (
        "reset of the control plane",
        CONTROL_PLANE,
        "kubeadm reset -f >out 2>&1 || { cat out; exit 1; }; find /etc/kubernetes /var/lib/kubelet /var/lib/etcd -type f; systemctl is-active kubelet",
    ),
    (
        "nobody answers any more",
        CONTROL_PLANE,
        "kubectl --kubeconfig admin.conf get nodes 2>&1 | tail -n 1; exit ${PIPESTATUS[0]}",
    ),
    ("reset of what is reset", WORKER, "kubeadm reset -f >out 2>&1 || { cat out; exit 1; }"),
    (
        "init again",
        CONTROL_PLANE,
        "kubeadm init --config init.yaml 2>log >out || { cat log; exit 1; }; kubectl --kubeconfig admin.conf get nodes 2>&1 | tail -n 1 | grep -o 'x509: certificate signed by unknown authority'; kubectl get nodes -o name",
    ),
];

/// Before every script: the words that some of them use.
const PRELUDE: &str = r#"
mkdir -p /root/parity && cd /root/parity
export KUBECONFIG=/etc/kubernetes/admin.conf
soon() { # a command that succeeds within five minutes
    local end=$((SECONDS + 300))
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.5
    done
}
join() { # token, pin
    cat > join.yaml << YAML
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
timeouts: {discovery: 10s}
discovery:
  bootstrapToken: {apiServerEndpoint: "10.40.19.231:6443", token: $1, caCertHashes: ["sha256:$2"]}
nodeRegistration:
  name: parity-worker-1
  criSocket: unix:///run/containerd/containerd.sock
  kubeletExtraArgs: [{name: node-ip, value: 10.40.19.232}]
YAML
    kubeadm join --config join.yaml
}
client() { # name, authority, its key, and how long the certificate counts: makes NAME.conf of an administrator
    local name=$1 ca=$2 key=$3
    shift 3
    openssl req -new -newkey rsa:2048 -nodes -subj "/O=system:masters/CN=$name" -keyout "$name-client.key" -out "$name.csr" 2> /dev/null
    printf 'extendedKeyUsage = clientAuth\n' > ext
    openssl x509 -req -in "$name.csr" -CA "$ca" -CAkey "$key" -CAcreateserial -extfile ext -out "$name-client.crt" "$@" 2> /dev/null
    sed -e "s|client-certificate-data:.*|client-certificate-data: $(base64 -w0 "$name-client.crt")|" \
        -e "s|client-key-data:.*|client-key-data: $(base64 -w0 "$name-client.key")|" admin.conf > "$name.conf"
}
"#;

fn init_configuration(version: &str) -> String {
    format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {{advertiseAddress: 10.40.19.231, bindPort: 6443}}\n\
         nodeRegistration:\n  name: parity-cp-1\n  criSocket: unix:///run/containerd/containerd.sock\n  \
         kubeletExtraArgs: [{{name: node-ip, value: 10.40.19.231}}]\n---\napiVersion: kubeadm.k8s.io/v1beta4\n\
         kind: ClusterConfiguration\nclusterName: parity\nkubernetesVersion: v{version}\ncontrolPlaneEndpoint: 10.40.19.231:6443\n\
         networking: {{podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/16}}\napiServer: {{certSANs: [parity.example.org]}}\n---\n\
         apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: systemd\n---\n\
         apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: iptables\n"
    )
}

#[test]
fn the_stand_ins_do_what_kubernetes_own_programs_did() {
    let Some(world) = world(Needs::Guests) else { return };
    insta::assert_snapshot!("transcript", transcript(&world, 9000, "1.36.4"));
}

#[test]
fn kubernetes_own_programs_do_what_is_recorded() {
    let Some(world) = world(Needs::Kubernetes) else { return };
    let version = world.kubernetes("version").to_owned();
    insta::assert_snapshot!("transcript", transcript(&world, 9002, &version));
}

/// Runs the script on two new machines of a template.
fn transcript(world: &World, template: u32, version: &str) -> String {
    for machine in [CONTROL_PLANE, WORKER] {
        world.boot(template, machine, &[]);
        // What the role `common` sees to.
        let ready = "systemctl start containerd && echo 1 > /proc/sys/net/ipv4/ip_forward";
        assert_eq!(world.root(machine, ready), (Some(0), String::new()));
    }
    let write = format!("cat > init.yaml << 'YAML'\n{}YAML\n", init_configuration(version));
    assert_eq!(run(world, CONTROL_PLANE, &write), (Some(0), String::new()));
    let mut said = String::new();
    let mut shared = String::new();
    for (what, machine, script) in SCRIPT {
        let (code, output) = run(world, *machine, &format!("{shared}\n{script}"));
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        let _ = writeln!(said, "## {what}\nexit code {code}\n{}", plain(&output, version));
        eprintln!("{what}: exit code {code}");
        match *what {
            // What a person would carry from one machine to the other.
            "the authority's pin" | "a Service in front of the API server" => {
                let (_, values) = run(
                    world,
                    CONTROL_PLANE,
                    "cat token pin; cat service 2>/dev/null; base64 -w0 admin.conf",
                );
                let mut lines = values.lines();
                let mut next = || lines.next().unwrap_or_default().to_owned();
                let (token, pin, rest) = (next(), next(), next());
                // The Service's address has no line end of its own.
                let split = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(0);
                let (service, admin) = rest.split_at(split);
                shared = format!(
                    "TOKEN={token} PIN={pin} SERVICE={service}\necho {admin} | base64 -d > admin.conf"
                );
            }
            _ => {}
        }
    }
    said
}

/// Runs a script as root in a machine: its exit code and what it said.
fn run(world: &World, machine: Machine, script: &str) -> (Option<i64>, String) {
    world.root(machine, &format!("{PRELUDE}\n{script}"))
}

/// Without what differs from run to run or between versions, and by nothing else.
fn plain(output: &str, version: &str) -> String {
    let lines = output.lines().map(|line| {
        let line = line.trim_end().replace(&format!("v{version}"), "VERSION");
        // 1.20 had two names for the role, and its taint the older one.
        line.replace("control-plane,master", "control-plane")
    });
    // The administrator's file was split in two in 1.29.
    lines.filter(|line| !line.contains("super-admin.conf")).map(|line| line + "\n").collect()
}
