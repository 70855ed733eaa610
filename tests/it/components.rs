//! The life of a cluster of Kubernetes' own programs, beside the same with the stand-ins: through the real Terraform, by
//! the same roles.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    hcl,
    world::{Machine, Needs, Playbooks, Workspace, World, world},
};

const CLUSTER: &str = "kubesmith_cluster.demo";
const CONTROL_PLANE: Machine = Machine { vmid: 19201, name: "demo-cp-1", address: "10.40.19.201" };

#[test]
fn a_cluster_of_kubernetes_own_programs_is_made_scaled_and_destroyed() {
    let Some(world) = world(Needs::Kubernetes) else { return };
    let pool = world.workspace("admin", &hcl::pool());
    pool.apply();
    let (template, version) = (world.kubernetes("template"), world.kubernetes("version"));
    let stand_ins = life(&world, "stand-ins", "ubuntu-24.04-k8s-1.36", "1.36.4", |_| {});
    let own = life(&world, "own", template, version, |workspace| {
        // What a stand-in cannot do: containers run, each from an image of the programs that were given.
        let pods = workspace.kubectl(CLUSTER, &["get", "pods", "-A", "--no-headers"]);
        assert!(pods.lines().all(|pod| pod.contains(" Running ")), "{pods}");
        for part in [
            "etcd-",
            "kube-apiserver-",
            "kube-controller-manager-",
            "kube-scheduler-",
            "kube-proxy-",
            "lab-network-",
        ] {
            assert!(pods.contains(part), "no {part} in\n{pods}");
        }
        let images = workspace.kubectl(
            CLUSTER,
            &["get", "pods", "-A", "-o", "jsonpath={.items[*].spec.containers[*].image}"],
        );
        assert!(images.split(' ').all(|image| image.starts_with("kubesmith.invalid/")), "{images}");
        certificates_and_backups(&world, workspace);
    });
    pool.destroy();
    world.assert_empty();
    eprintln!("{:<12} {:>10} {:>10}", "", "stand-ins", format!("v{version}"));
    for ((what, stand_in), (_, own)) in stand_ins.iter().zip(&own) {
        eprintln!("{what:<12} {:>8.1} s {:>8.1} s", stand_in.as_secs_f64(), own.as_secs_f64());
    }
}

/// The playbooks that people run by hand on a cluster that lives.
fn certificates_and_backups(world: &World, workspace: &Workspace<'_>) {
    let attributes = workspace.attributes(CLUSTER);
    let key = attributes["ssh_private_key"].as_str().expect("a key");
    let by_hand = world.playbooks_with(key);
    let machine = CONTROL_PLANE;
    let groups = [("control_plane", &[machine][..])];
    let mut inputs = json!({"cluster_name": "demo", "api_endpoint": "10.40.19.201:6443"});

    let serial = |of: &str| world.root(machine, &format!("{of} | openssl x509 -noout -serial"));
    let file = "cat /etc/kubernetes/pki/apiserver.crt";
    let served = "openssl s_client -connect 10.40.19.201:6443 </dev/null 2>/dev/null";
    let before = serial(file);
    // All of them last a year, so the usual 90 days ask for nothing.
    let idle = by_hand.play("certificates.yml", &groups, &inputs).must();
    assert_eq!((idle.changed(), serial(file)), (1, before.clone()), "only the kubeconfig was new");
    inputs["control_plane_renew_within_days"] = json!(400);
    by_hand.play("certificates.yml", &groups, &inputs).must();
    assert_ne!(serial(file), before);
    assert_eq!(serial(file), serial(served), "the API server serves the new certificate");
    inputs["control_plane_renew_within_days"] = json!(90);
    let again = by_hand.play("certificates.yml", &groups, &inputs).must();
    assert_eq!(again.changed(), 0, "{}", again.text);

    snapshots(world, workspace, &by_hand, inputs);
}

/// etcd is backed up and restored: what was lost is there again, what came later is not.
fn snapshots(world: &World, workspace: &Workspace<'_>, by_hand: &Playbooks<'_>, mut inputs: Value) {
    let machine = CONTROL_PLANE;
    let groups = [("control_plane", &[machine][..])];
    let kubectl = |arguments: &[&str]| workspace.kubectl(CLUSTER, arguments);
    kubectl(&["create", "configmap", "lost", "--from-literal=by=mistake"]);
    by_hand.play("etcd_backup.yml", &groups, &inputs).must();
    let fetched = std::fs::read_dir(by_hand.artifacts()).expect("artifacts").flatten();
    let snapshots: Vec<_> = fetched
        .filter(|file| file.file_name().to_string_lossy().starts_with("etcd-demo-"))
        .collect();
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    let about = snapshots[0].metadata().expect("a file");
    assert_eq!(about.permissions().mode() & 0o777, 0o600, "it holds every Secret");
    assert!(about.len() > 1 << 16, "{} bytes", about.len());

    kubectl(&["delete", "configmap", "lost"]);
    kubectl(&["create", "configmap", "later", "--from-literal=than=the-snapshot"]);
    let workers = [
        Machine { vmid: 19202, name: "demo-worker-1", address: "10.40.19.202" },
        Machine { vmid: 19203, name: "demo-worker-2", address: "10.40.19.203" },
    ];
    let groups = [groups[0], ("worker", &workers)];
    let snapshot = snapshots[0].path();
    let refused = |file: &Path, why: &str| {
        let mut inputs = inputs.clone();
        inputs["control_plane_etcd_snapshot"] = json!(file);
        let played = by_hand.play("etcd_restore.yml", &groups, &inputs);
        assert!(!played.ok && played.text.contains(why), "{}", played.text);
    };
    let copy = |name: &str, bytes: &[u8]| {
        let file = by_hand.artifacts().join(name);
        std::fs::write(&file, bytes).expect("a copy");
        file
    };
    let whole = std::fs::read(&snapshot).expect("a snapshot");
    refused(&copy("etcd-other-1.db", &whole), "is not a snapshot of demo");
    refused(
        &copy("etcd-demo-half.db", &whole[..whole.len() / 2]),
        "nothing was changed, for etcd cannot read",
    );
    assert!(kubectl(&["get", "configmaps"]).contains("later"), "it still runs as before");

    inputs["control_plane_etcd_snapshot"] = json!(snapshot);
    let is_back = || {
        by_hand.play("etcd_restore.yml", &groups, &inputs).must();
        let held = kubectl(&["get", "configmaps"]);
        assert!(held.contains("lost") && !held.contains("later"), "{held}");
    };
    is_back();
    // Once more, from the same snapshot; and cut off when the control plane is about to stop.
    kubectl(&["create", "configmap", "later", "--from-literal=than=the-restore"]);
    let cut_off = by_hand.start("etcd_restore.yml", &groups, &inputs);
    let (status, _) = world.root(
        machine,
        "for _ in {1..1200}; do
             [ -d /etc/kubernetes/manifests-while-etcd-is-restored ] && exec pkill -KILL -f '^bash -s$'
             sleep 0.1
         done",
    );
    let (ok, text) = cut_off.finish();
    assert!(status == Some(0) && !ok, "it was cut off: {status:?}\n{text}");
    is_back();
    let (_, left) = world
        .root(machine, "ls -d /var/lib/etcd-replaced-*/member /etc/kubernetes/manifests/etcd.yaml");
    assert_eq!(left.lines().count(), 3, "what it held before is kept: {left}");
}

/// 1+2, then 3 workers, then 1, then nothing; how long each step took.
fn life(
    world: &World,
    owner: &str,
    template: &str,
    version: &str,
    look: impl FnOnce(&Workspace<'_>),
) -> Vec<(&'static str, Duration)> {
    let workspace = world.workspace(owner, &hcl::cluster_of(template, version, 2));
    let mut times = Vec::new();
    let mut timed = |what, act: &dyn Fn()| {
        let began = Instant::now();
        act();
        times.push((what, began.elapsed()));
    };
    timed("create 1+2", &|| drop(workspace.apply()));
    workspace.assert_no_changes();
    is_ready(world, &workspace, version, 2);
    look(&workspace);
    for (what, workers) in [("scale to 3", 3), ("scale to 1", 1)] {
        workspace.write(&hcl::cluster_of(template, version, workers));
        timed(what, &|| drop(workspace.apply()));
        workspace.assert_no_changes();
        is_ready(world, &workspace, version, workers);
    }
    timed("destroy", &|| drop(workspace.destroy()));
    times
}

/// All nodes are Ready in the wanted version, and the probe's Service answers on each.
fn is_ready(world: &World, workspace: &Workspace<'_>, version: &str, workers: usize) {
    let nodes = workspace.kubectl(CLUSTER, &["get", "nodes", "--no-headers"]);
    let ready = nodes
        .lines()
        .filter(|line| line.contains(" Ready ") && line.contains(&format!("v{version}")));
    assert_eq!(ready.count(), workers + 1, "{nodes}");
    let address = [
        "get",
        "service",
        "kubesmith-probe",
        "-n",
        "kube-system",
        "-o",
        "jsonpath={.spec.clusterIP}",
    ];
    let address = workspace.kubectl(CLUSTER, &address);
    for (vmid, _) in world.machines() {
        let asked = json!({"argv": ["curl", "--silent", "--show-error", "--max-time", "10", "--cacert", "/etc/kubernetes/pki/ca.crt",
            "--connect-to", format!("kubernetes:443:{address}:443"), "https://kubernetes/readyz"]});
        let answer = world.control("POST", &format!("/lab/guests/{vmid}/exec"), &asked);
        assert_eq!(answer["stdout"], "ok", "VM {vmid}: {answer}");
    }
}
