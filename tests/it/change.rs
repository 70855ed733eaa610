//! Changes of a cluster that exists, beyond its life in `life.rs`: what a failed one leaves, and a second lease.

use serde_json::json;

use crate::{
    hcl,
    world::{Needs, one_line, world},
};

#[test]
fn a_scale_down_that_failed_half_way_is_seen_by_the_next_plan_and_finished() {
    let Some(world) = world(Needs::Guests) else { return };
    let workspace = world.workspace("course-1", &hcl::all(2));
    workspace.apply();
    let busy = "unable to remove VM 19203 - disk is busy";
    world.fault(&json!({
        "kind": "http_500", "method": "DELETE", "path_regex": "/qemu/19203", "times": 50, "message": busy,
    }));
    workspace.write(&hcl::all(1));
    let failed = workspace.apply_fails();
    assert!(failed.contains("demo-worker-2") && failed.contains(busy), "{failed}");
    world.heal();

    let (_, planned) = workspace.terraform(&["plan", "-no-color"]);
    assert!(one_line(&planned).contains("demo-worker-2 (VM 19203) is one too many"), "{planned}");
    workspace.apply();
    workspace.assert_no_changes();
    assert_eq!(world.machines().len(), 2);
    workspace.destroy();
    world.assert_empty();
}

#[test]
fn a_second_lease_gives_room_and_giving_it_up_removes_its_machines() {
    let Some(world) = world(Needs::Guests) else { return };
    let more = hcl::lease("more", 2).replace("\"lab\"", "kubesmith_ip_pool.lab.name");
    let narrow = hcl::all(0).replace("size = 6", "size = 1") + &more;
    let wide = narrow
        .replace("[kubesmith_ip_lease.demo]", "[kubesmith_ip_lease.demo, kubesmith_ip_lease.more]")
        .replace("count = 0", "count = 1");
    let workspace = world.workspace("course-1", &narrow);
    workspace.apply();
    for (hcl, machines) in [(&wide, 2), (&narrow, 1)] {
        workspace.write(hcl);
        workspace.apply();
        workspace.assert_no_changes();
        assert_eq!(world.machines().len(), machines);
        let listed = workspace.kubectl("kubesmith_cluster.demo", &["get", "nodes", "--no-headers"]);
        assert_eq!(listed.lines().count(), machines, "{listed}");
    }
    workspace.destroy();
    world.assert_empty();
}
