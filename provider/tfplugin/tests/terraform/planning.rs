//! What is known and said before anything happens.

use serde_json::json;

use crate::world::World;

#[test]
fn faults_are_found_at_their_place_before_apply() {
    let Some(world) = World::new() else { return };
    for (attributes, message, place) in [
        ("name = \"Tools\"", "\"Tools\" has capital letters.", "name = \"Tools\""),
        ("name = null", "Missing value for name", "name = null"),
        ("name = \"a\"\nowner = \"nowhere\"", "invalid IP address", "owner = \"nowhere\""),
        ("name = \"a\"\nreminder = \"soon\"", "\"soon\" is no duration", "reminder = \"soon\""),
        (
            "name = \"a\"\ncontents = [{ what = \"x\", count = 99999 }]",
            "from 0 to 65535",
            "count = 99999",
        ),
        (
            "name = \"a\"\ncontents = [{ what = \"x\", count = 1.5 }]",
            "1.5 is no whole number",
            "count = 1.5",
        ),
        (
            "name = \"a\"\ntimeouts = { create = \"1 hour\" }",
            "is no duration",
            "create = \"1 hour\"",
        ),
        ("name = \"a\"\nlabel = \"a\"", "The label says nothing new", "label = \"a\""),
        (
            "name = \"a\"\nlock = { code = null }",
            "Missing value for lock.code",
            "lock = { code = null }",
        ),
    ] {
        world.write_box(attributes);
        let ran = world.run(&["validate", "-no-color"]);
        assert!(!ran.success, "{attributes}");
        let text = ran.text.replace('\n', " ");
        assert!(text.contains(message) && text.contains(place), "{attributes}: {text}");
    }
}

#[test]
fn what_the_user_wrote_may_be_unknown_until_apply() {
    let Some(world) = World::new() else { return };
    world.write(
        r#"
        resource "terraform_data" "source" { input = { name = "tools", count = 3, words = ["a", "b"] } }
        locals { source = terraform_data.source.output }
        resource "shelf_box" "it" {
          name     = local.source.name
          label    = "box of ${local.source.name}"
          contents = [{ what = "a", count = local.source.count }, { what = local.source.name }]
          words    = local.source.words
          lock     = { code = local.source.name, kind = local.source.name }
        }
        output "has_id" { value = shelf_box.it.id != null }
        "#,
    );
    let plan = world.plan();
    // The plan promised that there will be an id: what depends on that is known already.
    assert_eq!(plan["planned_values"]["outputs"]["has_id"]["value"], true);
    world.apply();
    let made = world.state();
    assert_eq!(made["contents"][0]["count"], 3);
    assert_eq!(made["words"], json!(["a", "b"]));
    assert_eq!(made["lock"]["serial"], "tools-tools");
    assert_eq!(world.planned_actions(), "");
}

#[test]
fn promises_answer_questions_before_apply() {
    let Some(world) = World::new() else { return };
    world.write(
        r#"
        resource "shelf_box" "it" { name = "a" }
        output "is_receipt" {
          value     = startswith(shelf_box.it.receipt, "receipt ")
          sensitive = true
        }
        output "is_bill" {
          value     = startswith(shelf_box.it.receipt, "bill")
          sensitive = true
        }
        "#,
    );
    let plan = world.plan();
    let outputs = &plan["planned_values"]["outputs"];
    assert_eq!(outputs["is_receipt"]["value"], true);
    assert_eq!(outputs["is_bill"]["value"], false);
    // A text of the user's that begins with something known comes with that promise.
    world.write(
        r#"
        resource "terraform_data" "later" { input = "x" }
        resource "shelf_box" "it" { name = "box-${terraform_data.later.id}" }
        "#,
    );
    world.apply();
    assert_eq!(world.planned_actions(), "");
}

#[test]
fn a_plan_hook_sets_replaces_and_warns() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"\nweight = 200\ncontents = [{ what = \"x\" }]");
    let plan = world.plan();
    assert_eq!(plan["resource_changes"][0]["change"]["after"]["floor"], 0);
    world.apply();
    assert_eq!(world.state()["floor"], 0);

    let full = r#"contents = [{ what = "x" }, { what = "y" }, { what = "z" }]"#;
    world.write_box(&format!("name = \"a\"\nweight = 200\nlabel = \"precious\"\n{full}"));
    let plan = world.plan();
    assert_eq!(plan["resource_changes"][0]["change"]["replace_paths"], json!([["contents"]]));
    world.apply();
    let ran = world.run(&["plan", "-destroy", "-no-color"]);
    assert!(ran.text.contains("A precious box will be destroyed"), "{}", ran.text);
}

#[test]
fn a_box_can_be_planned_before_the_shelf_is_known() {
    let Some(world) = World::new() else { return };
    let directory = world.path("shelf").display().to_string();
    world.write(&format!(
        r#"
        resource "terraform_data" "shelf" {{ input = {directory:?} }}
        provider "shelf" {{ directory = terraform_data.shelf.output }}
        resource "shelf_box" "it" {{ name = "tools" }}
        "#
    ));
    assert_eq!(world.planned_actions(), "create");
    world.apply();
    assert!(world.has_box("tools"));
    assert_eq!(world.planned_actions(), "");

    // Reading a box needs the shelf: the error says what is not known.
    world.write(&format!(
        r#"
        resource "terraform_data" "shelf" {{
          input            = {directory:?}
          triggers_replace = "again"
        }}
        provider "shelf" {{ directory = terraform_data.shelf.output }}
        resource "shelf_box" "it" {{ name = "tools" }}
        "#
    ));
    let ran = world.run(&["plan", "-no-color"]);
    assert!(!ran.success && ran.text.contains("only known after apply: directory"), "{}", ran.text);
}

#[test]
fn numbers_keep_every_digit() {
    let Some(world) = World::new() else { return };
    for weight in ["1 - 0.99", "18446744073709551617", "0.1 + 0.2", "1e30", "-1.5"] {
        world.write_box(&format!("name = \"a\"\nweight = {weight}"));
        world.apply();
        assert_eq!(world.planned_actions(), "", "{weight}");
    }
}

#[test]
fn only_time_limits_changed_is_no_work_for_the_provider() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"");
    world.apply();
    world.write_box("name = \"a\"\ntimeouts = { create = \"5m\" }");
    assert_eq!(world.planned_actions(), "update");
    world.apply();
    let state = world.state();
    assert_eq!(state["timeouts"]["create"], "5m");
    assert_eq!(state["changes"].as_array().unwrap().len(), 1);
}
