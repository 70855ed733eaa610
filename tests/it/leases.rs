//! Pools and leases: the ledger, its races and what it refuses. No guests are needed.

use std::{collections::BTreeSet, net::Ipv4Addr, thread};

use crate::{
    hcl,
    world::{Needs, World, one_line, text, world},
};

/// The addresses that a workspace's lease holds.
fn addresses(attributes: &serde_json::Value) -> Vec<Ipv4Addr> {
    let list = attributes["addresses"].as_array().expect("addresses");
    list.iter()
        .map(|address| address.as_str().expect("text").parse().expect("an address"))
        .collect()
}

/// Rows of the pool's set in the ledger.
fn rows(world: &World) -> Vec<serde_json::Value> {
    world
        .proxmox("GET", "/nodes/pve1/qemu/9990/firewall/ipset/lab", &[])
        .as_array()
        .expect("rows")
        .clone()
}

#[test]
fn a_pool_and_a_lease_live_in_different_states() {
    let Some(world) = world(Needs::Terraform) else { return };
    let admin = world.workspace("admin", &hcl::pool());
    admin.apply();
    admin.assert_no_changes();
    let course = world.workspace("course-1", &hcl::lease("demo", 6));
    course.apply();
    course.assert_no_changes();
    let lease = course.attributes("kubesmith_ip_lease.demo");
    assert_eq!(lease["addresses"][0], "10.40.19.201");
    assert_eq!(lease["addresses"][5], "10.40.19.206");
    assert_eq!(lease["first_vmid"], 19201);

    // Somebody removes a row by hand: the plan shows it, apply puts exactly that row back.
    let row = &rows(&world)[2];
    let path = format!(
        "/nodes/pve1/qemu/9990/firewall/ipset/lab/{}",
        row["cidr"].as_str().expect("a cidr")
    );
    world.proxmox("DELETE", &path, &[]);
    let (_, planned) = course.terraform(&["plan", "-no-color"]);
    assert!(!planned.contains("No changes."), "the plan hides a missing row:\n{planned}");
    course.apply();
    course.assert_no_changes();
    assert_eq!(rows(&world).len(), 6);

    // The lease is imported by its id, the pool by its name.
    course.must(&["state", "rm", "kubesmith_ip_lease.demo"]);
    course.must(&["import", "-no-color", "kubesmith_ip_lease.demo", "lab/demo"]);
    course.assert_no_changes();
    admin.must(&["state", "rm", "kubesmith_ip_pool.lab"]);
    admin.must(&["import", "-no-color", "kubesmith_ip_pool.lab", "lab"]);
    admin.assert_no_changes();

    // A pool with leases stays.
    let (ok, refused) = admin.terraform(&["destroy", "-auto-approve", "-no-color"]);
    assert!(
        !ok && one_line(&refused).contains("demo"),
        "the lease in the way is not named:\n{refused}"
    );
    course.destroy();
    admin.destroy();
    world.assert_empty();
}

#[test]
fn eight_terraforms_of_two_providers_race_for_one_pool_and_get_disjoint_contiguous_blocks() {
    let Some(world) = world(Needs::Terraform) else { return };
    world.workspace("admin", &hcl::pool()).apply();
    let two = r#"
provider "kubesmith" {
  alias = "second"
}
"#;
    let workspaces: Vec<_> = (0..8)
        .map(|index| {
            let mut hcl = hcl::lease(&format!("r{index}"), 5);
            if index % 2 == 1 {
                hcl = format!(
                    "{two}{}",
                    hcl.replace("size = 5", "size = 5\n  provider = kubesmith.second")
                );
            }
            world.workspace(&format!("racer-{index}"), &hcl)
        })
        .collect();
    let outputs: Vec<_> = thread::scope(|scope| {
        let racers: Vec<_> = workspaces
            .iter()
            .map(|workspace| {
                scope.spawn(|| {
                    workspace
                        .command(&["apply", "-auto-approve", "-no-color"])
                        .output()
                        .expect("terraform")
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().expect("a racer")).collect()
    });
    let mut all = BTreeSet::new();
    for (index, (workspace, output)) in workspaces.iter().zip(&outputs).enumerate() {
        assert!(output.status.success(), "racer {index}: {}", text(output));
        let block = addresses(&workspace.attributes(&format!("kubesmith_ip_lease.r{index}")));
        assert_eq!(block.len(), 5);
        assert!(
            block.windows(2).all(|pair| u32::from(pair[0]) + 1 == u32::from(pair[1])),
            "not contiguous: {block:?}"
        );
        assert!(
            block.iter().all(|address| all.insert(*address)),
            "an address was leased twice: {block:?}"
        );
    }
    assert_eq!(rows(&world).len(), 40);
    for workspace in &workspaces {
        workspace.destroy();
        workspace.assert_gone();
    }
    assert_eq!(rows(&world).len(), 0);
}

#[test]
fn what_the_ledger_refuses() {
    let Some(world) = world(Needs::Terraform) else { return };
    world.workspace("admin", &hcl::pool_of("10.40.19.201", "10.40.19.210")).apply();

    let missing =
        world.workspace("course-0", &hcl::lease("demo", 2).replace("\"lab\"", "\"nowhere\""));
    let refused = missing.apply_fails();
    assert!(refused.contains("nowhere") && refused.contains("kubesmith_ip_pool"), "{refused}");

    let first = world.workspace("course-1", &hcl::lease("demo", 6));
    first.apply();
    let exhausted = world.workspace("course-2", &hcl::lease("other", 6)).apply_fails();
    assert!(
        exhausted.contains("lab") && exhausted.contains('4'),
        "what is free is not said:\n{exhausted}"
    );

    let taken = world.workspace("course-3", &hcl::lease("demo", 2)).apply_fails();
    assert!(taken.contains("course-1"), "the other owner is not named:\n{taken}");

    // A person's own row, and one that covers a range, are respected and never touched.
    world.proxmox(
        "POST",
        "/nodes/pve1/qemu/9990/firewall/ipset/lab",
        &[("cidr", "10.40.19.208/31"), ("comment", "printers")],
    );
    let small = world.workspace("course-4", &hcl::lease("small", 2));
    let blocked = small.apply_fails();
    assert!(blocked.contains("lab"), "{blocked}");
    small.write(&hcl::lease("small", 1));
    small.apply();
    assert_eq!(small.attributes("kubesmith_ip_lease.small")["addresses"][0], "10.40.19.207");
    small.destroy();
    first.destroy();
    assert_eq!(rows(&world).len(), 1, "the person's row stays");
}
