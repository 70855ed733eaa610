//! What is said about the provider block.

use super::says;
use crate::{
    hcl,
    world::{Needs, world},
};

#[test]
fn what_is_missing_or_wrong_in_the_settings_is_said_with_both_places_to_set_it() {
    let Some(world) = world(Needs::Terraform) else { return };
    let lease = hcl::lease("demo", 2).replace("\"lab\"", "kubesmith_ip_pool.lab.name");
    let good = format!("{}{lease}", hcl::pool());
    let configure = "Unable to configure the provider";
    let cases: [(&str, &str, &[&str]); 6] = [
        ("KUBESMITH_ENDPOINT", "", &[configure, "Set \"endpoint\"", "or KUBESMITH_ENDPOINT"]),
        ("KUBESMITH_API_TOKEN", "", &[configure, "Set \"api_token\"", "or KUBESMITH_API_TOKEN"]),
        (
            "KUBESMITH_API_TOKEN",
            "banana",
            &[configure, "the API token must look like user@realm!name=secret"],
        ),
        (
            "KUBESMITH_FINGERPRINT",
            "12:34",
            &[configure, "`12:34` is no SHA-256 fingerprint (64 hex digits, colons allowed)"],
        ),
        ("KUBESMITH_ENDPOINT", "https://127.0.0.1:1", &["Unable to reach Proxmox VE", "is up"]),
        ("KUBESMITH_OWNER", "", &["Unable to act without an owner", "or KUBESMITH_OWNER"]),
    ];
    for (variable, value, parts) in cases {
        let mut workspace = world.workspace("course-1", &good);
        workspace.set_env(variable, value);
        says(&workspace.apply_fails(), parts);
    }
}
