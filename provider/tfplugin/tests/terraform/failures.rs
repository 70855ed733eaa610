//! A failure never loses an object.

use serde_json::json;

use crate::world::World;

#[test]
fn a_create_that_made_nothing_leaves_nothing() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"\nlabel = \"fail-early\"");
    let text = world.apply_fails();
    assert!(text.contains("The shelf is full") && text.contains("Make room first."), "{text}");
    assert_eq!(world.state(), json!(null));
}

#[test]
fn a_create_that_fails_half_way_is_kept_and_replaced() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"\nlabel = \"fail-late\"\nlock = { code = \"1\" }");
    let text = world.apply_fails();
    assert!(text.contains("The box fell down"), "{text}");
    let state = world.state();
    assert_eq!((&state["tainted"], &state["id"]), (&json!(true), &json!("a")));
    assert_eq!(state["lock"]["serial"], json!(null));

    world.write_box("name = \"a\"\nlabel = \"better\"\nlock = { code = \"1\" }");
    assert_eq!(world.planned_actions(), "delete+create");
    world.apply();
    assert_eq!(world.state()["tainted"], json!(null));
    assert_eq!(world.planned_actions(), "");
}

#[test]
fn a_box_that_was_kept_can_be_repaired_instead() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"\nlabel = \"fail-late\"");
    world.apply_fails();
    assert!(world.run(&["untaint", "shelf_box.it"]).success);
    world.write_box("name = \"a\"\nlabel = \"better\"");
    assert_eq!(world.planned_actions(), "update");
}

#[test]
fn a_panic_after_a_checkpoint_keeps_the_object() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"\nlabel = \"panic-late\"");
    let text = world.apply_fails();
    assert!(text.contains("The provider has a bug and stopped"), "{text}");
    assert!(text.contains("Stack trace from the terraform-provider-shelf plugin"), "{text}");
    assert_eq!(world.state()["tainted"], true);
    assert!(world.run(&["destroy", "-auto-approve"]).success);
    assert!(!world.has_box("a"));
}

#[test]
fn a_failed_update_keeps_what_was() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"");
    world.apply();
    world.write_box("name = \"a\"\nlabel = \"fail-update\"");
    let text = world.apply_fails();
    assert!(text.contains("The label does not stick"), "{text}");
    let state = world.state();
    assert_eq!((&state["label"], &state["tainted"]), (&json!("plain"), &json!(null)));
    assert_eq!(state["changes"].as_array().unwrap().len(), 1);
}

#[test]
fn a_value_that_is_not_the_planned_one_is_named() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"\nlabel = \"wrong\"");
    let text = world.apply_fails();
    assert!(text.contains("Unexpected value for label"), "{text}");
    assert!(text.contains("Planned was \"wrong\", but it became \"wrong turn\"."), "{text}");
    assert_eq!(world.state()["tainted"], true);
}

#[test]
fn time_limits_end_an_operation() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"\nlabel = \"slow\"\ntimeouts = { create = \"200ms\" }");
    let text = world.apply_fails();
    assert!(text.contains("The box is half made."), "{text}");
    assert!(text.contains("It took longer than 200ms."), "{text}");
    assert_eq!(world.state()["tainted"], true);
}

#[test]
fn a_refused_provider_block_is_an_error_at_its_place() {
    let Some(world) = World::new() else { return };
    world.write("provider \"shelf\" { password = \"wrong\" }\nresource \"shelf_box\" \"it\" { name = \"a\" }");
    let ran = world.run(&["plan", "-no-color"]);
    assert!(ran.text.contains("Wrong password"), "{}", ran.text);
    assert!(ran.text.contains("provider \"shelf\" { password"), "{}", ran.text);
}
