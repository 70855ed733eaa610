//! What is said about a cluster: before it is made, when it is not to be made, and when it is not as it was.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::says;
use crate::{
    hcl,
    world::{Needs, Workspace, World, command, one_line, world},
};

const CLUSTER: &str = "kubesmith_cluster.demo";

fn plan(workspace: &Workspace<'_>) -> String {
    one_line(&workspace.terraform(&["plan", "-no-color"]).1)
}

fn refused(world: &World, method: &str, path_regex: &str) {
    world.fault(&json!({
        "kind": "http_500", "method": method, "path_regex": path_regex, "times": 1000, "message": "out of cheese",
    }));
}

/// Where a program of this machine lies.
fn which(program: &str) -> std::path::PathBuf {
    let path = std::env::var_os("PATH").expect("PATH");
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.is_file()).expect(program)
}

#[test]
fn what_would_make_a_create_fail_is_said_by_the_plan() {
    let Some(world) = world(Needs::Terraform) else { return };
    world.workspace("admin", &hcl::pool()).apply();
    world.workspace("course-1", &hcl::lease("demo", 6)).apply();
    let good = hcl::cluster(1);
    let with = |line: &str| good.replace("network       =", &format!("{line}\n  network       ="));
    let cases: [(&str, String, &[&str]); 6] = [
        (
            "nodes",
            with("proxmox_nodes = [\"pve9\"]"),
            &["No Proxmox node can take the machines", "No online Proxmox node can take a clone"],
        ),
        (
            "storage",
            with("storage = \"nope\"\n  clone = \"full\""),
            &["Storage nope not found", "has an active storage nope"],
        ),
        (
            "room",
            with("storage = \"shared\"\n  clone = \"full\"")
                .replace("disk_gib = 20", "disk_gib = 9000"),
            &["Little storage is free", "but storage shared has"],
        ),
        (
            "memory",
            good.replace("memory_mib = 4096", "memory_mib = 9000000"),
            &["Little memory is free", "want 18000000 MiB together"],
        ),
        ("linked", with("storage = \"shared\""), &["A storage needs full clones", "Set clone"]),
        (
            "ghost",
            good.replace(
                "[kubesmith_ip_lease.demo]",
                "[{ name = \"ghost\", pool = \"lab\", transaction = \"00000000000000ff\", addresses = \
                 [\"10.40.19.240\", \"10.40.19.241\"], prefix_length = 24, gateway = \"10.40.19.254\", nameservers = [], \
                 first_vmid = 19240 }]",
            ),
            &["Lease lab/ghost is not held", "Apply the lease first"],
        ),
    ];
    let mut workspace = world.workspace("course-1", &good);
    for (case, hcl, parts) in cases {
        workspace.write(&hcl);
        let text = if case == "ghost" { workspace.apply_fails() } else { plan(&workspace) };
        says(&text, parts);
    }
    workspace.write(&good);

    refused(&world, "GET", "/nodes/[^/]+/storage");
    says(&plan(&workspace), &["Unable to check the datacentre", "out of cheese"]);
    world.heal();
    world.proxmox(
        "PUT",
        "/nodes/pve1/qemu/9000/resize",
        &[("disk", "scsi0"), ("size", "30G")],
    );
    let text = plan(&workspace);
    says(&text, &["The disk is smaller than the template's", "Give at least 30"]);

    workspace.set_env("KUBESMITH_ANSIBLE_PLAYBOOK", "/nonexistent/ansible-playbook");
    says(&plan(&workspace), &["Unable to find ansible-playbook", "Install it"]);
    // A machine with Terraform and little else.
    let bin = workspace.dir().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    symlink(which("terraform"), bin.join("terraform")).expect("a link");
    workspace.set_env("PATH", bin.to_str().expect("UTF-8"));
    let text = plan(&workspace);
    says(&text, &["Unable to find ssh", "Unable to find ssh-keyscan", "package openssh-client"]);
}

/// A cluster whose machines never answered, although their stamps say that they are finished.
fn made_without_guests<'w>(world: &'w World, workers: usize) -> Workspace<'w> {
    let short = "timeouts = { create = \"8s\" }\n  network       =";
    let workspace =
        world.workspace("course-1", &hcl::all(workers).replace("network       =", short));
    let text = workspace.apply_fails();
    says(&text, &["Unable to finish cluster demo", "gave up waiting for SSH on 10.40.19.201"]);
    workspace.must(&["untaint", CLUSTER]);
    for (vmid, row) in world.machines() {
        let path = format!("/nodes/{}/qemu/{vmid}/config", row["node"].as_str().expect("a node"));
        let config = world.proxmox("GET", &path, &[]);
        let description = config["description"].as_str().expect("a description");
        let made = description.replace("made=0", "made=1");
        world.proxmox("PUT", &path, &[("description", &made)]);
    }
    workspace
}

fn node_of(world: &World, vmid: u64) -> String {
    let machines = world.machines();
    let (_, row) = machines.iter().find(|(id, _)| *id == vmid).expect("the machine");
    row["node"].as_str().expect("a node").to_owned()
}

#[test]
fn what_has_become_of_a_cluster_is_said_by_the_plan() {
    let Some(world) = world(Needs::Terraform) else { return };
    let workspace = made_without_guests(&world, 2);
    let good = std::fs::read_to_string(workspace.dir().join("main.tf")).expect("main.tf");
    workspace.write(&good.replace("1.36.4", "1.36.5"));
    let text = plan(&workspace);
    says(&text, &["Unable to change the Kubernetes version", "Upgrades are not supported yet"]);
    workspace.write(&good.replacen("disk_gib = 20", "disk_gib = 10", 1));
    says(&plan(&workspace), &["Unable to shrink a disk", "It has 20 GiB"]);
    workspace.write(&good);

    refused(&world, "GET", "/qemu/19201/config");
    says(&plan(&workspace), &["Unable to read cluster demo", "out of cheese"]);
    world.heal();

    let node = node_of(&world, 19203);
    world.fault(&json!({"kind": "node_down", "node": node}));
    says(&plan(&workspace), &[&format!("Proxmox node {node} is down"), "is on it"]);
    let text = workspace.apply_fails();
    let down = format!("is on Proxmox node {node}, which is down; nothing was changed");
    says(&text, &[&down, &format!("bring {node} back and apply again")]);
    world.heal();

    world.proxmox("POST", &format!("/nodes/{node}/qemu/19203/status/stop"), &[]);
    world.stop_and_delete(&node, 19203);
    world.proxmox("POST", &format!("/nodes/{node}/qemu"), &[("vmid", "19203"), ("name", "web1")]);
    says(&plan(&workspace), &["demo-worker-2 is gone", "It is not touched"]);

    // Its control plane is lost, and with it what Kubernetes held.
    workspace.edit_state("kubesmith_cluster", |cluster| cluster["kubeconfig"] = json!("x"));
    world.stop_and_delete(&node_of(&world, 19201), 19201);
    says(&plan(&workspace), &["The control plane demo-cp-1 (VM 19201) is gone", "anew"]);

    workspace.edit_state("kubesmith_cluster", |cluster| cluster["ssh_private_key"] = json!("x"));
    let text = plan(&workspace);
    says(&text, &["Unable to use the cluster's SSH key", "was damaged", "Ed25519 private key"]);
}

#[test]
fn what_keeps_a_cluster_from_going_is_said() {
    let Some(world) = world(Needs::Terraform) else { return };
    let workspace = made_without_guests(&world, 0);
    let keep: Value = workspace.attributes(CLUSTER);
    let key = workspace.dir().join("demo.key");
    std::fs::write(&key, keep["ssh_private_key"].as_str().expect("a key")).expect("write");
    let fails = |workspace: &Workspace<'_>, arguments: &[&str]| {
        let (ok, text) = workspace.terraform(arguments);
        assert!(!ok, "{arguments:?} should have failed:\n{text}");
        one_line(&text)
    };
    let destroy = ["destroy", "-auto-approve", "-no-color", "-refresh=false"];
    let state = std::fs::read(workspace.dir().join("terraform.tfstate")).expect("a state");

    workspace.must(&["state", "rm", CLUSTER]);
    let text = fails(&workspace, &["import", "-no-color", CLUSTER, "demo"]);
    says(&text, &["Unable to import cluster demo", "Set KUBESMITH_IMPORT_SSH_KEY_FILE"]);
    let mut importing = world.workspace("course-1", &hcl::all(0));
    importing.set_env("KUBESMITH_IMPORT_SSH_KEY_FILE", key.to_str().expect("UTF-8"));
    let sets = "/nodes/pve1/qemu/9990/firewall/ipset/lab/10.40.19.206";
    world.proxmox("DELETE", sets, &[]);
    let text = fails(&importing, &["import", "-no-color", CLUSTER, "demo"]);
    says(&text, &["Unable to find lease lab/demo", "Import or apply the lease first"]);

    let orphans = |arguments: &[&str]| {
        let (ok, text) = workspace.try_provider(arguments);
        assert!(!ok, "{arguments:?} should have failed:\n{text}");
        one_line(&text)
    };
    says(&orphans(&["orphans", "--state", "/nonexistent"]), &["Unable to read the state"]);
    says(&orphans(&["orphans", "--remove"]), &["Unable to tell what may be removed", "--all"]);
    refused(&world, "DELETE", "/qemu/19201");
    let text = orphans(&["orphans", "--remove", "--cluster", "demo"]);
    says(&text, &["Unable to remove demo-cp-1 (VMID 19201)", "out of cheese"]);
    world.heal();
    refused(&world, "GET", "/cluster/resources.type=vm");
    says(&orphans(&["orphans"]), &["Unable to look for machines and leases"]);
    world.heal();

    std::fs::write(workspace.dir().join("terraform.tfstate"), state).expect("write");
    world.stop_and_delete(&node_of(&world, 19201), 19201);
    refused(&world, "GET", "/cluster/nextid");
    let text = fails(&workspace, &destroy);
    says(&text, &["Unable to confirm that cluster demo is gone", "out of cheese"]);
    world.heal();
    workspace.destroy();
    world.assert_empty();
}

#[test]
fn what_keeps_an_unfinished_machine_from_going_is_said() {
    let Some(world) = world(Needs::Terraform) else { return };
    let short = "timeouts = { create = \"8s\" }\n  network       =";
    let workspace = world.workspace("course-1", &hcl::all(0).replace("network       =", short));
    workspace.apply_fails();
    workspace.must(&["state", "rm", CLUSTER]);
    refused(&world, "DELETE", "/qemu/19201");
    let (ok, text) = workspace.terraform(&["destroy", "-auto-approve", "-no-color"]);
    assert!(!ok, "{text}");
    let text = one_line(&text);
    says(&text, &["Unable to remove unfinished machine demo-cp-1", "out of cheese"]);
    world.heal();
    workspace.destroy();
    world.assert_empty();
}

/// Between two steps somebody puts another machine where ours was: the next step looks, and touches nothing.
#[test]
fn a_machine_that_changes_hands_between_two_steps_is_not_touched() {
    let Some(world) = world(Needs::Terraform) else { return };
    let workspace = world.workspace("course-1", &hcl::all(0));
    world.fault(&json!({
        "kind": "hold", "method": "PUT", "path_regex": "/19201/config$", "answer": true,
    }));
    let running = workspace.start(&["apply", "-auto-approve", "-no-color"]);
    world.wait_for_held_request();
    let node = node_of(&world, 19201);
    // As an administrator on the node would, past the API that is held up.
    world.control("POST", "/lab/vms/19201/description", &json!({"description": "mine now"}));
    world.heal();
    let (ok, text) = running.finish();
    assert!(!ok, "{text}");
    let text = one_line(&text);
    says(&text, &["VM 19201 is", "not the machine that was meant; it was not touched"]);
    drop(command("true"));
    world.stop_and_delete(&node, 19201);
    workspace.destroy();
    world.assert_empty();
}
