//! What a user sees when something is wrong, and that the next apply or a destroy then works.

use serde_json::json;

use crate::{
    hcl,
    world::{Needs, World, world},
};

/// What is changed in the good configuration, what instead, and what the message must name.
type Case = (&'static str, &'static str, &'static str);

#[test]
fn wrong_values_are_errors_at_the_attribute_before_anything_is_made() {
    let Some(world) = world(Needs::Terraform) else { return };
    let refuse = |good: &str, cases: &[Case], made: &[&str]| {
        let workspace = world.workspace("course-1", good);
        for (from, to, named) in cases {
            assert!(good.contains(from), "the case {from:?} does not fit the example");
            workspace.write(&good.replacen(from, to, 1));
            let failed = workspace.apply_fails();
            assert!(failed.contains(named), "{to}: {named:?} is not named:\n{failed}");
            assert!(
                failed.contains("main.tf line"),
                "{to}: the error is not at an attribute:\n{failed}"
            );
            assert_eq!(workspace.resources(), made, "{to}: something was made");
        }
    };
    let small = "cores = 1, memory_mib = 4096, disk_gib = 20 }\n  workers";
    let cases: [Case; 9] = [
        ("name     = \"demo\"", "name     = \"Demo_1\"", "Demo_1"),
        ("kubernetes_version = \"1.36.4\"", "kubernetes_version = \"latest\"", "latest"),
        ("count = 2", "count = -1", "count"),
        ("vlan = 119", "vlan = 5000", "vlan"),
        ("cores = 2, memory_mib = 4096, disk_gib = 20 }\n  workers", small, "cores"),
        ("network       =", "pod_cidr = \"banana\"\n  network       =", "banana"),
        ("first         = \"10.40.19.201\"", "first         = \"10.40.20.201\"", "10.40.20.201"),
        ("prefix_length = 24", "prefix_length = 99", "prefix_length"),
        ("size = 6", "size = 0", "size"),
    ];
    refuse(&hcl::all(2), &cases, &[]);
    world.assert_empty();

    // What only the lease can tell is an error of the plan once there is a lease.
    world.workspace("admin", &hcl::pool()).apply();
    world.workspace("course-1", &hcl::lease("demo", 6)).apply();
    let cases: [Case; 2] = [
        ("count = 2", "count = 9", "the leases hold 6"),
        ("network       =", "pod_cidr = \"10.40.0.0/16\"\n  network       =", "10.40.0.0/16"),
    ];
    refuse(&hcl::cluster(2), &cases, &["kubesmith_ip_lease.demo"]);
}

#[test]
fn a_proxmox_that_is_down_unknown_or_refuses_is_said_so() {
    let Some(world) = world(Needs::Terraform) else { return };
    let mut workspace = world.workspace("course-1", &hcl::pool());
    let lease = hcl::lease("demo", 2).replace("\"lab\"", "kubesmith_ip_pool.lab.name");
    let good = format!("{}{lease}", hcl::pool());
    let cases = [
        ("KUBESMITH_ENDPOINT", "https://127.0.0.1:1", "127.0.0.1:1"),
        ("KUBESMITH_ENDPOINT", "banana", "banana"),
        (
            "KUBESMITH_API_TOKEN",
            "root@pam!tf=00000000-0000-0000-0000-000000000000",
            "does not accept the API token",
        ),
        ("KUBESMITH_API_TOKEN", "banana", "user@realm!name=secret"),
        ("KUBESMITH_CA_FILE", "/nonexistent.pem", "/nonexistent.pem"),
        ("KUBESMITH_CA_FILE", "", "fingerprint"),
        ("KUBESMITH_OWNER", "Not An Owner", "owner"),
    ];
    for (variable, value, named) in cases {
        let mut workspace = world.workspace("course-1", &good);
        workspace.set_env(variable, value);
        let failed = workspace.apply_fails();
        assert!(failed.contains(named), "{variable}={value}: {named:?} is not named:\n{failed}");
        assert!(!failed.contains("00000000-0000"), "the secret is shown:\n{failed}");
    }
    // Afterwards all is well.
    workspace.set_env("CHECKPOINT_DISABLE", "1");
    workspace.apply();
    workspace.destroy();
    world.assert_empty();
}

/// A token that may do everything a tenant needs but one thing is told the privilege and its path.
#[test]
fn a_missing_privilege_is_named_with_its_path() {
    let Some(world) = world(Needs::Terraform) else { return };
    world.workspace("admin", &hcl::pool()).apply();
    let token = tenant(&world);
    let mut workspace = world.workspace("course-1", &hcl::cluster(1));
    workspace.set_env("KUBESMITH_API_TOKEN", &token);
    let failed = workspace.apply_fails();
    assert!(failed.contains("The API token may lack privileges"), "there is no warning:\n{failed}");
    assert!(failed.contains("SDN.Use"), "the privilege is not named:\n{failed}");
    assert!(failed.contains("/sdn/zones/localnetwork/vmbr0"), "the path is not named:\n{failed}");
    assert!(world.machines().is_empty(), "something was made");
    workspace.destroy();
}

/// A privilege-separated token with all but the right to use the bridge.
fn tenant(world: &World) -> String {
    let tenant = "tenant@pve";
    world.proxmox("POST", "/access/users", &[("userid", tenant)]);
    let made =
        world.proxmox("POST", &format!("/access/users/{tenant}/token/ks"), &[("privsep", "0")]);
    let privileges = "VM.Allocate VM.Audit VM.Clone VM.PowerMgmt VM.Config.CPU VM.Config.Memory VM.Config.Disk \
                      VM.Config.Network VM.Config.Cloudinit VM.Config.Options Pool.Audit Datastore.AllocateSpace \
                      Datastore.Audit Sys.Audit";
    world.proxmox(
        "POST",
        "/access/roles",
        &[("roleid", "AlmostTenant"), ("privs", &privileges.replace(' ', ","))],
    );
    for path in ["/vms", "/storage", "/nodes"] {
        world.proxmox(
            "PUT",
            "/access/acl",
            &[("path", path), ("users", tenant), ("roles", "AlmostTenant")],
        );
    }
    format!("{tenant}!ks={}", made["value"].as_str().expect("a secret"))
}

#[test]
fn a_template_that_does_not_fit_is_refused_before_anything_is_made() {
    let Some(world) = world(Needs::Terraform) else { return };
    let workspace =
        world.workspace("course-1", &hcl::all(1).replace("ubuntu-24.04-k8s-1.36", "windows-11"));
    let failed = workspace.apply_fails();
    assert!(failed.contains("windows-11") && failed.contains("template"), "{failed}");
    assert!(
        failed.contains("ubuntu-24.04-k8s-1.36"),
        "the templates there are, are not named:\n{failed}"
    );

    // One without a cloud-init drive.
    world.proxmox("PUT", "/nodes/pve1/qemu/9000/config", &[("delete", "ide2")]);
    workspace.write(&hcl::all(1));
    let failed = workspace.apply_fails();
    assert!(failed.contains("has 0 cloud-init drives"), "{failed}");
    assert!(world.machines().is_empty(), "something was made");
    workspace.destroy();
    world.assert_empty();
}

#[test]
fn a_full_storage_and_a_strangers_machine_stop_the_create_and_stay_untouched() {
    let Some(world) = world(Needs::Terraform) else { return };
    let workspace = world.workspace("course-1", &hcl::all(1));
    world.fault(&json!({"kind": "storage_full", "storage": "shared"}));
    let failed = workspace.apply_fails();
    assert!(failed.contains("shared"), "the storage is not named:\n{failed}");
    world.heal();

    let stranger = [("vmid", "19202"), ("name", "printer-server"), ("memory", "64")];
    let upid = world.proxmox("POST", "/nodes/pve2/qemu", &stranger);
    world.wait_for_task("pve2", upid.as_str().expect("a UPID"));
    let failed = workspace.apply_fails();
    assert!(
        failed.contains("19202") && failed.contains("printer-server"),
        "the stranger is not named:\n{failed}"
    );
    workspace.destroy();
    let left: Vec<_> = world.machines().into_iter().map(|(vmid, _)| vmid).collect();
    assert_eq!(left, [19202], "the stranger's machine must stay, and only it");
}

#[test]
fn a_guest_that_never_answers_is_named_with_what_was_last_seen() {
    let Some(world) = world(Needs::Guests) else { return };
    let short = "timeouts = { create = \"40s\" }\n  network       =";
    let workspace = world.workspace("course-1", &hcl::all(0).replace("network       =", short));
    for kind in ["never_boots", "ssh_refused"] {
        world.fault(&json!({"kind": kind, "vmid": 19201}));
        let failed = workspace.apply_fails();
        assert!(
            failed.contains("demo-cp-1") && failed.contains("10.40.19.201"),
            "{kind}: the machine is not named:\n{failed}"
        );
        assert!(failed.contains("SSH"), "{kind}: what was awaited is not said:\n{failed}");
        assert!(
            workspace.resources().contains(&"kubesmith_cluster.demo".to_owned()),
            "{kind}: the state forgot it"
        );
        world.heal();
        workspace.destroy();
        world.assert_empty();
    }
    workspace.write(&hcl::all(0));
    workspace.apply();
    workspace.destroy();
    world.assert_empty();
}

#[test]
fn between_the_last_remote_write_and_the_reply_the_next_apply_names_the_way_out() {
    let Some(world) = world(Needs::Guests) else { return };
    let mut workspace = world.workspace("course-1", &hcl::all(0));
    // The state is kept as Terraform would have it had it been killed just before it heard of the end.
    workspace.apply();
    let key = workspace.dir().join("demo.key");
    let attributes = workspace.attributes("kubesmith_cluster.demo");
    std::fs::write(&key, attributes["ssh_private_key"].as_str().expect("a key")).expect("write");
    workspace.must(&["state", "rm", "kubesmith_cluster.demo"]);
    let failed = workspace.apply_fails();
    for named in ["demo-cp-1", "terraform import", "KUBESMITH_IMPORT_SSH_KEY_FILE", "orphans"] {
        assert!(failed.contains(named), "{named} is not named:\n{failed}");
    }
    // Without the key: remove what is there.
    let removed = workspace.provider(&["orphans", "--remove", "--cluster", "demo"]);
    assert!(removed.contains("demo-cp-1"), "{removed}");
    workspace.apply();
    workspace.assert_no_changes();
    workspace.set_env("KUBESMITH_IMPORT_SSH_KEY_FILE", key.to_str().expect("UTF-8"));
    workspace.destroy();
    world.assert_empty();
}

#[test]
fn machines_that_cannot_be_reached_from_here_are_not_made() {
    // The lab's network leads to the guests and nowhere else.
    let Some(world) = world(Needs::Guests) else { return };
    let hcl = hcl::all(1).replace("10.40.19.", "10.77.19.");
    let workspace = world.workspace("course-1", &hcl);
    let failed = workspace.apply_fails();
    assert!(failed.contains("No route to demo-cp-1 (VM 19201)"), "{failed}");
    assert!(failed.contains("10.77.19.201") && failed.contains("6443"), "{failed}");
    assert_eq!(world.machines(), [], "a machine was made");

    // A first plan does not know the addresses yet, so it says nothing of them.
    let first = world.workspace("course-2", &hcl::all(1).replace("10.40.19.", "10.78.19."));
    let planned = first.must(&["plan", "-no-color"]);
    assert!(!planned.contains("No route"), "{planned}");
    workspace.destroy();
    world.assert_empty();
}
