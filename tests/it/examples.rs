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

/// What the guides tell people to write is valid, and what they tell them to run exists.
#[test]
fn the_guides_validate() {
    let Some(world) = world(Needs::Terraform) else { return };
    let subcommands = world.workspace("help", "").provider(&["--help"]);
    let guides = fs::read_dir(root().join("provider/docs/guides")).expect("guides").flatten();
    let mut seen = 0;
    for guide in guides.map(|entry| entry.path()) {
        let text = fs::read_to_string(&guide).expect("a guide");
        let name = guide.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let workspace = world.workspace(&format!("guide-{name}"), "");
        let mut hcl = fences(&text, "terraform").concat();
        let brings_its_own = hcl.contains("required_providers");
        if brings_its_own {
            fs::remove_file(workspace.dir().join("versions.tf")).expect("versions.tf");
        }
        if hcl.contains("version = \"~>") {
            // A pinned version cannot be met by a provider that was just built.
            hcl = hcl.replace("version = \"~> 0.1\"", "");
        }
        workspace.write(&hcl);
        workspace.must(&["validate", "-no-color"]);
        for line in fences(&text, "sh").concat().lines() {
            let Some(task) = line.strip_prefix("terraform-provider-kubesmith ") else { continue };
            let task = task.split_whitespace().next().expect("a task");
            assert!(subcommands.contains(task), "{name}: {task} is not a task of the provider");
        }
        seen += 1;
    }
    assert!(seen >= 6, "{seen} guides");
}

/// The fenced blocks of a language in a page.
fn fences(text: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}\n");
    let blocks = text.split(&open).skip(1);
    blocks.map(|rest| rest.split("```").next().expect("a block").to_owned()).collect()
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
