//! Every message that a user can meet: that the list of them is whole, and what produces each.
//!
//! No guests are needed: most of it is said before a machine boots.

mod administrators;
mod cluster;
mod code;
mod ledger;
mod list;
mod lookups;
mod provider;

use std::path::Path;

use serde_json::json;

use crate::world::{Workspace, World, command, one_line};

/// The text says all of this.
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not said:\n{text}");
    }
}

/// A plan, whether it comes off or not.
fn plan(workspace: &Workspace<'_>) -> String {
    one_line(&workspace.terraform(&["plan", "-no-color"]).1)
}

/// A command that must fail.
fn fails(workspace: &Workspace<'_>, arguments: &[&str]) -> String {
    let (ok, text) = workspace.terraform(arguments);
    assert!(!ok, "{arguments:?} should have failed:\n{text}");
    one_line(&text)
}

/// A destroy that must fail.
fn destroy_fails(workspace: &Workspace<'_>) -> String {
    fails(workspace, &["destroy", "-auto-approve", "-no-color"])
}

/// From now on Proxmox refuses these requests, with words that nobody else uses.
fn refused(world: &World, method: &str, path_regex: &str) {
    world.fault(&json!({
        "kind": "http_500", "method": method, "path_regex": path_regex, "times": 1000,
        "message": "out of cheese",
    }));
}

/// A new SSH key pair in this file, and beside it.
fn ssh_key(file: &Path) {
    let mut keygen = command("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(file);
    assert!(keygen.status().expect("ssh-keygen").success());
}
