//! Data sources and functions.

use serde_json::json;

use crate::world::World;

#[test]
fn a_box_is_looked_up() {
    let Some(world) = World::new() else { return };
    std::fs::write(world.path("shelf/found.json"), r#"{"label": "old things"}"#).unwrap();
    std::fs::write(world.path("shelf/bare.json"), "{}").unwrap();
    world.write(
        r#"
        data "shelf_box" "found" { name = "found" }
        data "shelf_box" "bare" {
          name     = "bare"
          timeouts = { read = "5s" }
        }
        output "labels" { value = [data.shelf_box.found.label, data.shelf_box.bare.label] }
        "#,
    );
    world.apply();
    assert_eq!(world.output("labels"), json!(["old things", "blank"]));
    assert_eq!(world.stored("data.shelf_box.bare")["fallback"], "blank");
}

#[test]
fn what_is_looked_up_may_be_made_in_the_same_apply() {
    let Some(world) = World::new() else { return };
    world.write(
        r#"
        resource "shelf_box" "it" {
          name  = "a"
          label = "new"
        }
        data "shelf_box" "same" {
          name       = shelf_box.it.id
          depends_on = [shelf_box.it]
        }
        output "label" { value = data.shelf_box.same.label }
        "#,
    );
    let plan = world.plan();
    assert_eq!(plan["planned_values"]["outputs"]["label"]["value"], json!(null));
    world.apply();
    assert_eq!(world.output("label"), "new");
}

#[test]
fn what_is_not_there_is_an_error_at_its_place() {
    let Some(world) = World::new() else { return };
    world.write(r#"data "shelf_box" "it" { name = "nothing" }"#);
    let ran = world.run(&["plan", "-no-color"]);
    assert!(!ran.success && ran.text.contains("There is no box \"nothing\""), "{}", ran.text);
    assert!(ran.text.contains("data \"shelf_box\" \"it\" { name = \"nothing\" }"), "{}", ran.text);

    world.write(r#"data "shelf_box" "it" { name = null }"#);
    let ran = world.run(&["validate", "-no-color"]);
    assert!(ran.text.contains("Missing value for name"), "{}", ran.text);
}

#[test]
fn a_function_needs_no_configuration() {
    let Some(world) = World::new() else { return };
    world.write(
        r#"
        output "label" { value = provider::shelf::label("-", "a", "b", "c") }
        output "space" { value = provider::shelf::label(null, "a", "b") }
        output "empty" { value = provider::shelf::label("-") }
        "#,
    );
    let mut command = world.command(&["apply", "-auto-approve", "-no-color"]);
    let ran = crate::world::Ran::of(&command.env_remove("SHELF_DIRECTORY").output().unwrap());
    assert!(ran.success, "{}", ran.text);
    assert_eq!(world.output("label"), "a-b-c");
    assert_eq!(world.output("space"), "a b");
    assert_eq!(world.output("empty"), "");
}

#[test]
fn a_function_s_error_underlines_the_argument() {
    let Some(world) = World::new() else { return };
    world.write("output \"label\" {\n  value = provider::shelf::label(\"-\", \"a\",\n    \"\")\n}");
    let ran = world.run(&["plan", "-no-color"]);
    assert!(!ran.success, "{}", ran.text);
    let text = ran.text.replace('\n', " ");
    assert!(text.contains("A word is empty: Leave it out."), "{text}");
    assert!(text.contains("Invalid value for \"words\" parameter"), "{text}");

    // An unknown argument is not looked at: the result is unknown until apply.
    world.write(
        r#"
        resource "terraform_data" "later" { input = "late" }
        output "label" { value = provider::shelf::label("-", "a", terraform_data.later.output) }
        "#,
    );
    world.apply();
    assert_eq!(world.output("label"), "a-late");
}
