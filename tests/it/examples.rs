//! The examples and the module, as people copy them: they validate, are formatted, and plan.

use std::fs;

use crate::{
    hcl,
    world::{Needs, Workspace, World, command, root, terraform, world},
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
        let workspace = copied(&world, example, example);
        workspace.must(&["validate", "-no-color"]);
        let text = workspace.must(&["plan", "-no-color"]);
        assert!(text.contains(planned), "{example}:\n{text}");
    }
}

/// A course of thirty is many machines for a test: without `KUBESMITH_WHOLE_COURSE` only the first three people get a cluster.
#[test]
fn runnable_examples_are_applied_and_destroyed() {
    let Some(world) = world(Needs::Guests) else { return };
    let admin = world.workspace("admin", &hcl::pool());
    admin.apply();
    let whole = std::env::var_os("KUBESMITH_WHOLE_COURSE").is_some();
    let people = if whole { 30 } else { 3 };
    for (example, machines) in
        [("module", 3), ("plain-image", 2), ("tenants", 4), ("course", 2 * people)]
    {
        let mut workspace = copied(&world, example, example);
        match example {
            "plain-image" => {
                for mirror in ["package_mirror", "registry_mirror"] {
                    workspace.set_env(&format!("TF_VAR_{mirror}"), "http://10.40.19.254");
                }
            }
            "tenants" => {
                // An administrator's work, which `bootstrap` does.
                for tenant in ["databases", "networking"] {
                    world.proxmox("POST", "/pools", &[("poolid", tenant)]);
                }
            }
            "course" => {
                let roster = workspace.dir().join("roster.csv");
                let text = fs::read_to_string(&roster).expect("a roster");
                let lines: Vec<_> = text.lines().take(1 + people).collect();
                fs::write(&roster, lines.join("\n")).expect("a roster");
            }
            _ => {}
        }
        workspace.apply();
        assert_eq!(world.machines().len(), machines, "{example}");
        workspace.assert_no_changes();
        workspace.destroy();
        assert_eq!(world.machines(), [], "{example} left machines");
    }
    admin.destroy();
    world.assert_empty();
}

/// The minimal example, and the cluster that it made in a state that did not know it.
#[test]
fn the_minimal_example_is_applied_and_imported_by_the_other() {
    let Some(world) = world(Needs::Guests) else { return };
    let minimal = copied(&world, "minimal", "minimal");
    minimal.apply();
    minimal.assert_no_changes();
    let key = minimal.dir().join("demo.key");
    let cluster = minimal.attributes("kubesmith_cluster.demo");
    fs::write(&key, cluster["ssh_private_key"].as_str().expect("a key")).expect("a file");

    let mut import = copied(&world, "second", "import");
    import.set_env("KUBESMITH_OWNER", "minimal");
    import.set_env("KUBESMITH_IMPORT_SSH_KEY_FILE", key.to_str().expect("UTF-8"));
    let planned = import.must(&["plan", "-no-color"]);
    assert!(planned.contains("2 to import, 0 to add, 0 to change, 0 to destroy"), "{planned}");
    import.apply();
    import.assert_no_changes();
    import.destroy();
    minimal.destroy();
    world.assert_empty();
}

/// An example in a checkout of `owner`'s, with its modules.
fn copied<'w>(world: &'w World, owner: &str, example: &str) -> Workspace<'w> {
    copy(world, owner);
    let workspace = world.workspace(&format!("{owner}/examples/{example}"), "");
    // The example brings its own settings; only its text counts.
    fs::remove_file(workspace.dir().join("versions.tf")).expect("versions.tf");
    let text = fs::read_to_string(root().join("examples").join(example).join("main.tf"));
    workspace.write(&text.expect("the example"));
    workspace.must(&["get"]);
    workspace
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
    let checked = command(terraform())
        .args(["fmt", "-check", "-recursive", "-diff", "examples", "modules", "provider/docs"])
        .current_dir(root())
        .output();
    let Ok(output) = checked else {
        assert!(std::env::var_os("CI").is_none(), "terraform is not on PATH");
        return eprintln!("SKIPPED: terraform is not on PATH");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
