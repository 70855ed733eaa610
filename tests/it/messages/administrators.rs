//! What is said by the commands for administrators.

use serde_json::{Value, json};

use super::{refused, says};
use crate::{
    hcl,
    world::{Needs, Workspace, World, one_line, world},
};

/// A file with this text, and where it is.
fn file(world: &World, name: &str, text: &str) -> String {
    let path = world.folder().join(name);
    std::fs::write(&path, text).expect("write");
    path.to_str().expect("UTF-8").to_owned()
}

/// A command of the provider's own, which must fail.
fn provider_fails(workspace: &Workspace<'_>, command: &[&str], arguments: &[&str]) -> String {
    let (ok, text) = workspace.try_provider(&[command, arguments].concat());
    assert!(!ok, "{arguments:?} should have failed:\n{text}");
    one_line(&text)
}

#[test]
fn what_keeps_orphans_from_being_listed_or_removed_is_said() {
    let Some(world) = world(Needs::Terraform) else { return };
    let admin = world.workspace("admin", &hcl::pool());
    admin.apply();
    let course = world.workspace("course-1", &hcl::lease("demo", 2));
    course.apply();
    let orphans = |arguments: &[&str]| provider_fails(&course, &["orphans"], arguments);
    let file = |name: &str, text: &str| file(&world, name, text);
    let broken = r#"{"version":4,"lineage":"x","resources":[{"mode":"managed","type":"kubesmith_ip_lease","name":"a","instances":[{"attributes":{}}]}]}"#;
    for (path, reason) in [
        ("/nonexistent".to_owned(), "No such file"),
        (file("empty", ""), "It is empty"),
        (file("text", "No state."), "It is not JSON: "),
        (
            file("plan", r#"{"format_version":"1.2","planned_values":{}}"#),
            "It is a plan, not a state",
        ),
        (
            file("other", "{}"),
            "It is neither a state (version 4) as `terraform state pull` writes it",
        ),
        (file("broken", broken), "kubesmith_ip_lease.a in it cannot be read: "),
    ] {
        let text = orphans(&["--state", &path]);
        says(&text, &[&format!("Unable to read the state {path}"), reason]);
    }
    says(&orphans(&["--remove"]), &["Unable to tell what may be removed", "--all"]);
    refused(&world, "GET", "/cluster/nextid");
    let text = orphans(&["--remove", "--all"]);
    says(&text, &["Unable to release lease lab/demo", "out of cheese"]);
    world.heal();
    refused(&world, "GET", "/qemu/9000/config");
    world.proxmox("PUT", "/nodes/pve1/qemu/9000/config", &[("tags", "kubesmith")]);
    says(&orphans(&[]), &["Unable to look for machines and leases", "out of cheese"]);
    world.heal();
    course.destroy();
    admin.destroy();
}

#[test]
fn what_keeps_a_ledger_from_being_made_again_is_said() {
    let Some(world) = world(Needs::Terraform) else { return };
    let admin = world.workspace("admin", &hcl::pool());
    admin.apply();
    let rebuild = |arguments: &[&str]| provider_fails(&admin, &["ledger", "rebuild"], arguments);
    let owner = "give the owner as well, for instance course-42=course.json";
    says(&rebuild(&["--state", "course.json"]), &[owner]);

    let pool = |first: &str, last: &str| {
        json!({
            "name": "lab", "first": first, "last": last, "prefix_length": 24, "gateway": "10.40.19.254",
            "nameservers": [], "first_vmid": 19201,
        })
    };
    let lease = |addresses: &[&str]| json!({"name": "demo", "pool": "lab", "addresses": addresses, "transaction": "00000000000000ff"});
    let (unreadable, apart) =
        ("Unable to read the state ", "Unable to rebuild the ledger from these states");
    let cases: [(&str, Value, &[&str]); 4] = [
        (
            "kubesmith_ip_pool",
            pool("10.40.19.253", "10.40.19.201"),
            &[unreadable, "last comes before first"],
        ),
        (
            "kubesmith_ip_lease",
            lease(&["10.40.19.201", "10.40.19.203"]),
            &[unreadable, "its addresses are not a row without gaps"],
        ),
        ("kubesmith_ip_lease", lease(&["10.40.19.201"]), &[apart, "of a pool that no state has"]),
        (
            "kubesmith_ip_pool",
            pool("10.40.19.201", "10.40.19.210"),
            &["Unable to rebuild pool lab", "Nothing that is there is changed"],
        ),
    ];
    for (kind, attributes, parts) in cases {
        let resource = json!({
            "mode": "managed", "type": kind, "name": "it", "instances": [{"attributes": attributes}],
        });
        let state = json!({"version": 4, "lineage": "x", "resources": [resource]});
        let path = file(&world, "state.json", &state.to_string());
        says(&rebuild(&["--write", "--state", &format!("course-1={path}")]), parts);
    }
    let empty = file(&world, "empty.json", r#"{"version":4,"lineage":"x","resources":[]}"#);
    refused(&world, "GET", "/cluster/resources");
    let text = rebuild(&["--state", &format!("course-1={empty}")]);
    says(&text, &["Unable to look for machines", "out of cheese"]);
    world.heal();
    admin.destroy();
}

#[test]
fn what_keeps_tenants_from_being_prepared_is_said() {
    let Some(world) = world(Needs::Terraform) else { return };
    let admin = world.workspace("admin", "");
    let bootstrap = |more: &[&str]| {
        let site = ["--storage", "shared", "--template", "9000", "--tenant", "net1=vmbr0/119"];
        provider_fails(&admin, &["bootstrap"], &[&site, more].concat())
    };
    refused(&world, "GET", "/access/");
    let text = bootstrap(&[]);
    says(&text, &["Unable to look at the access control", "out of cheese"]);
    world.heal();
    refused(&world, "POST", "/access/roles");
    says(&bootstrap(&["--apply"]), &["Unable to create role Kubesmith", "out of cheese"]);
}
