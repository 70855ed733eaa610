//! The examples and the module, as people copy them: they validate, are formatted, and plan.

use std::fs;

use crate::{
    hcl,
    world::{Needs, World, command, root, world},
};

#[test]
fn every_example_validates_and_plans() {
    let Some(world) = world(Needs::Terraform) else { return };
    world.workspace("admin", &hcl::pool()).apply();
    // Two need more than a datacentre: `import` a cluster, `remote-state` a database (remote_state.rs).
    let cases = [
        ("minimal", "3 to add"),
        ("module", "2 to add"),
        ("course", "60 to add"),
        ("tenants", "6 to add"),
        ("plain-image", "2 to add"),
    ];
    for (example, planned) in cases {
        copy(&world, example);
        let workspace = world.workspace(&format!("{example}/examples/{example}"), "");
        // The example brings its own settings; only its text counts.
        fs::remove_file(workspace.dir().join("versions.tf")).expect("versions.tf");
        let text = fs::read_to_string(root().join("examples").join(example).join("main.tf"));
        workspace.write(&text.expect("the example"));
        workspace.must(&["get"]);
        workspace.must(&["validate", "-no-color"]);
        let text = workspace.must(&["plan", "-no-color"]);
        assert!(text.contains(planned), "{example}:\n{text}");
    }
}

/// The example beside the modules, as in a checkout.
fn copy(world: &World, example: &str) {
    let target = world.folder().join(example);
    fs::create_dir_all(&target).expect("a folder");
    for folder in ["examples", "modules"] {
        let copied = command("cp").arg("-r").arg(root().join(folder)).arg(&target).status();
        assert!(copied.expect("cp").success());
    }
}

/// The examples of the registry's pages refer to each other, so they are one configuration.
#[test]
fn the_examples_of_the_registry_s_pages_validate() {
    let Some(world) = world(Needs::Terraform) else { return };
    let folder = root().join("provider/docs/examples");
    let mut hcl = String::new();
    for kind in ["provider", "resources/*", "data-sources/*", "ephemeral-resources/*"] {
        let listed =
            command("sh").args(["-c", &format!("ls {kind}/*.tf")]).current_dir(&folder).output();
        let listed = String::from_utf8(listed.expect("ls").stdout).expect("UTF-8");
        for file in listed.lines() {
            let text = fs::read_to_string(folder.join(file)).expect("an example");
            // Another provider's block shows what a value is for; that provider is not here.
            hcl += text.split("\nprovider \"kubernetes\"").next().expect("a part");
        }
    }
    let workspace = world.workspace("pages", &hcl);
    fs::remove_file(workspace.dir().join("versions.tf")).expect("versions.tf");
    workspace.must(&["validate", "-no-color"]);
}

#[test]
fn hcl_is_formatted() {
    let checked = command("terraform")
        .args(["fmt", "-check", "-recursive", "-diff", "examples", "modules", "provider/docs"])
        .current_dir(root())
        .output();
    let Ok(output) = checked else {
        assert!(std::env::var_os("CI").is_none(), "terraform is not on PATH");
        return eprintln!("SKIPPED: terraform is not on PATH");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
