//! From create to destroy, the way users see it.

use serde_json::json;

use crate::world::World;

const FULL: &str = r#"
  name     = "tools"
  weight   = 0.1
  owner    = "2001:DB8::0001"
  reminder = "90m"
  contents = [{ what = "hammer" }, { what = "nail", count = 100 }]
  lock     = { code = "1234" }
  words    = ["b", "a"]
  remarks  = { anna = { text = "x" } }
  timeouts = { create = "2m" }
"#;

#[test]
fn a_box_is_made_kept_changed_replaced_and_destroyed() {
    let Some(world) = World::new() else { return };
    world.write_box(FULL);
    world.apply();
    let made = world.state();
    // What the user wrote is kept as written, even where it could be spelled otherwise.
    assert_eq!(made["owner"], "2001:DB8::0001");
    assert_eq!(made["reminder"], "90m");
    assert_eq!(made["weight"], json!(0.1));
    assert_eq!(made["contents"][1], json!({ "what": "nail", "count": 100 }));
    assert_eq!(made["contents"][0]["count"], 1);
    assert_eq!(made["lock"], json!({ "code": "1234", "kind": "key", "serial": "tools-key" }));
    assert_eq!(made["floor"], 1);
    assert_eq!(made["changes"], json!([{ "number": 1, "label": "plain" }]));
    assert_eq!(world.planned_actions(), "");

    // A change in place: what may change is unknown, what is kept is not.
    world.write_box(&format!("{FULL}\n label = \"tools\\nand more\""));
    let plan = world.plan();
    let change = &plan["resource_changes"][0]["change"];
    assert_eq!(change["actions"], json!(["update"]));
    assert_eq!(change["after_unknown"]["changes"], true);
    assert_eq!(change["after"]["id"], "tools");
    assert_eq!(change["after"]["lock"]["serial"], "tools-key");
    world.apply();
    assert_eq!(world.state()["changes"][1]["number"], 2);
    assert_eq!(world.planned_actions(), "");

    // The name, and the kind of the lock, need a new box.
    world.write_box(&FULL.replace("\"1234\"", "\"1234\", kind = \"dial\""));
    let plan = world.plan();
    let change = &plan["resource_changes"][0]["change"];
    assert_eq!(change["actions"], json!(["delete", "create"]));
    assert_eq!(change["replace_paths"], json!([["lock", "kind"]]));
    world.apply();
    assert_eq!(world.state()["lock"]["serial"], "tools-dial");
    world.write_box(&FULL.replace("tools", "toys"));
    world.apply();
    assert!(world.has_box("toys") && !world.has_box("tools"));

    assert!(world.run(&["destroy", "-auto-approve"]).success);
    assert!(!world.has_box("toys"));
    assert_eq!(world.state(), json!(null));
}

/// Defaults and computed values in a set belong to the element that they were made for.
#[test]
fn stickers_keep_their_numbers() {
    let Some(world) = World::new() else { return };
    let stickers = |world: &World| {
        let state = world.state();
        let stickers = state["stickers"].as_array().unwrap().iter();
        let mut stickers: Vec<_> = stickers
            .map(|one| format!("{} {} {}", one["number"], one["text"], one["colour"]))
            .collect();
        stickers.sort();
        stickers
    };
    world.write_box(
        "name = \"a\"\nstickers = [{ text = \"fragile\" }, { text = \"up\", colour = \"red\" }]",
    );
    world.apply();
    assert_eq!(stickers(&world), [r#"1 "fragile" "white""#, r#"2 "up" "red""#]);
    assert_eq!(world.planned_actions(), "");

    // The same in another order, and what is written is the default.
    world.write_box(
        "name = \"a\"\nstickers = [{ text = \"up\", colour = \"red\" }, { text = \"fragile\", colour = \"white\" }]",
    );
    assert_eq!(world.planned_actions(), "");

    world.write_box(
        "name = \"a\"\nstickers = [{ text = \"new\" }, { text = \"up\", colour = \"red\" }]",
    );
    let plan = world.plan();
    let after = &plan["resource_changes"][0]["change"]["after"]["stickers"];
    let kept = after.as_array().unwrap().iter().find(|one| one["text"] == "up").unwrap();
    assert_eq!(kept["number"], 2);
    world.apply();
    assert_eq!(stickers(&world), [r#"2 "up" "red""#, r#"3 "new" "white""#]);
    assert_eq!(world.planned_actions(), "");
}

#[test]
fn what_somebody_changed_or_took_away_shows_in_the_plan() {
    let Some(world) = World::new() else { return };
    world.write_box(r#"name = "tools""#);
    world.apply();
    let file = world.path("shelf/tools.json");
    std::fs::write(&file, r#"{"label": "painted over"}"#).unwrap();
    assert_eq!(world.planned_actions(), "update");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(world.planned_actions(), "create");
}

#[test]
fn a_box_is_imported_by_its_name() {
    let Some(world) = World::new() else { return };
    std::fs::write(world.path("shelf/found.json"), r#"{"label": "plain"}"#).unwrap();
    world.write_box(r#"name = "found""#);
    let ran = world.run(&["import", "-no-color", "shelf_box.it", "nothing"]);
    assert!(ran.text.contains("There is no shelf_box \"nothing\""), "{}", ran.text);
    let ran = world.run(&["import", "-no-color", "shelf_box.it", "found"]);
    assert!(ran.success, "{}", ran.text);
    assert_eq!(world.state()["floor"], 1);
    assert_eq!(world.planned_actions(), "");
}

#[test]
fn states_of_older_versions_are_upgraded() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"old\"\nlabel = \"memories\"");
    std::fs::write(world.path("shelf/old.json"), r#"{"label": "memories"}"#).unwrap();
    // Version 0 had a heading, which became a title and then a label, and neither a reminder nor contents.
    let state = json!({
        "version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": "x", "outputs": {},
        "resources": [{
            "mode": "managed", "type": "shelf_box", "name": "it",
            "provider": "provider[\"registry.terraform.io/example/shelf\"]",
            "instances": [{ "schema_version": 0, "attributes": {
                "id": "old", "name": "old", "heading": "memories", "floor": "1",
                "changes": [], "receipt": "r", "colour": "red",
            }}],
        }],
    });
    std::fs::write(world.path("terraform.tfstate"), state.to_string()).unwrap();
    assert_eq!(world.planned_actions(), "");
    world.apply();
    assert_eq!(world.state()["reminder"], "1h");
}
