//! What is said about a cluster: before it is made, when it is not as it was, and when it is not to go.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{destroy_fails, fails, plan, refused, says, ssh_key};
use crate::{
    hcl,
    world::{Needs, Workspace, World, one_line, terraform, wait_until, world},
};

const CLUSTER: &str = "kubesmith_cluster.demo";

/// Where a program of this machine lies.
fn which(program: &str) -> PathBuf {
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
    let large = |line: &str| with(line).replace("disk_gib = 20", "disk_gib = 9000");
    let ghost = good.replace(
        "[kubesmith_ip_lease.demo]",
        "[{ name = \"ghost\", pool = \"lab\", transaction = \"00000000000000ff\", addresses = [\"10.40.19.240\", \
         \"10.40.19.241\"], prefix_length = 24, gateway = \"10.40.19.254\", nameservers = [], first_vmid = 19240 }]",
    );
    let cases: [(String, &[&str]); 8] = [
        (
            with("pod_cidr = \"10.40.0.0/16\""),
            &["Invalid cluster", "the network of lease lab/demo"],
        ),
        (with("clone = \"copied\""), &["It must be \"linked\" or \"full\""]),
        (with("storage = \"shared\""), &["A storage needs full clones", "Set clone = \"full\""]),
        (
            with("proxmox_nodes = [\"pve9\"]"),
            &["No Proxmox node can take the machines", "No online Proxmox node can take a clone"],
        ),
        (
            with("storage = \"nope\"\n  clone = \"full\""),
            &["Storage nope not found", "has an active storage nope"],
        ),
        (
            large("storage = \"shared\"\n  clone = \"full\""),
            &["Little storage is free", "but storage shared has"],
        ),
        (
            good.replace("memory_mib = 4096", "memory_mib = 9000000"),
            &["Little memory is free", "want 18000000 MiB together"],
        ),
        (ghost, &["Lease lab/ghost is not held", "Apply the lease first"]),
    ];
    let mut workspace = world.workspace("course-1", &good);
    for (hcl, parts) in cases {
        let held = hcl.contains("ghost");
        workspace.write(&hcl);
        let text = if held { workspace.apply_fails() } else { plan(&workspace) };
        says(&text, parts);
    }
    workspace.write(&good);

    refused(&world, "GET", "/nodes/[^/]+/qemu/9000/config");
    says(&plan(&workspace), &["Unable to check the datacentre", "out of cheese"]);
    world.heal();
    let resized = [("disk", "scsi0"), ("size", "30G")];
    let upid = world.proxmox("PUT", "/nodes/pve1/qemu/9000/resize", &resized);
    world.wait_for_task("pve1", upid.as_str().expect("a UPID"));
    let text = plan(&workspace);
    says(&text, &["The disk is smaller than the template's", "Give at least 30"]);

    workspace.set_env("KUBESMITH_ANSIBLE_PLAYBOOK", "/nonexistent/ansible-playbook");
    says(&plan(&workspace), &["Unable to find ansible-playbook", "Install it"]);
    // A machine with Terraform and little else.
    let bin = workspace.dir().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    if !terraform().contains('/') {
        symlink(which(terraform()), bin.join(terraform())).expect("a link");
    }
    workspace.set_env("PATH", bin.to_str().expect("UTF-8"));
    let text = plan(&workspace);
    says(&text, &["Unable to find ssh", "Unable to find ssh-keyscan", "package openssh-client"]);
}

/// A cluster whose machines never answered, although their stamps say that they are finished.
fn made_without_guests(world: &World, workers: usize) -> Workspace<'_> {
    let short = "timeouts = { create = \"20s\", update = \"20s\" }\n  network       =";
    let hcl = hcl::all(workers).replace("network       =", short);
    let workspace = world.workspace("course-1", &hcl);
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

/// The list of machines is a moment behind what happens: waits until every row is as it should be.
fn wait_for_list(world: &World, fits: impl Fn(&Value) -> bool) {
    wait_until("the list has caught up", || {
        let rows = world.proxmox("GET", "/cluster/resources?type=vm", &[]);
        rows.as_array().expect("a list").iter().all(&fits)
    });
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
    workspace.must(&["apply", "-refresh-only", "-auto-approve", "-no-color"]);

    world.stop(&node, 19203);
    says(&plan(&workspace), &["demo-worker-2 (VM 19203) is stopped", "Apply starts it"]);
    world.stop_and_delete(&node, 19203);
    says(&plan(&workspace), &["demo-worker-2 (VM 19203) is gone", "Apply makes it anew"]);
    world.proxmox("POST", &format!("/nodes/{node}/qemu"), &[("vmid", "19203"), ("name", "web1")]);
    says(&plan(&workspace), &["demo-worker-2 is gone", "It is not touched"]);

    // Its control plane is lost, and with it what Kubernetes held.
    workspace.edit_state("kubesmith_cluster", |cluster| cluster["kubeconfig"] = json!("x"));
    world.stop_and_delete(&node_of(&world, 19201), 19201);
    says(&plan(&workspace), &["The control plane demo-cp-1 (VM 19201) is gone", "anew"]);

    workspace.edit_state("kubesmith_cluster", |cluster| cluster["ssh_private_key"] = json!("x"));
    let text = plan(&workspace);
    says(&text, &["Unable to use the cluster's SSH key", "was damaged"]);
    says(&text, &["it is not an unencrypted Ed25519 private key in OpenSSH format"]);
}

#[test]
fn what_keeps_a_cluster_from_being_imported_is_said() {
    let Some(world) = world(Needs::Terraform) else { return };
    let workspace = made_without_guests(&world, 0);
    let key = workspace.dir().join("demo.key");
    let made = workspace.attributes(CLUSTER);
    std::fs::write(&key, made["ssh_private_key"].as_str().expect("a key")).expect("write");
    let other = workspace.dir().join("other.key");
    ssh_key(&other);
    let node = node_of(&world, 19201);
    let config = format!("/nodes/{node}/qemu/19201/config");
    let before = world.proxmox("GET", &config, &[]);
    let description = before["description"].as_str().expect("a description");

    let import = |owner: &str, key: Option<&PathBuf>, parts: &[&str]| {
        let mut importing = world.workspace(owner, &hcl::all(0));
        let _ = std::fs::remove_file(importing.dir().join("terraform.tfstate"));
        if let Some(key) = key {
            importing.set_env("KUBESMITH_IMPORT_SSH_KEY_FILE", key.to_str().expect("UTF-8"));
        }
        let text = fails(&importing, &["import", "-no-color", CLUSTER, "demo"]);
        says(&text, &["Unable to import cluster demo"]);
        says(&text, parts);
    };
    import(
        "course-2",
        None,
        &["It belongs to owner course-1, but this provider acts for owner course-2"],
    );
    let owner = "course-1/import";
    import(
        owner,
        None,
        &[
            "Set KUBESMITH_IMPORT_SSH_KEY_FILE to a file with the private key of its machines (OpenSSH format, Ed25519)",
        ],
    );
    import(
        owner,
        Some(&other),
        &[
            "The private key in the file that KUBESMITH_IMPORT_SSH_KEY_FILE names",
            "does not open demo-cp-1: it was made for another key",
        ],
    );
    let unremembered: String =
        description.lines().filter(|line| !line.starts_with("kubesmith-spec:")).collect();
    world.proxmox("PUT", &config, &[("description", &unremembered)]);
    import(
        owner,
        Some(&key),
        &["has no line \"kubesmith-spec:\" any more, without which its settings are not known"],
    );
    world.proxmox("PUT", &config, &[("description", description)]);
    world.proxmox("PUT", &config, &[("delete", "net0")]);
    import(owner, Some(&key), &["demo-cp-1 is attached to no bridge (net0)"]);
    refused(&world, "GET", "/cluster/resources");
    import(owner, Some(&key), &["out of cheese"]);
    world.heal();

    world.proxmox("DELETE", "/nodes/pve1/qemu/9990/firewall/ipset/lab/10.40.19.206", &[]);
    let mut importing = world.workspace(owner, &hcl::all(0));
    importing.set_env("KUBESMITH_IMPORT_SSH_KEY_FILE", key.to_str().expect("UTF-8"));
    let text = fails(&importing, &["import", "-no-color", CLUSTER, "demo"]);
    says(&text, &["Unable to find lease lab/demo", "Import or apply the lease first"]);
}

#[test]
fn what_keeps_a_cluster_from_growing_or_going_is_said() {
    let Some(world) = world(Needs::Terraform) else { return };
    let workspace = made_without_guests(&world, 0);
    let state = std::fs::read(workspace.dir().join("terraform.tfstate")).expect("a state");
    let good = std::fs::read_to_string(workspace.dir().join("main.tf")).expect("main.tf");
    let templates = world.proxmox("GET", "/cluster/resources?type=vm", &[]);
    let templates = templates.as_array().expect("a list").iter().filter(|row| row["template"] == 1);
    let configs: Vec<_> = templates
        .map(|row| (row["node"].as_str().expect("a node"), &row["vmid"], row["name"].as_str()))
        .map(|(node, vmid, name)| {
            (format!("/nodes/{node}/qemu/{vmid}/config"), name.expect("a name"))
        })
        .collect();
    for (config, _) in &configs {
        world.proxmox("PUT", config, &[("name", "other"), ("delete", "tags")]);
    }
    wait_for_list(&world, |row| row["template"] != 1 || row["name"] == "other");
    workspace.write(&good.replace("count = 0", "count = 1"));
    let text = workspace.apply_fails();
    says(&text, &["Unable to finish cluster demo", "No template was found"]);
    workspace.write(&good);
    for (config, name) in &configs {
        world.proxmox("PUT", config, &[("name", name)]);
    }

    let empty = workspace.dir().join("empty.json");
    std::fs::write(&empty, r#"{"version":4,"lineage":"x","resources":[]}"#).expect("write");
    let nothing = format!("course-1={}", empty.display());
    let (ok, text) = workspace.try_provider(&["ledger", "rebuild", "--write", "--state", &nothing]);
    assert!(!ok, "{text}");
    let alone = "Unable to rebuild the ledger from these states alone";
    says(&one_line(&text), &["demo-cp-1 (VM 19201, owner course-1", alone, "--incomplete"]);

    let orphans = ["orphans", "--remove", "--cluster", "demo"];
    std::fs::remove_file(workspace.dir().join("terraform.tfstate")).expect("remove");
    refused(&world, "DELETE", "/qemu/19201");
    let (ok, text) = workspace.try_provider(&orphans);
    assert!(!ok, "{text}");
    says(&one_line(&text), &["Unable to remove demo-cp-1 (VMID 19201)", "out of cheese"]);
    world.heal();
    workspace.provider(&orphans);
    std::fs::write(workspace.dir().join("terraform.tfstate"), state).expect("write");

    refused(&world, "GET", "/cluster/nextid");
    let text = fails(&workspace, &["destroy", "-auto-approve", "-no-color", "-refresh=false"]);
    says(&text, &["Unable to confirm that cluster demo is gone", "out of cheese"]);
    world.heal();
    workspace.destroy();
    world.assert_empty();
}

/// Between two steps somebody takes the machine for something else: the next step looks, and touches nothing.
#[test]
fn a_machine_that_changes_hands_between_two_steps_is_not_touched() {
    let Some(world) = world(Needs::Terraform) else { return };
    let workspace = world.workspace("course-1", &hcl::all(0));
    let resize = "/19201/resize$";
    world.fault(&json!({"kind": "hold", "method": "PUT", "path_regex": resize, "answer": true}));
    let running = workspace.start(&["apply", "-auto-approve", "-no-color"]);
    world.wait_for_held_request();
    let node = node_of(&world, 19201);
    let config = format!("/nodes/{node}/qemu/19201/config");
    world.proxmox("PUT", &config, &[("description", "mine now")]);
    world.heal();
    let (ok, text) = running.finish();
    assert!(!ok, "{text}");
    let text = one_line(&text);
    says(&text, &["VM 19201 is ", "not the machine that was meant; it was not touched"]);
    world.stop_and_delete(&node, 19201);
    workspace.destroy();
    world.assert_empty();
}

#[test]
fn a_machine_with_another_host_key_is_not_entered() {
    let Some(world) = world(Needs::Guests) else { return };
    let workspace = world.workspace("course-1", &hcl::all(0));
    workspace.apply();
    let pinned = workspace.attributes(CLUSTER)["known_hosts"].clone();
    let other = workspace.dir().join("other");
    ssh_key(&other);
    let public = std::fs::read_to_string(other.with_extension("pub")).expect("a public key");
    workspace.edit_state("kubesmith_cluster", |cluster| {
        cluster["known_hosts"] = json!(format!("10.40.19.201 {public}"));
    });
    world.stop(&node_of(&world, 19201), 19201);
    let text = workspace.apply_fails();
    let said = "shows another SSH host key than the one that was pinned at its creation";
    says(&text, &["Unable to finish cluster demo", said, "destroy it in Proxmox and apply again"]);
    workspace.edit_state("kubesmith_cluster", |cluster| cluster["known_hosts"] = pinned);
    workspace.apply();
    workspace.destroy();
    world.assert_empty();
}

#[test]
fn a_kubeconfig_past_its_end_is_said_so_and_fetched_anew() {
    let Some(world) = world(Needs::Guests) else { return };
    let workspace = world.workspace("course-1", &hcl::all(0));
    workspace.apply();
    let mut wanted = rcgen::CertificateParams::default();
    wanted.not_before = rcgen::date_time_ymd(2020, 1, 1);
    wanted.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let key = rcgen::KeyPair::generate().expect("a key");
    let ended = BASE64_STANDARD.encode(wanted.self_signed(&key).expect("a certificate").pem());
    workspace.edit_state("kubesmith_cluster", |cluster| {
        let text = cluster["kubeconfig"].as_str().expect("a kubeconfig");
        let line = |line: &str| match line.split_once("client-certificate-data: ") {
            Some((before, _)) => format!("{before}client-certificate-data: {ended}\n"),
            None => format!("{line}\n"),
        };
        cluster["kubeconfig"] = text.lines().map(line).collect::<String>().into();
    });
    let text = plan(&workspace);
    says(&text, &["The kubeconfig of demo has ended", "Apply fetches the one"]);
    workspace.apply();
    let nodes = workspace.kubectl(CLUSTER, &["get", "nodes"]);
    assert!(nodes.contains("demo-cp-1"), "{nodes}");
    workspace.assert_no_changes();
    workspace.destroy();
    world.assert_empty();
}

#[test]
fn what_keeps_an_unfinished_machine_from_going_is_said() {
    let Some(world) = world(Needs::Terraform) else { return };
    let short = "timeouts = { create = \"6s\" }\n  network       =";
    let workspace = world.workspace("course-1", &hcl::all(0).replace("network       =", short));
    workspace.apply_fails();
    workspace.must(&["state", "rm", CLUSTER]);
    refused(&world, "DELETE", "/qemu/19201");
    let text = destroy_fails(&workspace);
    says(&text, &["Unable to remove unfinished machine demo-cp-1", "out of cheese"]);
    world.heal();
    workspace.destroy();
    world.assert_empty();
}
