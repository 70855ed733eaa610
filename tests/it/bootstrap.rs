//! `terraform-provider-kubesmith bootstrap`: what it makes lets a tenant do all of Kubesmith, and nothing else, on each
//! version of Proxmox VE.

use std::fs;

use serde_json::Value;

use crate::{
    hcl,
    world::{Needs, Workspace, World, command, one_line, text, world_of},
};

const SITE: [&str; 4] = ["--template", "9000", "--storage", "shared"];
const NET1: [&str; 3] = ["bootstrap", "--tenant", "net1=vmbr0/119"];
const NET2: [&str; 3] = ["bootstrap", "--tenant", "net2=vmbr0/120"];

/// Each privilege of each role, and what then goes wrong: there are no others.
const NEEDED: [(&str, &str, &str); 15] = [
    ("KubesmithLedger", "VM.Audit", "Unable to see the address ledger"),
    ("KubesmithLedger", "VM.Config.Network", "Unable to create address pool lab"),
    ("KubesmithMachines", "VM.Allocate", "Failed to clone demo-cp-1"),
    ("KubesmithMachines", "VM.Audit", "Failed to configure demo-cp-1"),
    ("KubesmithMachines", "VM.Config.CPU", "Failed to configure demo-cp-1"),
    ("KubesmithMachines", "VM.Config.Disk", "Failed to grow disk scsi0 of demo-cp-1"),
    ("KubesmithMachines", "VM.Config.Memory", "Failed to configure demo-cp-1"),
    ("KubesmithMachines", "VM.Config.Network", "Failed to configure demo-cp-1"),
    ("KubesmithMachines", "VM.Config.Options", "Failed to configure demo-cp-1"),
    ("KubesmithMachines", "VM.PowerMgmt", "Failed to start demo-cp-1"),
    ("KubesmithNetwork", "SDN.Use", "Failed to clone demo-cp-1"),
    // The machines are made, but nobody can tell which node has memory for them: a warning.
    (NODES, "Sys.Audit", "The API token may lack privileges"),
    ("KubesmithStorage", "Datastore.AllocateSpace", "Failed to clone demo-cp-1"),
    ("KubesmithTemplates", "VM.Audit", "Template ubuntu-24.04-k8s-1.36 not found"),
    ("KubesmithTemplates", "VM.Clone", "Failed to clone demo-cp-1"),
];
const NODES: &str = "KubesmithNodes";

/// The administrator of a datacentre, who logs in with a password.
struct Admin<'w> {
    world: &'w World,
    workspace: Workspace<'w>,
}

impl<'w> Admin<'w> {
    fn new(world: &'w World) -> Self {
        let (user, password) = ("admin@pve", "correct horse");
        world.proxmox("POST", "/access/users", &[("userid", user), ("password", password)]);
        let all = [("path", "/"), ("users", user), ("roles", "Administrator")];
        world.proxmox("PUT", "/access/acl", &all);
        let workspace = world.workspace("admin", "");
        fs::write(workspace.dir().join("password"), format!("{password}\n")).expect("a file");
        Self { world, workspace }
    }

    /// Runs `bootstrap`, which must succeed; what it printed.
    fn bootstrap(&self, tenant: &[&str], more: &[&str]) -> String {
        let login = ["--user", "admin@pve", "--password-file", "password"];
        self.workspace.provider(&[tenant, &login, more].concat())
    }

    /// What `bootstrap` has left for the tenant: the provider's environment.
    fn settings(&self, tenant: &str) -> Vec<(String, String)> {
        let file = self.workspace.dir().join(format!("kubesmith-{tenant}.env"));
        let text = fs::read_to_string(file).expect("the tenant's settings");
        let settings =
            text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        settings
            .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
            .collect()
    }

    /// A workspace of the tenant, with the settings that `bootstrap` has left for it.
    fn tenant(&self, name: &str, workers: usize) -> Workspace<'w> {
        let cluster = hcl::all(workers)
            .replace("network       =", &format!("proxmox_pool  = \"{name}\"\n  network       ="));
        let mut workspace = self.world.workspace("course-1", &cluster);
        for (variable, value) in self.settings(name) {
            workspace.set_env(&variable, &value);
        }
        workspace
    }
}

#[test]
fn what_keeps_it_from_being_made_is_said() {
    let Some(world) = world_of(Needs::Terraform, "9.1") else { return };
    let admin = Admin::new(&world);
    let fails = |arguments: &[&str]| {
        let (ok, text) = admin.workspace.try_provider(arguments);
        assert!(!ok, "{arguments:?} should have failed:\n{text}");
        one_line(&text)
    };
    let login = ["--user", "admin@pve", "--password-file", "password"];
    let unread = ["--user", "admin@pve", "--password-file", "nowhere"];
    let said = fails(&[&NET1[..], &SITE, &unread].concat());
    assert!(said.contains("Unable to read the password"), "{said}");
    // In a session of its own there is no terminal, as in a pipeline.
    let program = admin.workspace.program();
    let mut detached = command("setsid");
    detached.arg("--wait").arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        detached.env(name, value.expect("a value"));
    }
    let output = detached.args([&NET1[..], &SITE, &login[..2]].concat()).output().expect("setsid");
    let said = one_line(&text(&output));
    assert!(!output.status.success() && said.contains("Unable to ask for the password"), "{said}");
    assert!(said.contains("--password-file"), "the way out is not said: {said}");
    let said = fails(&["bootstrap", "--tenant", "net1"]);
    assert!(said.contains("say NAME=BRIDGE or NAME=BRIDGE/VLAN, for instance net1"), "{said}");
    let none = ["--template", "100", "--storage", "shared"];
    let said = fails(&[&NET1[..], &none, &login].concat());
    assert!(said.contains("Template not found") && said.contains("VM 100"), "{said}");
    let file = admin.workspace.dir().join("kubesmith-net1.env");
    fs::write(&file, "somebody's token").expect("write");
    let said = fails(&[&NET1[..], &SITE, &login, &["--apply"]].concat());
    assert!(said.contains("Unable to make ./kubesmith-net1.env"), "{said}");
    assert_eq!(fs::read_to_string(&file).expect("read"), "somebody's token");
}

/// Roles, users, access list and pools: what `bootstrap` may change, beside the ledger.
fn access(world: &World) -> Value {
    let seen = ["/access/roles", "/access/users", "/access/acl", "/pools"];
    seen.iter().map(|path| world.proxmox("GET", path, &[])).collect()
}

/// Shown first, then done, then nothing is left to do; one tenant goes and the other stays; then nothing is left.
fn made_and_taken_away(version: &str) {
    let Some(world) = world_of(Needs::Terraform, version) else { return };
    let admin = Admin::new(&world);
    let two = [&NET1[..], &NET2[1..]].concat();
    let make = [&SITE[..], &["--apply"]].concat();
    let before = access(&world);

    let shown = admin.bootstrap(&two, &SITE);
    assert!(shown.contains("create role KubesmithMachines: VM.Allocate VM.Audit"), "{shown}");
    assert!(shown.contains("Do it with --apply"), "{shown}");
    assert_eq!(access(&world), before, "it was only to be shown");

    let done = admin.bootstrap(&two, &make);
    assert!(done.contains("provider \"kubesmith\" {"), "no provider block:\n{done}");
    assert!(!done.contains("!terraform="), "the secret is shown:\n{done}");
    let again = admin.bootstrap(&two, &make);
    assert!(again.contains("Nothing to do"), "{again}");

    admin.bootstrap(&NET1, &["--remove", "--apply"]);
    let again = admin.bootstrap(&NET2, &make);
    assert!(again.contains("Nothing to do"), "the other tenant lost something:\n{again}");
    admin.bootstrap(&NET2, &["--remove", "--apply"]);
    assert_eq!(access(&world), before, "something is left");
}

/// A tenant makes a cluster and destroys it, and its token can do no more than what it was made for.
fn a_tenant_can_do_everything_and_nothing_else(version: &str) {
    let Some(world) = world_of(Needs::Guests, version) else { return };
    let admin = Admin::new(&world);
    admin.bootstrap(&[&NET1[..], &NET2[1..]].concat(), &[&SITE[..], &["--apply"]].concat());
    let tenant = admin.tenant("net1", 1);
    tenant.apply();
    tenant.assert_no_changes();
    tenant.destroy();
    world.assert_empty();
    let settings = admin.settings("net1");
    let token = settings.iter().find(|(name, _)| name == "KUBESMITH_API_TOKEN").expect("a token");
    refused_everything_else(&world, &token.1);
}

/// What an administrator may do, a neighbour may do, or a tenant with more rights could do.
fn refused_everything_else(world: &World, token: &str) {
    let machine = ("newid", "19250");
    let tries = [
        ("POST", "/access/users", vec![("userid", "eve@pve")]),
        ("POST", "/access/roles", vec![("roleid", "Eve"), ("privs", "Sys.Modify")]),
        (
            "PUT",
            "/access/acl",
            vec![("path", "/"), ("roles", "Administrator"), ("users", "eve@pve")],
        ),
        ("POST", "/pools", vec![("poolid", "eve")]),
        ("POST", "/nodes/pve1/qemu/9000/clone", vec![machine]),
        ("POST", "/nodes/pve1/qemu/9000/clone", vec![machine, ("pool", "net2")]),
        ("POST", "/nodes/pve1/qemu/9001/clone", vec![machine, ("pool", "net1")]),
        ("PUT", "/nodes/pve1/qemu/9000/config", vec![("description", "mine")]),
        ("DELETE", "/nodes/pve1/qemu/9000", vec![]),
        ("PUT", "/nodes/pve1/qemu/9990/config", vec![("description", "mine")]),
        ("DELETE", "/nodes/pve1/qemu/9990", vec![]),
    ];
    for (method, path, form) in tries {
        let (status, body) = world.proxmox_as(token, method, path, &form);
        assert_eq!(status, 403, "{method} {path} {form:?}: {body}");
    }
}

/// Without any single privilege a step does not work, which is named, and so is the privilege.
fn every_privilege_is_needed(version: &str) {
    let Some(world) = world_of(Needs::Terraform, version) else { return };
    let admin = Admin::new(&world);
    let make = [&SITE[..], &["--apply"]].concat();
    admin.bootstrap(&NET1, &make);
    let tenant = admin.tenant("net1", 0);
    for (role, privilege, step) in NEEDED {
        take_away(&world, role, privilege);
        tenant.forget_events();
        let mut running = tenant.start(&["apply", "-auto-approve", "-no-color"]);
        let boots = |event: &Value| event["status"] == "started" && event["kind"] == "await_ssh";
        let boots = tenant.wait_for_event(&mut running, boots);
        if boots {
            running.interrupt();
        }
        let text = one_line(&running.finish().1);
        assert_eq!(boots, role == NODES, "{role} without {privilege}:\n{text}");
        assert!(text.contains(step), "{role} without {privilege}: {step:?} is not said:\n{text}");
        // A template that is not seen may as well not be there: a role is named that shows it.
        let named = text.contains(privilege) || text.contains("PVETemplateUser");
        assert!(named, "{role} without {privilege}: it is not named:\n{text}");

        let repaired = admin.bootstrap(&NET1, &make);
        assert!(repaired.contains(&format!("done: set role {role} to: ")), "{repaired}");
        tenant.destroy();
        world.assert_empty();
    }
    let roles = world.proxmox("GET", "/access/roles", &[]);
    let ours = roles.as_array().expect("a list").iter().filter_map(|role| {
        let name = role["roleid"].as_str().filter(|name| name.starts_with("Kubesmith"))?;
        let privileges = role["privs"].as_str().unwrap_or_default().split(',');
        Some(privileges.map(move |privilege| (name, privilege)))
    });
    let mut ours: Vec<_> = ours.flatten().collect();
    ours.sort_unstable();
    let tested: Vec<_> = NEEDED.iter().map(|(role, privilege, _)| (*role, *privilege)).collect();
    assert_eq!(ours, tested, "a privilege that nothing needs");
}

fn take_away(world: &World, role: &str, privilege: &str) {
    let path = format!("/access/roles/{role}");
    let held = world.proxmox("GET", &path, &[]);
    let held = held.as_object().expect("a role").keys().map(String::as_str);
    let rest: Vec<_> = held.filter(|held| *held != privilege).collect();
    world.proxmox("PUT", &path, &[("privs", &rest.join(","))]);
}

#[test]
fn on_8_4_it_is_shown_made_and_taken_away() {
    made_and_taken_away("8.4");
}

#[test]
fn on_9_1_it_is_shown_made_and_taken_away() {
    made_and_taken_away("9.1");
}

#[test]
fn on_8_4_a_tenant_can_do_everything_and_nothing_else() {
    a_tenant_can_do_everything_and_nothing_else("8.4");
}

#[test]
fn on_9_1_a_tenant_can_do_everything_and_nothing_else() {
    a_tenant_can_do_everything_and_nothing_else("9.1");
}

#[test]
fn on_8_4_every_privilege_is_needed() {
    every_privilege_is_needed("8.4");
}

#[test]
fn on_9_1_every_privilege_is_needed() {
    every_privilege_is_needed("9.1");
}
