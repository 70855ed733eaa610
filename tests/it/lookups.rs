//! Data sources, and the credential that no state ever holds.

use std::fs;

use serde_json::json;

use crate::{
    hcl,
    world::{Needs, one_line, world},
};

const LOOKUPS: &str = r#"
data "kubesmith_ip_pool" "lab" { name = "lab" }
data "kubesmith_ip_pools" "all" {}
data "kubesmith_templates" "all" {}
data "kubesmith_templates" "one" { name = "ubuntu-24.04-k8s-1.36" }
"#;

#[test]
fn pools_and_templates_are_looked_up() {
    let Some(world) = world(Needs::Terraform) else { return };
    let admin = world.workspace("admin", &hcl::pool());
    admin.apply();
    let course = world.workspace("course-1", &hcl::lease("demo", 6));
    course.apply();
    let reader = world.workspace("reader", LOOKUPS);
    reader.apply();

    let pool = reader.attributes("data.kubesmith_ip_pool.lab");
    assert_eq!((&pool["first"], &pool["first_vmid"]), (&json!("10.40.19.201"), &json!(19201)));
    // 53 addresses without the six of the lease.
    assert_eq!((&pool["free"], &pool["longest_free_run"]), (&json!(47), &json!(47)));
    let lease = json!([{
        "name": "demo", "owner": "course-1", "complete": true,
        "first": "10.40.19.201", "last": "10.40.19.206",
    }]);
    assert_eq!(pool["leases"], lease);
    let pools = reader.attributes("data.kubesmith_ip_pools.all");
    assert_eq!(
        (&pools["pools"][0]["name"], &pools["pools"][0]["free"]),
        (&json!("lab"), &json!(47))
    );

    let names = |address: &str| -> Vec<String> {
        let found = reader.attributes(address)["templates"].as_array().cloned().unwrap_or_default();
        found.iter().filter_map(|one| one["name"].as_str().map(str::to_owned)).collect()
    };
    let all = names("data.kubesmith_templates.all");
    assert!(all.iter().any(|name| name == "debian-13-plain"), "{all:?}");
    let one = names("data.kubesmith_templates.one");
    assert!(!one.is_empty() && one.len() < all.len(), "{one:?}");

    reader.write("data \"kubesmith_ip_pool\" \"none\" { name = \"nowhere\" }");
    let refused = reader.apply_fails();
    assert!(refused.contains("There is no address pool nowhere"), "{refused}");
    reader.write("data \"kubesmith_cluster\" \"none\" { name = \"nowhere\" }");
    let refused = reader.apply_fails();
    assert!(refused.contains("There is no cluster nowhere"), "{refused}");
    course.destroy();
    admin.destroy();
    world.assert_empty();
}

#[test]
fn a_credential_opens_the_cluster_and_is_stored_nowhere() {
    let Some(world) = world(Needs::Guests) else { return };
    let cluster = hcl::all(0);
    let one = world.workspace("course-1", &cluster);
    one.apply();
    let credential = r#"
ephemeral "kubesmith_kubeconfig" "demo" {
  endpoint        = kubesmith_cluster.demo.endpoint
  ssh_private_key = kubesmith_cluster.demo.ssh_private_key
  known_hosts     = kubesmith_cluster.demo.known_hosts
  validity        = "5m"
}

data "kubesmith_cluster" "demo" {
  name = kubesmith_cluster.demo.name
}

resource "terraform_data" "use" {
  provisioner "local-exec" {
    command = "umask 077; printf %s \"$CONFIG\" > used; kubectl --kubeconfig used get nodes --no-headers > nodes"
    environment = {
      CONFIG = ephemeral.kubesmith_kubeconfig.demo.kubeconfig
    }
  }
}
"#;
    one.write(&format!("{cluster}{credential}"));
    one.apply();
    let nodes = fs::read_to_string(one.dir().join("nodes")).expect("kubectl's answer");
    assert!(nodes.contains("demo-cp-1") && nodes.contains(" Ready "), "{nodes}");

    let used = fs::read_to_string(one.dir().join("used")).expect("the kubeconfig");
    let used: serde_json::Value = serde_json::from_str(&used).expect("JSON");
    assert_eq!(used["users"][0]["name"], "terraform");
    let key = used["users"][0]["user"]["client-key-data"].as_str().expect("a key");
    let state = fs::read_to_string(one.dir().join("terraform.tfstate")).expect("a state");
    assert!(!state.contains(key), "the key is in the state");

    let found = one.attributes("data.kubesmith_cluster.demo");
    let made = one.attributes("kubesmith_cluster.demo");
    assert_eq!((&found["owner"], &found["endpoint"]), (&json!("course-1"), &made["endpoint"]));
    assert_eq!(found["kubernetes_version"], made["kubernetes_version"]);
    assert_eq!(found["nodes"][0]["address"], made["nodes"][0]["address"]);
    assert_eq!(found["nodes"][0]["finished"], true);

    // A machine whose host key is not known is not entered.
    let stranger = credential.replace("kubesmith_cluster.demo.known_hosts", "\"\"");
    one.write(&format!("{cluster}{stranger}"));
    let refused = one_line(&one.apply_fails());
    assert!(refused.contains("host key is not known"), "{refused}");
    one.write(&cluster);
    one.destroy();
    world.assert_empty();
}
