//! Values that are never stored: ephemeral resources and write-only attributes.

use serde_json::json;

use crate::world::World;

/// Everything that Terraform keeps of this configuration, but for the configuration itself.
fn written(world: &World) -> String {
    let state = std::fs::read_to_string(world.path("terraform.tfstate")).unwrap();
    let mut plan = world.plan();
    plan["configuration"].take();
    format!("{state}{plan}")
}

#[test]
fn a_key_opens_a_box_and_is_given_back() {
    let Some(world) = World::new() else { return };
    world.write(
        r#"
        ephemeral "shelf_key" "it" { name = "a" }
        resource "shelf_box" "it" {
          name            = "a"
          note_wo         = ephemeral.shelf_key.it.code
          note_wo_version = 1
        }
        "#,
    );
    world.apply();
    assert_eq!(world.on_shelf("a")["note"], "opens a");
    let state = world.state();
    assert_eq!((&state["note_wo"], &state["note_wo_version"]), (&json!(null), &json!(1)));
    let written = written(&world);
    assert!(!written.contains("opens a"), "{written}");
    assert_eq!(world.on_shelf("a.key"), json!(null));
    assert_eq!(world.on_shelf("a.returned"), json!({ "renewed": 0 }));
    assert_eq!(world.planned_actions(), "");
}

#[test]
fn a_key_is_renewed_while_something_else_takes_its_time() {
    let Some(world) = World::new() else { return };
    world.write(
        r#"
        ephemeral "shelf_key" "it" {
          name = "a"
          fits = "200ms"
        }
        resource "shelf_box" "it" {
          name     = "a"
          label    = "patient"
          note_wo  = ephemeral.shelf_key.it.code
          timeouts = { create = "30s" }
        }
        "#,
    );
    // The box is only done when its key was renewed twice.
    world.apply();
    let renewed = world.on_shelf("a.returned")["renewed"].as_u64();
    assert!(renewed.is_some_and(|times| times >= 2), "{renewed:?}");
}

#[test]
fn a_key_with_a_fault_is_refused_before_it_is_opened() {
    let Some(world) = World::new() else { return };
    world.write("ephemeral \"shelf_key\" \"it\" {\n  name = \"a\"\n  fits = \"forever\"\n}");
    let ran = world.run(&["validate", "-no-color"]);
    assert!(ran.text.contains("\"forever\" is no duration"), "{}", ran.text);
}

#[test]
fn another_version_puts_a_new_note_inside() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"\nnote_wo = \"first\"\nnote_wo_version = 1");
    world.apply();
    // What is not stored cannot be compared: the version says that there is a new note.
    world.write_box("name = \"a\"\nnote_wo = \"second\"\nnote_wo_version = 1");
    assert_eq!(world.planned_actions(), "");
    world.write_box("name = \"a\"\nnote_wo = \"second\"\nnote_wo_version = 2");
    assert_eq!(world.planned_actions(), "update");
    world.apply();
    assert_eq!(world.on_shelf("a")["note"], "second");
    let written = written(&world);
    assert!(!written.contains("\"first\"") && !written.contains("\"second\""), "{written}");
}
