//! Broken rules: what the harness finds is what the real Terraform finds, at the same place.

use std::process::Command;

use kubesmith_tfplugin::testing::{Failure, Harness, Rule};
use serde_json::{Value, json};

use crate::world::{World, provider_binary};

/// A crime, the configuration it needs, what is broken, and where. Some show only in a change.
struct Case {
    crime: &'static str,
    also: Value,
    change: bool,
    rule: Rule,
    path: &'static str,
    /// The path as Terraform says it: mostly the same.
    told: &'static str,
}

fn case(crime: &'static str, rule: Rule, path: &'static str) -> Case {
    Case { crime, also: json!({}), change: false, rule, path, told: path }
}

fn cases() -> Vec<Case> {
    let parts = json!({ "parts": [{ "what": "lid" }] });
    vec![
        case("plans something else", Rule::PlannedAsConfigured, ".name"),
        case("invents a note", Rule::NothingInvented, ".note"),
        Case { also: parts.clone(), ..case("plans fewer parts", Rule::PlannedElements, ".parts") },
        case("plans nothing", Rule::PlannedToExist, ""),
        Case {
            also: parts,
            change: true,
            // It shows its own form of the path.
            told: r#"{cty.GetAttrStep{Name:"parts"}, cty.IndexStep{Key:cty.NumberIntVal(7)}, cty.GetAttrStep{Name:"what"}}"#,
            ..case("replaces for nothing", Rule::ReplacePath, ".parts[7].what")
        },
        case("applies something else", Rule::AppliedAsPlanned, ".name"),
        case("leaves the id open", Rule::Known, ".id"),
        case("forgets the id", Rule::Promise, ".id"),
        case("loses the object", Rule::AppliedExistence, ""),
        Case { change: true, ..case("reads another shape", Rule::Shape, "") },
        // It names the object alone.
        Case { change: true, told: "", ..case("reads something unknown", Rule::Known, ".note") },
    ]
}

#[expect(clippy::disallowed_methods, reason = "this crate knows nothing of Kubesmith's own")]
fn harness(provider: &str) -> Harness {
    let mut harness = Harness::start(Command::new(provider_binary(provider))).unwrap();
    harness.configure(json!({})).unwrap();
    harness
}

fn config(case: &Case, name: &str) -> Value {
    let mut config = json!({ "name": name, "crime": case.crime });
    config.as_object_mut().unwrap().extend(case.also.as_object().unwrap().clone());
    config
}

/// As the harness sees it: a create, and then a change.
fn in_harness(harness: &mut Harness, case: &Case) -> Failure {
    let made = harness.apply("crooked_thing", config(case, "a"));
    match made {
        Err(failure) => failure,
        Ok(mut thing) => harness.update(&mut thing, config(case, "b")).unwrap_err(),
    }
}

/// As the real Terraform says it.
fn in_terraform(world: &World, case: &Case) -> String {
    let write = |name: &str| {
        let attributes = config(case, name);
        world.write_resource("crooked_thing", &attributes);
    };
    write("a");
    if case.change {
        world.apply();
        write("b");
    }
    world.apply_fails()
}

#[test]
fn the_harness_finds_what_terraform_finds() {
    let mut harness = harness("crooked");
    for case in cases() {
        let Some(world) = World::of("crooked") else { return };
        let failure = in_harness(&mut harness, &case);
        let [violation] = failure.violations() else { panic!("{}: {failure}", case.crime) };
        assert_eq!((violation.rule, violation.path.as_str()), (case.rule, case.path), "{failure}");

        let said = in_terraform(&world, &case).replace('\n', " ");
        let words = case.rule.words().unwrap();
        assert!(said.contains(words), "{}: {words} is not in: {said}", case.crime);
        let places =
            [" {}:", "crooked_thing.it{}", "cty.Path{}"].map(|form| form.replace("{}", case.told));
        let shown = places.iter().any(|place| said.contains(place.as_str()));
        assert!(shown, "{}: none of {places:?} is in: {said}", case.crime);
    }
}

#[test]
fn a_plan_that_depends_on_what_is_known_is_found_by_both() {
    let harness = harness("crooked");
    let config = json!({ "name": "a", "crime": "changes its mind", "note": "known later" });
    let failure = harness.unknowns("crooked_thing", config).run().unwrap_err();
    let [violation] = failure.violations() else { panic!("{failure}") };
    assert_eq!((violation.rule, violation.path.as_str()), (Rule::FinalPlan, ".mood"));
    // The smallest case: nothing else has to be unknown.
    assert!(violation.said.ends_with("[with note unknown]"), "{violation}");

    let Some(world) = World::of("crooked") else { return };
    world.write(
        r#"
        resource "terraform_data" "source" { input = "known later" }
        resource "crooked_thing" "it" {
          name  = "a"
          crime = "changes its mind"
          note  = terraform_data.source.output
        }
        "#,
    );
    let said = world.apply_fails().replace('\n', " ");
    assert!(said.contains(Rule::FinalPlan.words().unwrap()) && said.contains(".mood:"), "{said}");
}
