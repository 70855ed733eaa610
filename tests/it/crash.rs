//! Killed inside every kind of step of a create, and interrupted in every phase: the next apply (or destroy) ends clean.
//!
//! The lab holds each step up until the end has come, so that the end always comes inside of it.

use serde_json::{Value, json};

use crate::{
    hcl,
    world::{Needs, Running, Workspace, World, one_line, world},
};

const APPLY: &[&str] = &["apply", "-auto-approve", "-no-color"];
const DESTROY: &[&str] = &["destroy", "-auto-approve", "-no-color"];

/// What holds a step up.
#[derive(Clone, Copy)]
enum Obstacle {
    /// Proxmox does not begin what it is asked to do: method, path.
    Request(&'static str, &'static str),
    /// The same, but only when Ansible is at work: an earlier step asks Proxmox the same.
    LateRequest(&'static str, &'static str),
    /// The worker boots without an SSH server.
    NoSsh,
    /// The step takes seconds by itself; it is stopped when Ansible has begun.
    Ansible,
    /// The worker's kubelet stops as soon as the playbook is done.
    NoKubelet,
}

/// Every kind of step of a create. The last two but one occur only where something went wrong before.
const STEPS: [(&str, Obstacle); 9] = [
    ("clone_machine", Obstacle::Request("POST", "/clone$")),
    ("configure_machine", Obstacle::Request("PUT", "/config$")),
    ("resize_disk", Obstacle::Request("PUT", "/resize$")),
    ("start_machine", Obstacle::Request("POST", "/status/start$")),
    ("await_ssh", Obstacle::NoSsh),
    ("run_playbook", Obstacle::Ansible),
    ("await_ready", Obstacle::NoKubelet),
    ("remove_unfinished", Obstacle::Request("DELETE", "/qemu/1920.")),
    ("mark_made", Obstacle::LateRequest("PUT", "/config$")),
];

const WORKER: u32 = 19202;

/// An apply that is inside a step of this kind, and stays there until the lab is healed or it is stopped.
fn inside(world: &World, workspace: &Workspace<'_>, kind: &str, obstacle: Obstacle) -> Running {
    workspace.forget_events();
    match obstacle {
        Obstacle::Request(method, path) => world.hold(method, path),
        Obstacle::NoSsh => world.fault(&json!({"kind": "ssh_refused", "vmid": WORKER})),
        Obstacle::LateRequest(..) | Obstacle::Ansible | Obstacle::NoKubelet => {}
    }
    let mut running = workspace.start(APPLY);
    let begins = |running: &mut Running, kind: &str| {
        let begun = |event: &Value| event["status"] == "started" && event["kind"] == kind;
        assert!(workspace.wait_for_event(running, begun), "no step {kind} began");
    };
    match obstacle {
        Obstacle::LateRequest(method, path) => {
            begins(&mut running, "run_playbook");
            world.hold(method, path);
        }
        Obstacle::NoKubelet => {
            begins(&mut running, "run_playbook");
            // The next look at the datacentre comes when the playbook is done.
            world.hold("GET", "/cluster/resources");
            world.wait_for_held_request();
            let lose = "systemctl stop kubelet";
            world.in_guest(WORKER, &["sh", "-c", lose]);
            let forget =
                "kubectl --kubeconfig /etc/kubernetes/admin.conf delete node demo-worker-1";
            world.in_guest(19201, &["sh", "-c", forget]);
            world.heal();
        }
        Obstacle::Request(..) | Obstacle::NoSsh | Obstacle::Ansible => {}
    }
    begins(&mut running, kind);
    match obstacle {
        Obstacle::Request(..) | Obstacle::LateRequest(..) => world.wait_for_held_request(),
        Obstacle::Ansible => {
            let task = |event: &Value| event["status"] == "info" && event["phase"] == "configure";
            assert!(workspace.wait_for_event(&mut running, task), "Ansible does nothing");
        }
        Obstacle::NoSsh | Obstacle::NoKubelet => {}
    }
    running
}

/// Kills Terraform and provider inside a step of this kind.
fn killed_inside(world: &World, workspace: &Workspace<'_>, kind: &str, obstacle: Obstacle) {
    inside(world, workspace, kind, obstacle).kill();
    let mut ends = workspace.events().into_iter().filter(|event| event["kind"] == kind);
    assert!(ends.all(|event| event["status"] == "started"), "{kind} had ended before the kill");
    world.wait_for_no_held_request();
    world.heal();
    workspace.assert_no_key_is_left();
}

/// One kill after the other in one workspace: every apply finds what the one before left.
#[test]
fn killed_inside_each_kind_of_step_of_create_the_next_apply_goes_on() {
    let Some(world) = world(Needs::Guests) else { return };
    let workspace = world.workspace("course-1", &hcl::all(1));
    for (kind, obstacle) in STEPS {
        killed_inside(&world, &workspace, kind, obstacle);
    }
    workspace.apply();
    workspace.assert_no_changes();
    workspace.destroy();
    world.assert_empty();
    assert_eq!(workspace.runs(), Vec::<String>::new(), "nobody swept up after the killed runs");
}

/// A destroy after the kill leaves nothing either.
#[test]
fn killed_inside_each_kind_of_step_of_create_a_destroy_leaves_nothing() {
    let Some(world) = world(Needs::Guests) else { return };
    let workspace = world.workspace("course-1", &hcl::all(1));
    for (kind, obstacle) in STEPS {
        if kind == "remove_unfinished" {
            let (earlier, obstacle) = STEPS[3];
            killed_inside(&world, &workspace, earlier, obstacle);
        }
        killed_inside(&world, &workspace, kind, obstacle);
        workspace.destroy();
        world.assert_empty();
    }
}

/// The machines are finished, but nobody heard of it: they are never touched unasked, and both ways out are named.
#[test]
fn killed_between_the_last_write_and_its_answer_the_way_out_is_named_and_works() {
    let Some(world) = world(Needs::Guests) else { return };
    let workspace = world.workspace("course-1", &hcl::all(1));
    let mut running = workspace.start(APPLY);
    let configuring =
        |event: &Value| event["status"] == "started" && event["kind"] == "run_playbook";
    assert!(workspace.wait_for_event(&mut running, configuring), "no playbook ran");
    world
        .fault(&json!({"kind": "hold", "method": "PUT", "path_regex": "/config$", "answer": true}));
    world.wait_for_held_request();
    running.kill();
    world.heal();

    for command in [APPLY, DESTROY] {
        let (ok, text) = workspace.terraform(command);
        assert!(!ok, "{command:?} should have been refused:\n{text}");
        let text = one_line(&text);
        assert!(text.contains("demo-"), "no machine is named:\n{text}");
        assert!(text.contains("orphans"), "no way out is named:\n{text}");
    }
    let removed = workspace.provider(&["orphans", "--remove", "--cluster", "demo"]);
    assert!(removed.contains("demo-"), "{removed}");
    workspace.apply();
    workspace.assert_no_changes();
    workspace.destroy();
    world.assert_empty();
}

/// Ctrl-C once, in every phase: the state keeps the cluster, and a destroy leaves nothing.
#[test]
fn interrupted_once_in_each_phase_the_state_is_kept_and_destroy_leaves_nothing() {
    let Some(world) = world(Needs::Guests) else { return };
    let workspace = world.workspace("course-1", &hcl::all(1));
    let phases = [
        ("machines", "clone_machine"),
        ("boot", "await_ssh"),
        ("configure", "run_playbook"),
        ("ready", "await_ready"),
    ];
    for (phase, kind) in phases {
        let (_, obstacle) = STEPS[STEPS.iter().position(|(known, _)| *known == kind).expect(kind)];
        let running = inside(&world, &workspace, kind, obstacle);
        running.interrupt();
        // A request that was sent is never given up: only its answer says whether it was done.
        world.heal();
        let (ok, text) = running.finish();
        assert!(!ok, "an apply that was interrupted in phase {phase} must not succeed:\n{text}");
        let last = workspace.events().pop().expect("events");
        assert_eq!(last["phase"], phase, "it went on after the interrupt: {last}");
        assert!(
            workspace.resources().contains(&"kubesmith_cluster.demo".to_owned()),
            "{phase}: the state forgot the cluster:\n{text}"
        );
        assert_eq!(workspace.runs(), Vec::<String>::new(), "the folder of the run is left");
        workspace.destroy();
        world.assert_empty();
    }
}
