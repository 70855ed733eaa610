//! Rules of the house that no compiler holds: who imports whom, how long a file is, what PURE means.

use std::{fs, path::PathBuf};

use crate::world::{command, root};

/// The files of the repository with this ending: path and text.
pub(crate) fn tracked(ending: &str) -> Vec<(String, String)> {
    let output = command("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let list = String::from_utf8(output.expect("git").stdout).expect("UTF-8");
    list.lines()
        .filter(|path| path.ends_with(ending))
        .filter_map(|path| Some((path.to_owned(), fs::read_to_string(root().join(path)).ok()?)))
        .collect()
}

#[test]
fn no_rust_file_is_longer_than_600_lines() {
    let long: Vec<_> = tracked(".rs")
        .into_iter()
        .filter(|(_, text)| text.lines().count() > 600)
        .map(|(path, _)| path)
        .collect();
    assert_eq!(long, Vec::<String>::new(), "split them by idea");
}

#[test]
fn leaves_do_not_know_each_other_and_the_lab_knows_none_of_the_products() {
    let allowed: &[(&str, &[&str])] = &[
        ("provider/spec/Cargo.toml", &[]),
        ("provider/process/Cargo.toml", &[]),
        ("provider/proxmox/Cargo.toml", &[]),
        // Itself, for its own tests with the harness.
        ("provider/tfplugin/Cargo.toml", &["kubesmith-tfplugin", "kubesmith-tfplugin-derive"]),
        ("provider/release/Cargo.toml", &["kubesmith-process"]),
        ("provider/tfplugin/derive/Cargo.toml", &[]),
        (
            "provider/Cargo.toml",
            &["kubesmith-process", "kubesmith-proxmox", "kubesmith-spec", "kubesmith-tfplugin"],
        ),
        // What exists is Terraform's to say: the portal knows none of the provider.
        ("portal/Cargo.toml", &["kubesmith-process", "kubesmith-spec"]),
        // The integration tests may read the spec's types, and let the framework's harness play
        // Terraform; the lab itself may not.
        ("tests/Cargo.toml", &["kubesmith-spec", "kubesmith-tfplugin"]),
        // Hostile bytes for every parser.
        ("tests/fuzz/Cargo.toml", &["kubesmith-proxmox", "kubesmith-spec", "kubesmith-tfplugin"]),
    ];
    for (path, text) in tracked("Cargo.toml") {
        let Some((_, allowed)) = allowed.iter().find(|(known, _)| *known == path) else {
            assert_eq!(path, "Cargo.toml", "a new package: say here what it may import");
            continue;
        };
        let imports = text
            .lines()
            .filter(|line| line.starts_with("kubesmith-"))
            .filter_map(|line| line.split(['.', ' ']).next());
        for import in imports {
            assert!(allowed.contains(&import), "{path} must not import {import}");
        }
        assert!(text.contains("[lints]\nworkspace = true"), "{path} does not inherit the lints");
    }
    let lab = tracked(".rs").into_iter().filter(|(path, _)| path.starts_with("tests/lab/"));
    for (path, text) in lab {
        let other = text.replace("kubesmith_lab", "").contains("use kubesmith_");
        assert!(!other, "{path}: the lab's reading is independent");
    }
}

#[test]
fn pure_files_do_no_io() {
    let effects = [
        "tokio",
        "reqwest",
        "std::fs",
        "std::process",
        "std::net::Tcp",
        "kubesmith_process",
        "std::env",
    ];
    for (path, text) in tracked(".rs") {
        let header = text.lines().take_while(|line| line.starts_with("//!")).collect::<String>();
        if !header.contains("PURE") || path.ends_with("tidy.rs") {
            continue;
        }
        for effect in effects {
            let code = text
                .lines()
                .find(|line| line.contains(effect) && !line.trim_start().starts_with("//"));
            assert!(code.is_none(), "{path} is marked PURE but has: {}", code.unwrap_or_default());
        }
    }
}

#[test]
fn nothing_is_left_open_and_the_project_speaks_of_itself_alone() {
    // Spelled apart, so that this file does not find itself.
    let words = [
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("todo", "!("),
        concat!("unimpl", "emented!("),
        concat!("/wor", "k/"),
        concat!("sha", "red/facts"),
    ];
    let files: Vec<_> = [".rs", ".md", ".toml", ".yml", ".tf", ".py", ".sh", ".j2"]
        .iter()
        .flat_map(|ending| tracked(ending))
        .collect();
    let found: Vec<_> = files
        .iter()
        .flat_map(|(path, text)| {
            words
                .iter()
                .filter(|word| text.contains(**word))
                .map(move |word| format!("{path}: {word}"))
        })
        .collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_ansible_role_and_module_is_documented() {
    for role in ["common", "control_plane", "worker", "probe", "image"] {
        let specs: PathBuf =
            root().join("ansible/roles").join(role).join("meta/argument_specs.yml");
        assert!(specs.is_file(), "{} is missing", specs.display());
    }
    assert!(root().join("modules/cluster/README.md").is_file());
}
