//! What is said about the provider block and the way to Proxmox.

use serde_json::json;

use super::{plan, says};
use crate::{
    hcl,
    world::{Needs, world},
};

#[test]
fn what_is_missing_or_wrong_in_the_settings_is_said_with_the_place_to_set_it() {
    let Some(world) = world(Needs::Terraform) else { return };
    let lease = hcl::lease("demo", 2).replace("\"lab\"", "kubesmith_ip_pool.lab.name");
    let good = format!("{}{lease}", hcl::pool());
    let pem = |name: &str, body: &str| {
        let path = world.folder().join(name);
        let text = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        std::fs::write(&path, text).expect("write");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (damaged, no_certificate) = (pem("damaged.pem", "*"), pem("no-certificate.pem", "AAAA"));
    let other = "AB:".repeat(31) + "AB";
    let configure = "Unable to configure the provider";
    let reach = "Unable to reach Proxmox VE";
    let cases: [(&str, &str, &[&str]); 15] = [
        ("KUBESMITH_ENDPOINT", "", &[configure, "Set \"endpoint\"", "or KUBESMITH_ENDPOINT"]),
        ("KUBESMITH_ENDPOINT", "banana", &["KUBESMITH_ENDPOINT is set to \"banana\": "]),
        (
            "KUBESMITH_ENDPOINT",
            "http://pve",
            &[configure, "http://pve/ is not an https:// address"],
        ),
        (
            "KUBESMITH_ENDPOINT",
            "https://root:cheese@pve",
            &[reach, "The endpoint must not hold a user or a password"],
        ),
        (
            "KUBESMITH_ENDPOINT",
            "https://127.0.0.1:1",
            &[reach, "cannot reach https://127.0.0.1:1/: "],
        ),
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
        (
            "KUBESMITH_FINGERPRINT",
            &other,
            &[reach, "it has another fingerprint than the configured one"],
        ),
        ("KUBESMITH_CA_FILE", "", &[reach, "the server's certificate is not trusted: "]),
        ("KUBESMITH_CA_FILE", &damaged, &[reach, "The CA is not valid PEM: "]),
        ("KUBESMITH_CA_FILE", &no_certificate, &[reach, "The CA certificate is not valid: "]),
        ("KUBESMITH_CA_FILE", "/dev/null", &[reach, "The CA file holds no certificate"]),
        (
            "KUBESMITH_LEDGER_VMID",
            "some",
            &[configure, "KUBESMITH_LEDGER_VMID is set to \"some\": "],
        ),
        ("KUBESMITH_OWNER", "", &["Unable to act without an owner", "or KUBESMITH_OWNER"]),
    ];
    for (variable, value, parts) in cases {
        let mut workspace = world.workspace("course-1", &good);
        workspace.set_env(variable, value);
        let text = workspace.apply_fails();
        says(&text, parts);
        assert!(!text.contains("cheese"), "a password is shown:\n{text}");
    }

    let mut bare = world.workspace("course-1", &good);
    bare.set_env("KUBESMITH_CA_FILE", "");
    bare.set_env("SSL_CERT_FILE", "/dev/null");
    bare.set_env("SSL_CERT_DIR", "/nonexistent");
    says(&bare.apply_fails(), &[reach, "This machine has no certificate authorities"]);
}

#[test]
fn a_connection_that_breaks_and_a_time_that_ends_are_said_so() {
    let Some(world) = world(Needs::Terraform) else { return };
    let quick = hcl::pool().replace("first_vmid", "timeouts = { create = \"10s\" }\n  first_vmid");
    let workspace = world.workspace("admin", &quick);
    world.fault(&json!({
        "kind": "drop_reply", "method": "GET", "path_regex": "/version$", "times": 1000,
    }));
    says(&plan(&workspace), &["Unable to reach Proxmox VE", "no answer from https://"]);
    world.heal();

    world.fault(&json!({"kind": "slow_task", "type": "qmcreate", "seconds": 30}));
    let text = workspace.apply_fails();
    says(&text, &["Unable to create the address ledger", "the time for it is over after "]);
    says(&text, &["last seen: ", "allow more time by \"timeouts\""]);
}
