//! The lab's stand-ins for Kubernetes, driven as roles and people drive the real ones: by argv, files and a real kubectl.

mod machine;
mod rights;

use machine::{Machine, TOKEN, err, free_port, good, has_real_kubectl, out};

const FLANNEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lab/packages/kube-flannel.yml");

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
