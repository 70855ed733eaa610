//! Several addresses of one cluster, and what the finest log tells of the token: nothing.

use std::fs;

use crate::{
    hcl,
    world::{Needs, text, world},
};

#[test]
fn a_dead_node_is_passed_over_and_no_log_tells_the_secret() {
    let Some(world) = world(Needs::Terraform) else { return };
    let admin = world.workspace("admin", &hcl::pool());
    let dead = "127.0.0.1:1";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("terraform.log");
    let endpoints = format!("https://{dead}, {}", world.about("url"));
    let output = admin
        .command(&["apply", "-no-color", "-auto-approve", "-input=false"])
        .env("KUBESMITH_ENDPOINT", endpoints)
        .env("TF_LOG", "TRACE")
        .env("TF_LOG_PATH", &log)
        .output()
        .expect("terraform");
    let shown = text(&output);
    assert!(output.status.success(), "{shown}");

    let logged = fs::read_to_string(&log).expect("the log");
    let (_, secret) = world.about("token").split_once('=').expect("a secret");
    assert!(logged.contains("/firewall/ipset"), "requests are in the finest log");
    assert!(!logged.contains(secret) && !shown.contains(secret), "the secret is told");
}
