//! What lies in the state: private data, states of other types.

use serde_json::{Value, json};

use crate::world::World;

#[test]
fn private_data_is_handed_from_operation_to_operation() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"");
    world.apply();
    world.write_box("name = \"a\"\nlabel = \"other\"");
    let mut command = world.command(&["apply", "-auto-approve", "-no-color"]);
    let output = command.env("TF_LOG", "JSON").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.find(|line| line["@message"] == "what is known of the box");
    let line = line.unwrap_or_else(|| panic!("{text}"));
    // From create, from the read before the plan, and from the plan.
    assert_eq!(line["made_by"], "create");
    assert_eq!(line["looks"], "1");
    assert_eq!(line["planned"], "true");
    // Users do not see it.
    assert!(!world.plan().to_string().contains("made_by"));
}

fn write_state(world: &World, type_name: &str, attributes: &Value) {
    let state = json!({
        "version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": "x", "outputs": {},
        "resources": [{
            "mode": "managed", "type": type_name, "name": "it",
            "provider": "provider[\"registry.terraform.io/example/shelf\"]",
            "instances": [{ "schema_version": 0, "attributes": attributes }],
        }],
    });
    std::fs::write(world.path("terraform.tfstate"), state.to_string()).unwrap();
}

#[test]
fn an_object_of_another_type_becomes_a_box() {
    let Some(world) = World::new() else { return };
    std::fs::write(world.path("shelf/anna.json"), r#"{"label": "chest"}"#).unwrap();
    write_state(&world, "shelf_chest", &json!({ "owner": "anna" }));
    world.write(
        r#"
        moved {
          from = shelf_chest.it
          to   = shelf_box.it
        }
        resource "shelf_box" "it" {
          name  = "anna"
          label = "chest"
        }
        "#,
    );
    assert_eq!(world.planned_actions(), "");
    world.apply();
    assert_eq!(world.state()["receipt"], "lost");

    write_state(&world, "shelf_drawer", &json!({}));
    world.write(
        r#"
        moved {
          from = shelf_drawer.it
          to   = shelf_box.it
        }
        resource "shelf_box" "it" { name = "anna" }
        "#,
    );
    let ran = world.run(&["plan", "-no-color"]);
    assert!(ran.text.contains("A shelf_drawer cannot become a shelf_box"), "{}", ran.text);
}
