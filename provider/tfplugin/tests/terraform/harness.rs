//! The example provider under the harness that plays Terraform.

use std::process::Command;

use kubesmith_tfplugin::testing::{Action, Harness, Rule};
use serde_json::{Value, json};

use crate::world::provider_binary;

/// The harness, and the shelf: a directory that must outlive it.
#[expect(clippy::disallowed_methods, reason = "this crate knows nothing of Kubesmith's own")]
fn shelf() -> (Harness, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut harness = Harness::start(Command::new(provider_binary("shelf"))).unwrap();
    harness.configure(json!({ "directory": directory.path() })).unwrap();
    (harness, directory)
}

/// A box with something in every attribute that can be written.
fn full() -> Value {
    json!({
        "name": "tools", "label": "heavy", "weight": 12.5, "owner": "10.0.0.1", "reminder": "2h",
        "floor": 2, "contents": [{ "what": "hammer", "count": 2 }, { "what": "saw" }],
        "lock": { "code": "secret-code", "kind": "dial" }, "words": ["steel", "wood"],
        "note_wo": "do not show this", "note_wo_version": 1,
        "remarks": { "ann": { "text": "x" } }, "timeouts": { "create": "5m" },
    })
}

#[test]
fn a_box_lives_from_create_to_destroy() {
    let (mut harness, _directory) = shelf();
    let mut made = harness.apply("shelf_box", full()).unwrap();
    assert_eq!(made.state()["lock"]["serial"], "tools-dial");
    assert_eq!(made.state()["note_wo"], Value::Null);

    let mut config = full();
    config["label"] = "light".into();
    assert_eq!(harness.update(&mut made, config.clone()).unwrap(), Action::Update);
    assert_eq!(harness.update(&mut made, config.clone()).unwrap(), Action::NoOp);
    config["lock"]["kind"] = "key".into();
    assert_eq!(harness.update(&mut made, config).unwrap(), Action::Replace);

    let plain = harness.apply("shelf_box", json!({ "name": "simple" })).unwrap();
    let imported = harness.import(&plain, "simple", &["timeouts"]).unwrap();
    assert_eq!(imported.state(), plain.state());
    // What an import cannot know is named, at its place.
    let failure = harness.import(&made, "tools", &[]).unwrap_err();
    assert!(failure.violations().iter().all(|one| one.rule == Rule::ImportedAsMade), "{failure}");
    assert!(failure.violations().iter().any(|one| one.path == ".weight"), "{failure}");
    for one in [made, plain] {
        harness.destroy(one).unwrap();
    }
}

#[test]
fn any_part_may_be_unknown_until_apply() {
    let (mut harness, _directory) = shelf();
    let new = harness.unknowns("shelf_box", full()).cases(200).applied().run().unwrap();
    assert!(new.planned > 100 && new.unknown > 100 && new.applied > 100, "{new:?}");
    let made = harness.apply("shelf_box", full()).unwrap();
    let changed = harness.unknowns("shelf_box", full()).cases(200).over(&made).run().unwrap();
    assert!(changed.planned > 100, "{changed:?}");
    harness.configure_unknown().unwrap();
    let early = harness.unknowns("shelf_box", full()).cases(100).run().unwrap();
    assert!(early.planned > 50, "{early:?}");
}

#[test]
fn what_the_provider_refuses_is_told_and_what_is_lost_is_noticed() {
    let (mut harness, directory) = shelf();
    let refused = harness.apply("shelf_box", json!({ "name": "Tools" })).unwrap_err();
    assert_eq!(refused.messages()[0].path.as_deref(), Some(".name"));
    let wrong = harness.apply("shelf_box", json!({ "name": "a", "label": "wrong" })).unwrap_err();
    assert!(wrong.to_string().contains("wrong turn"), "{wrong}");
    let missing = harness.apply("shelf_box", json!({ "nome": "a" })).unwrap_err();
    assert!(missing.to_string().contains("there is no such attribute"), "{missing}");

    let one = harness.apply("shelf_box", json!({ "name": "one" })).unwrap();
    std::fs::write(directory.path().join("one.json"), r#"{"label":"other"}"#).unwrap();
    let found = harness.refresh(&one).unwrap().unwrap();
    assert_eq!(found.state()["label"], "other");
    assert_eq!(
        harness.plan(Some(&found), "shelf_box", json!({ "name": "one" })).unwrap().0,
        Action::Update
    );
    std::fs::remove_file(directory.path().join("one.json")).unwrap();
    assert!(harness.refresh(&one).unwrap().is_none());
}

#[test]
fn old_states_are_read() {
    let (mut harness, directory) = shelf();
    std::fs::write(directory.path().join("old.json"), r#"{"label":"kept"}"#).unwrap();
    let state = json!({
        "id": "old", "name": "old", "heading": "kept", "weight": 18_446_744_073_709_551_615_u64,
        "reminder": "1h", "floor": 1, "contents": [], "changes": [], "receipt": "r",
    });
    let old = harness.stored("shelf_box", 0, state).unwrap();
    assert_eq!(old.state()["label"], "kept");
    assert!(harness.refresh(&old).unwrap().is_some());
}
