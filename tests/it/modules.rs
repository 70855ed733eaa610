//! The modules: their own `terraform test` files, with and without a datacentre, and the tables in their pages.

use std::{fmt::Write as _, fs, path::Path};

use hcl_edit::{
    expr::Expression,
    structure::{Block, Body},
};

use crate::world::{Needs, World, command, root, world};

const MODULES: [&str; 3] = ["cluster", "course", "pool"];

/// `terraform test` in one module, in a copy of all of them.
fn test(world: &World, module: &str, arguments: &[&str]) {
    if !world.folder().join("modules").exists() {
        let modules = root().join("modules");
        let copied = command("cp").arg("-r").arg(modules).arg(world.folder()).status();
        assert!(copied.expect("cp").success());
    }
    let workspace = world.workspace(&format!("modules/{module}"), "");
    // The module brings its own files.
    fs::remove_file(workspace.dir().join("main.tf")).expect("main.tf");
    let versions = Path::new(module).join("versions.tf");
    let modules = [root().join("modules"), world.folder().join("modules")];
    fs::copy(modules[0].join(&versions), modules[1].join(&versions)).expect("versions.tf");
    workspace.must(&[&["get", "-no-color"], arguments].concat());
    let text = workspace.must(&[&["test", "-no-color"], arguments].concat());
    assert!(text.contains("Success!") && !text.contains("Success! 0 passed"), "{text}");
}

#[test]
fn modules_pass_their_own_tests_without_a_datacentre() {
    let Some(world) = world(Needs::Terraform) else { return };
    for module in MODULES {
        test(&world, module, &["-test-directory=tests"]);
    }
}

#[test]
fn pool_and_course_pass_their_tests_in_the_lab() {
    let Some(world) = world(Needs::Terraform) else { return };
    for module in ["pool", "course"] {
        test(&world, module, &["-test-directory=tests/lab"]);
    }
    world.assert_empty();
}

#[test]
fn the_cluster_module_passes_its_tests_in_the_lab() {
    let Some(world) = world(Needs::Guests) else { return };
    test(&world, "cluster", &["-test-directory=tests/lab"]);
    world.assert_empty();
}

/// Generated, so that they cannot fall behind: `KUBESMITH_UPDATE=1 cargo test -p kubesmith-lab --test it tables` writes
/// them anew.
#[test]
fn tables_of_inputs_and_outputs_say_what_the_modules_have() {
    for module in MODULES {
        let folder = root().join("modules").join(module);
        let page = folder.join("README.md");
        let text = fs::read_to_string(&page).expect("README.md");
        let (before, rest) = text.split_once(BEGIN).unwrap_or_else(|| panic!("{module}: {BEGIN}"));
        let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{module}: {END}"));
        let generated = format!("{before}{BEGIN}\n{}{END}{after}", tables(&folder));
        if std::env::var_os("KUBESMITH_UPDATE").is_some() {
            fs::write(&page, generated).expect("README.md");
        } else {
            assert_eq!(text, generated, "the tables of modules/{module} are old");
        }
    }
}

const BEGIN: &str = "<!-- begin: inputs and outputs, generated from the module -->";
const END: &str = "<!-- end -->";

/// The tables of a module, required inputs first.
fn tables(folder: &Path) -> String {
    let mut text = "\n| input | type | default | what |\n|---|---|---|---|\n".to_owned();
    let variables = body(&folder.join("variables.tf"));
    let variables: Vec<&Block> = variables.get_blocks("variable").collect();
    let (required, optional): (Vec<&Block>, Vec<&Block>) =
        variables.iter().partition(|variable| value(variable, "default").is_none());
    for variable in required.into_iter().chain(optional) {
        let default = value(variable, "default");
        let default = default.map(|value| format!("`{}`", one_line(value))).unwrap_or_default();
        let kind = value(variable, "type").map(one_line).unwrap_or_default();
        let (name, what) = (label(variable), description(variable));
        writeln!(text, "| `{name}` | `{kind}` | {default} | {what} |").expect("a string");
    }
    text.push_str("\n| output | what |\n|---|---|\n");
    for output in body(&folder.join("outputs.tf")).get_blocks("output") {
        let sensitive = value(output, "sensitive").is_some();
        let what = description(output);
        let mark = if sensitive { " Sensitive." } else { "" };
        writeln!(text, "| `{}` | {what}{mark} |", label(output)).expect("a string");
    }
    text.push('\n');
    text
}

fn body(file: &Path) -> Body {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn value<'b>(block: &'b Block, attribute: &str) -> Option<&'b Expression> {
    block.body.get_attribute(attribute).map(|attribute| &attribute.value)
}

fn label(block: &Block) -> String {
    block.labels.first().expect("a name").as_str().to_owned()
}

fn description(block: &Block) -> String {
    let what = value(block, "description").and_then(Expression::as_str);
    what.unwrap_or_else(|| panic!("{} has no description", label(block))).to_owned()
}

/// An expression as it is written, without its line breaks.
fn one_line(expression: &Expression) -> String {
    let text = expression.to_string();
    let line = text.trim().lines().collect::<Vec<_>>().join(", ");
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    line.replace("{, ", "{ ").replace(", }", " }").replace('|', "\\|")
}
