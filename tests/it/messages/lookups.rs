//! What is said by data sources and by credentials.

use super::{plan, refused, says, ssh_key};
use crate::{
    hcl,
    world::{Needs, one_line, world},
};

#[test]
fn what_is_looked_up_in_vain_is_said_so() {
    let Some(world) = world(Needs::Terraform) else { return };
    world.workspace("admin", &hcl::pool()).apply();
    let cluster = "data \"kubesmith_cluster\" \"it\" {\n  name = \"nope\"\n}\n";
    let templates = "data \"kubesmith_templates\" \"all\" {}\n";
    let workspace = world.workspace("course-1", cluster);
    says(&plan(&workspace), &["There is no cluster nope", "Check the name"]);
    refused(&world, "GET", "/cluster/resources");
    says(&plan(&workspace), &["Unable to look up cluster nope", "out of cheese"]);
    workspace.write(templates);
    says(&plan(&workspace), &["Unable to list the templates", "out of cheese"]);
}

#[test]
fn two_clusters_of_one_name_are_not_taken_for_one() {
    let Some(world) = world(Needs::Terraform) else { return };
    world.workspace("admin", &hcl::pool()).apply();
    for (vmid, owner) in [("19201", "ada"), ("19202", "bob")] {
        let stamp = format!(
            "kubesmith:v1 cluster=twin node=twin-cp-1 role=control-plane owner={owner} lease=lab/twin \
             x=00000000000000ff nonce=0badcafe made=1"
        );
        let made = [("vmid", vmid), ("tags", "kubesmith"), ("description", &stamp)];
        let upid = world.proxmox("POST", "/nodes/pve1/qemu", &made);
        world.wait_for_task("pve1", upid.as_str().expect("a UPID"));
    }
    let hcl = "data \"kubesmith_cluster\" \"it\" {\n  name = \"twin\"\n}\n";
    let workspace = world.workspace("course-1", hcl);
    let text = plan(&workspace);
    says(&text, &["There are several clusters twin", "Owners ada and bob have one of that name"]);
}

#[test]
fn a_credential_that_is_not_to_be_had_is_said_so() {
    let Some(world) = world(Needs::Terraform) else { return };
    let key = world.folder().join("key");
    ssh_key(&key);
    let public = std::fs::read_to_string(key.with_extension("pub")).expect("a public key");
    let host_key = public.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let key = format!("file({:?})", key.to_str().expect("UTF-8"));

    let credential = |endpoint: &str, key: &str, host: &str, more: &str| {
        format!(
            "ephemeral \"kubesmith_kubeconfig\" \"it\" {{\n  endpoint = \"{endpoint}\"\n  ssh_private_key = {key}\n  \
             known_hosts = \"{host} {host_key}\"\n  {more}\n}}\n"
        )
    };
    let (here, there) = ("127.0.0.2", "127.0.0.9");
    let url = |host: &str| format!("https://{host}:6443");
    let cases: [(&str, &str, &str, &str, &[&str]); 8] = [
        (
            &url(here),
            &key,
            here,
            "",
            &["Unable to get a credential from 127.0.0.2", "kubesmith must be its account"],
        ),
        (
            &url("api.example.edu"),
            &key,
            here,
            "",
            &["Which machine is the control plane?", "Set control_plane"],
        ),
        (&url(here), &key, there, "", &["The control plane's host key is not known"]),
        (
            &url(here),
            "\"x\"",
            here,
            "",
            &["The private key cannot be used", "Ed25519 private key in OpenSSH format"],
        ),
        ("http://127.0.0.2", &key, here, "", &["is not an https:// address"]),
        (
            &url(here),
            &key,
            here,
            "validity = \"48h\"",
            &["It must be from 1m to 24h: this is no credential to keep"],
        ),
        (&url(here), &key, here, "groups = []", &["Without a group it could do nothing"]),
        (
            &url(here),
            &key,
            here,
            "client_name = \"-x\"",
            &["is not possible: 1 to 64 letters, digits"],
        ),
    ];
    let workspace = world.workspace("course-1", "");
    for (endpoint, key, host, more, parts) in cases {
        workspace.write(&credential(endpoint, key, host, more));
        says(&plan(&workspace), parts);
    }

    // Somebody cleans up temporary files meanwhile.
    let (endpoint, key, host, more, _) = cases[0];
    workspace.write(&credential(endpoint, key, host, more));
    world.hold("GET", "/version$");
    let running = workspace.start(&["plan", "-no-color"]);
    world.wait_for_held_request();
    std::fs::remove_dir_all(workspace.dir().join("tmp")).expect("remove");
    world.heal();
    let (ok, text) = running.finish();
    assert!(!ok, "{text}");
    says(&one_line(&text), &["The files for ssh could not be written: "]);
}
