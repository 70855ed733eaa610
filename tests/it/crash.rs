//! Killed and interrupted at every kind of step: the next apply (or destroy) ends clean.

use std::collections::BTreeSet;

use crate::{
    hcl,
    world::{Needs, one_line, world},
};

const APPLY: &[&str] = &["apply", "-auto-approve", "-no-color"];

/// SIGKILL to Terraform and provider as each kind of step begins, one after the other in one workspace: every
/// apply finds what the one before left.
#[test]
fn killed_in_each_kind_of_step_of_create_the_next_apply_goes_on() {
    let Some(world) = world(Needs::Guests) else { return };
    let workspace = world.workspace("course-1", &hcl::all(1));
    // What a create goes through, in order, is learned from a first, undisturbed one.
    workspace.apply();
    let mut kinds = Vec::new();
    for event in workspace.events() {
        let kind = event["kind"].as_str().unwrap_or_default().to_owned();
        if event["status"] == "started" && !kind.is_empty() && !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    assert!(kinds.len() >= 6, "a create has more kinds of steps: {kinds:?}");
    workspace.destroy();
    world.assert_empty();

    let mut killed = BTreeSet::new();
    for kind in &kinds {
        std::fs::remove_file(workspace.events_file()).expect("the events");
        let mut running = workspace.start(APPLY);
        if workspace.wait_for_event(&mut running, |event| {
            event["status"] == "started" && event["kind"] == kind.as_str()
        }) {
            running.kill();
            killed.insert(kind.clone());
        } else {
            let (ok, text) = running.finish();
            assert!(ok, "apply up to {kind} failed:\n{text}");
            workspace.destroy();
        }
        std::fs::remove_file(workspace.dir().join(".terraform.tfstate.lock.info")).ok();
    }
    assert!(killed.len() + 2 >= kinds.len(), "killed only in {killed:?} of {kinds:?}");
    // The last kill may have come after the cluster was finished, before Terraform heard of it.
    let (ok, text) = workspace.terraform(APPLY);
    if !ok {
        assert!(one_line(&text).contains("terraform import"), "no way out is named:\n{text}");
        panic!("a kill in a step must not leave a finished cluster:\n{text}");
    }
    workspace.assert_no_changes();
    workspace.destroy();
    world.assert_empty();
}

#[test]
fn interrupted_once_the_state_is_kept_and_destroy_leaves_nothing() {
    let Some(world) = world(Needs::Guests) else { return };
    let workspace = world.workspace("course-1", &hcl::all(1));
    let mut running = workspace.start(APPLY);
    assert!(workspace.wait_for_event(&mut running, |event| event["phase"] == "boot"
        && event["status"] == "started"));
    running.interrupt();
    let (ok, text) = running.finish();
    assert!(!ok, "an interrupted apply must not succeed:\n{text}");
    assert!(
        workspace.resources().contains(&"kubesmith_cluster.demo".to_owned()),
        "the state forgot the cluster:\n{text}"
    );
    workspace.destroy();
    world.assert_empty();
}
