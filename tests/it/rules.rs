//! Terraform's own rules, over every resource: the framework's harness plays Terraform against the real
//! program, and marks any part of a configuration as not known yet.

use kubesmith_tfplugin::testing::{Action, Harness};
use serde_json::{Value, json};

use crate::{
    hcl,
    world::{Needs, Workspace, World, world},
};

/// Terraform for the provider, as this workspace has set it up.
fn harness(workspace: &Workspace<'_>) -> Harness {
    let mut harness = Harness::start(workspace.program()).expect("the provider starts");
    harness.configure(json!({})).expect("it reaches Proxmox");
    harness
}

fn workspace<'a>(world: &'a World, owner: &str) -> Workspace<'a> {
    world.workspace(owner, hcl::VERSIONS)
}

fn pool() -> Value {
    json!({
        "name": "lab", "first": "10.40.19.201", "last": "10.40.19.253", "prefix_length": 24,
        "gateway": "10.40.19.254", "nameservers": ["10.40.2.1"], "first_vmid": 19201,
        "excluded": ["10.40.19.210", "10.40.19.220-10.40.19.222"], "timeouts": { "create": "2m" },
    })
}

fn lease() -> Value {
    json!({ "name": "demo", "pool": "lab", "size": 6, "timeouts": { "delete": "2m" } })
}

/// A cluster on a lease, with every attribute that fits together.
fn cluster(lease: &Value, workers: u32) -> Value {
    let lease: Value = [
        "name",
        "pool",
        "transaction",
        "addresses",
        "prefix_length",
        "gateway",
        "nameservers",
        "first_vmid",
    ]
    .into_iter()
    .map(|name| (name.to_owned(), lease[name].clone()))
    .collect::<serde_json::Map<_, _>>()
    .into();
    json!({
        "name": "demo", "leases": [lease], "template": "ubuntu-24.04-k8s-1.36",
        "kubernetes_version": "1.36.4", "network": { "bridge": "vmbr0", "vlan": 119 },
        "control_plane": { "cores": 2, "memory_mib": 4096, "disk_gib": 20 },
        "workers": { "count": workers, "cores": 2, "memory_mib": 4096, "disk_gib": 20 },
    })
}

/// The state of a cluster that was made like this, as a state file has it.
fn made(config: &Value) -> Value {
    let mut state = config.clone();
    let computed = json!({
        "id": "demo", "clone": "linked", "pod_cidr": "10.244.0.0/16", "service_cidr": "10.96.0.0/16",
        "ssh_user": "kubesmith", "endpoint": "https://10.40.19.201:6443", "kubeconfig": "a kubeconfig",
        "ssh_private_key": "a private key", "known_hosts": "10.40.19.201 ssh-ed25519 AAAA",
        "nodes": [{
            "name": "demo-cp-1", "role": "control-plane", "address": "10.40.19.201", "vmid": 19201,
            "proxmox_node": "pve1",
        }],
    });
    let state_object = state.as_object_mut().expect("an object");
    state_object.extend(computed.as_object().expect("an object").clone());
    state
}

#[test]
fn every_resource_obeys_terraforms_rules_whatever_is_not_known_yet() {
    let Some(world) = world(Needs::Terraform) else { return };
    let workspace = workspace(&world, "rules");
    let mut terraform = harness(&workspace);
    let types: Vec<_> = terraform.resource_types().map(str::to_owned).collect();
    // A new resource: say below how it lives.
    assert_eq!(types, ["kubesmith_cluster", "kubesmith_ip_lease", "kubesmith_ip_pool"]);

    // Nothing exists, and not even the provider block is known.
    terraform.configure_unknown().expect("a plan needs no Proxmox");
    let leased = json!({
        "name": "demo", "pool": "lab", "transaction": "00000000000000ff",
        "addresses": ["10.40.19.201", "10.40.19.202", "10.40.19.203"], "prefix_length": 24,
        "gateway": "10.40.19.254", "nameservers": ["10.40.2.1"], "first_vmid": 19201,
    });
    let all = [
        ("kubesmith_ip_pool", pool()),
        ("kubesmith_ip_lease", lease()),
        ("kubesmith_cluster", cluster(&leased, 2)),
    ];
    for (kind, config) in &all {
        let tried = terraform.unknowns(kind, config.clone()).run().expect(kind);
        assert!(tried.planned > 20 && tried.unknown > 50, "{kind}: {tried:?}");
    }

    terraform.configure(json!({})).expect("it reaches Proxmox");
    for (kind, config) in &all {
        let tried = terraform.unknowns(kind, config.clone()).cases(50).run().expect(kind);
        assert!(tried.planned > 10, "{kind}: {tried:?}");
    }

    // The pool, and changes of it.
    let tried = terraform.unknowns("kubesmith_ip_pool", pool()).cases(10).applied().run();
    assert!(tried.expect("pools come and go").applied > 0);
    let mut made_pool = terraform.apply("kubesmith_ip_pool", pool()).expect("a pool");
    let mut smaller = pool();
    smaller["last"] = "10.40.19.240".into();
    let done = terraform.update(&mut made_pool, smaller.clone()).expect("a smaller pool");
    assert_eq!(done, Action::Update);
    let tried = terraform.unknowns("kubesmith_ip_pool", smaller).cases(50).over(&made_pool).run();
    assert!(tried.expect("changes of a pool").planned > 10);
    terraform.import(&made_pool, "lab", &["timeouts"]).expect("a pool is imported by its name");

    // A lease.
    let tried = terraform.unknowns("kubesmith_ip_lease", lease()).cases(10).applied().run();
    assert!(tried.expect("leases come and go").applied > 0);
    let mut made_lease = terraform.apply("kubesmith_ip_lease", lease()).expect("a lease");
    terraform
        .import(&made_lease, "lab/demo", &["timeouts"])
        .expect("a lease is imported by its id");
    let tried = terraform.unknowns("kubesmith_ip_lease", lease()).cases(50).over(&made_lease).run();
    assert!(tried.expect("changes of a lease").planned > 10);
    let mut larger = lease();
    larger["size"] = 8.into();
    let done = terraform.update(&mut made_lease, larger).expect("a larger lease");
    assert_eq!(done, Action::Replace);

    // Changes of a cluster: planned only, there are no guests here.
    let config = cluster(&made_lease.state(), 1);
    let state = made(&config);
    let made_cluster = terraform.stored("kubesmith_cluster", 0, state).expect("a state");
    let tried = terraform.unknowns("kubesmith_cluster", config).over(&made_cluster).run();
    assert!(tried.expect("changes of a cluster").planned > 20);

    terraform.destroy(made_lease).expect("the lease is released");
    terraform.destroy(made_pool).expect("the pool goes");
    drop(terraform);
    world.assert_empty();
}

#[test]
fn a_cluster_obeys_terraforms_rules_from_create_to_destroy() {
    let Some(world) = world(Needs::Guests) else { return };
    let workspace = workspace(&world, "rules");
    let mut terraform = harness(&workspace);
    let pool = terraform.apply("kubesmith_ip_pool", pool()).expect("a pool");
    let lease = terraform.apply("kubesmith_ip_lease", lease()).expect("a lease");
    let config = |workers| cluster(&lease.state(), workers);
    let mut cluster = terraform.apply("kubesmith_cluster", config(0)).expect("a cluster");
    assert_eq!(cluster.state()["nodes"].as_array().map(Vec::len), Some(1));
    let tried = terraform.unknowns("kubesmith_cluster", config(1)).cases(20).over(&cluster).run();
    assert!(tried.expect("changes of a cluster").planned > 0);
    let done = terraform.update(&mut cluster, config(1)).expect("one more worker");
    assert_eq!(done, Action::Update);
    assert_eq!(cluster.state()["nodes"].as_array().map(Vec::len), Some(2));
    terraform.destroy(cluster).expect("the cluster goes");
    terraform.destroy(lease).expect("the lease is released");
    terraform.destroy(pool).expect("the pool goes");
    drop(terraform);
    world.assert_empty();
}
