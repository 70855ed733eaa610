//! A cluster's life through the real Terraform, with real Ansible over SSH into light guests.

use serde_json::{Value, json};

use crate::{
    hcl,
    world::{Needs, Workspace, one_line, world},
};

const CLUSTER: &str = "kubesmith_cluster.demo";

#[test]
fn a_cluster_is_made_scaled_repaired_imported_and_destroyed() {
    let Some(world) = world(Needs::Guests) else { return };
    let pool = world.workspace("admin", &hcl::pool());
    pool.apply();
    pool.assert_no_changes();

    let mut course = world.workspace("course-1", &hcl::cluster(2));
    course.apply();
    course.assert_no_changes();
    assert_eq!(
        nodes(&course),
        [
            "demo-cp-1 10.40.19.201 19201",
            "demo-worker-1 10.40.19.202 19202",
            "demo-worker-2 10.40.19.203 19203"
        ]
    );
    let listed = course.kubectl(CLUSTER, &["get", "nodes", "--no-headers"]);
    assert_eq!(listed.lines().filter(|line| line.contains(" Ready ")).count(), 3, "{listed}");

    for workers in [3, 1] {
        course.write(&hcl::cluster(workers));
        course.apply();
        course.assert_no_changes();
        assert_eq!(world.machines().len(), workers + 1);
        let listed = course.kubectl(CLUSTER, &["get", "nodes", "--no-headers"]);
        assert_eq!(listed.lines().count(), workers + 1, "{listed}");
    }

    // Somebody deletes a machine in Proxmox's web interface.
    let node = world.machines()[1].1["node"].as_str().expect("a node").to_owned();
    world.stop_and_delete(&node, 19202);
    let (_, planned) = course.terraform(&["plan", "-no-color"]);
    assert!(!planned.contains("No changes."), "the plan hides a missing machine:\n{planned}");
    assert!(
        planned.contains("demo-worker-1"),
        "the plan does not name the missing machine:\n{planned}"
    );
    course.apply();
    course.assert_no_changes();
    assert_eq!(world.machines().len(), 2);
    course.kubectl(CLUSTER, &["wait", "--for=condition=Ready", "node", "--all", "--timeout=60s"]);

    // Terraform forgets the cluster; it comes back by its name and its key.
    let key = course.dir().join("demo.key");
    std::fs::write(&key, course.attributes(CLUSTER)["ssh_private_key"].as_str().expect("a key"))
        .expect("write");
    let before = course.attributes(CLUSTER);
    course.must(&["state", "rm", CLUSTER]);
    let refused = course.apply_fails();
    assert!(refused.contains("terraform import"), "the way out is not said:\n{refused}");
    course.set_env("KUBESMITH_IMPORT_SSH_KEY_FILE", key.to_str().expect("UTF-8"));
    course.must(&["import", "-no-color", CLUSTER, "demo"]);
    course.assert_no_changes();
    assert_eq!(same(&course.attributes(CLUSTER)), same(&before));
    course.write(&hcl::cluster(2));
    course.apply();
    course.assert_no_changes();
    course.kubectl(CLUSTER, &["wait", "--for=condition=Ready", "node", "--all", "--timeout=60s"]);

    course.destroy();
    let receipt = course.events().into_iter().rev().find(|event| event["receipt"].is_object());
    let receipt = receipt.expect("a destroy ends with a receipt");
    assert_eq!(receipt["receipt"]["vmids"], json!([19201, 19202, 19203]));
    pool.destroy();
    world.assert_empty();
}

#[test]
fn packages_come_from_the_mirror_where_the_image_has_none() {
    let Some(world) = world(Needs::Guests) else { return };
    let hcl = hcl::all(0).replace(
        "template = \"ubuntu-24.04-k8s-1.36\"",
        "template = \"debian-13-plain\"\n  package_mirror = \"http://10.40.19.254\"\n  registry_mirror = \"http://10.40.19.254\"",
    );
    let one = world.workspace("course-1", &hcl);
    one.apply();
    one.assert_no_changes();
    one.kubectl(CLUSTER, &["get", "--raw", "/readyz"]);
    one.destroy();
    world.assert_empty();
}

/// `name address vmid` of each node in the state.
fn nodes(workspace: &Workspace<'_>) -> Vec<String> {
    let attributes = workspace.attributes(CLUSTER);
    let nodes = attributes["nodes"].as_array().expect("nodes");
    nodes
        .iter()
        .map(|node| {
            format!(
                "{} {} {}",
                node["name"].as_str().unwrap_or("?"),
                node["address"].as_str().unwrap_or("?"),
                node["vmid"]
            )
        })
        .collect()
}

/// What an import must bring back.
fn same(attributes: &Value) -> Value {
    let keys = [
        "name",
        "endpoint",
        "nodes",
        "kubeconfig",
        "template",
        "kubernetes_version",
        "workers",
        "known_hosts",
    ];
    keys.iter()
        .map(|key| ((*key).to_owned(), attributes[key].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn a_failed_create_is_tainted_and_both_ways_out_work() {
    let Some(world) = world(Needs::Guests) else { return };
    let one = world.workspace("course-1", &hcl::all(1));
    // The worker's kubeadm is broken before its first boot.
    let broken = json!({"script": "printf '#!/bin/sh\\necho out of cheese >&2\\nexit 3\\n' > usr/bin/kubeadm"});
    world.control("POST", "/lab/guests/19202/break", &broken);
    let failed = one.apply_fails();
    assert!(failed.contains("demo-worker-1"), "the node is not named:\n{failed}");
    assert!(failed.contains("out of cheese"), "the reason is not shown:\n{failed}");
    world.heal();

    // First way: the next apply replaces what is tainted.
    let (_, planned) = one.terraform(&["plan", "-no-color"]);
    assert!(one_line(&planned).contains("is tainted, so must be replaced"), "{planned}");
    one.apply();
    one.assert_no_changes();
    one.destroy();

    // Second way: untaint, and apply goes on with what is there.
    world.control("POST", "/lab/guests/19202/break", &broken);
    one.apply_fails();
    world.heal();
    let exec = json!({"argv": ["/bin/sh", "-c", "cp /usr/bin/kubectl /usr/bin/kubeadm"]});
    world.control("POST", "/lab/guests/19202/exec", &exec);
    one.must(&["untaint", CLUSTER]);
    one.apply();
    one.assert_no_changes();
    one.destroy();
    world.assert_empty();
}
