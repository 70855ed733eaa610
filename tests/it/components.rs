//! The life of a cluster of Kubernetes' own programs, beside the same with the stand-ins: through the real Terraform, by
//! the same roles.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    hcl,
    world::{Needs, Workspace, World, world},
};

const CLUSTER: &str = "kubesmith_cluster.demo";

#[test]
fn a_cluster_of_kubernetes_own_programs_is_made_scaled_and_destroyed() {
    let Some(world) = world(Needs::Kubernetes) else { return };
    let pool = world.workspace("admin", &hcl::pool());
    pool.apply();
    let (template, version) = (world.kubernetes("template"), world.kubernetes("version"));
    let stand_ins = life(&world, "stand-ins", "ubuntu-24.04-k8s-1.36", "1.36.4", |_| {});
    let own = life(&world, "own", template, version, |workspace| {
        // What a stand-in cannot do: containers run, and answer over the pod network and through a Service.
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
    });
    pool.destroy();
    world.assert_empty();
    eprintln!("{:<12} {:>10} {:>10}", "", "stand-ins", format!("v{version}"));
    for ((what, stand_in), (_, own)) in stand_ins.iter().zip(&own) {
        eprintln!("{what:<12} {:>8.1} s {:>8.1} s", stand_in.as_secs_f64(), own.as_secs_f64());
    }
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
