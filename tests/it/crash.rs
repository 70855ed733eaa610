//! Killed and interrupted at every kind of step: the next apply (or destroy) ends clean.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    hcl,
    world::{Needs, Workspace, one_line, world},
};

const APPLY: &[&str] = &["apply", "-auto-approve", "-no-color"];

/// The kinds of steps of a create, in order, learned from an undisturbed one.
fn kinds_of_steps(workspace: &Workspace<'_>) -> Vec<String> {
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
    kinds
}

/// Applies, and kills Terraform and provider as a step of this kind begins. False when none began: then the apply came
/// to its end, or named what was in its way.
fn apply_killed_in(workspace: &Workspace<'_>, kind: &str) -> bool {
    std::fs::remove_file(workspace.events_file()).expect("the events");
    let mut running = workspace.start(APPLY);
    let begun = |event: &Value| event["status"] == "started" && event["kind"] == kind;
    if workspace.wait_for_event(&mut running, begun) {
        running.kill();
        return true;
    }
    let (ok, text) = running.finish();
    if !ok {
        take_the_way_out(workspace, &text);
    }
    false
}

/// One kill after the other in one workspace: every apply finds what the one before left.
#[test]
fn killed_in_each_kind_of_step_of_create_the_next_apply_goes_on() {
    let Some(world) = world(Needs::Guests) else { return };
    let workspace = world.workspace("course-1", &hcl::all(1));
    let kinds = kinds_of_steps(&workspace);
    let mut killed = BTreeSet::new();
    for kind in &kinds {
        if apply_killed_in(&workspace, kind) {
            killed.insert(kind);
        } else {
            workspace.destroy();
        }
    }
    assert!(killed.len() + 2 >= kinds.len(), "killed only in {killed:?} of {kinds:?}");
    let (ok, text) = workspace.terraform(APPLY);
    if !ok {
        take_the_way_out(&workspace, &text);
        workspace.apply();
    }
    workspace.assert_no_changes();
    workspace.destroy();
    world.assert_empty();
}

/// A destroy after the kill leaves nothing either.
#[test]
fn killed_in_each_kind_of_step_of_create_a_destroy_leaves_nothing() {
    let Some(world) = world(Needs::Guests) else { return };
    let workspace = world.workspace("course-1", &hcl::all(1));
    for kind in kinds_of_steps(&workspace) {
        assert!(apply_killed_in(&workspace, &kind), "no step {kind} began");
        let (ok, text) = workspace.terraform(&["destroy", "-auto-approve", "-no-color"]);
        if !ok {
            // Finished machines that the state does not know are named, never destroyed unasked.
            assert!(kind == "mark_made", "destroy after a kill in {kind} failed:\n{text}");
            let text = one_line(&text);
            assert!(
                text.contains("demo-") && text.contains("orphans"),
                "no way out is named:\n{text}"
            );
            workspace.provider(&["orphans", "--remove", "--cluster", "demo"]);
            workspace.destroy();
        }
        world.assert_empty();
    }
}

/// A kill in the very last step may come after the last machine was marked as finished, before Terraform heard of
/// it. The next apply then names what it found and how to go on; that is what is done here.
fn take_the_way_out(workspace: &Workspace<'_>, text: &str) {
    let text = one_line(text);
    for named in ["finished machines", "terraform import", "orphans --remove --cluster"] {
        assert!(text.contains(named), "{named} is not named:\n{text}");
    }
    let removed = workspace.provider(&["orphans", "--remove", "--cluster", "demo"]);
    assert!(removed.contains("demo-cp-1"), "{removed}");
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
