//! What is said about the address ledger, its pools and the leases in it.

use serde_json::json;

use super::{destroy_fails, fails, plan, refused, says};
use crate::{
    hcl,
    world::{Needs, world},
};

const SETS: &str = "/nodes/pve1/qemu/9990/firewall/ipset";

#[test]
fn a_ledger_that_is_not_there_or_is_none_is_said_so() {
    let Some(world) = world(Needs::Terraform) else { return };
    let admin = world.workspace("admin", &hcl::pool());
    let course = world.workspace("course-1", &hcl::lease("demo", 2));
    says(&course.apply_fails(), &["The address ledger is missing", "make one (kubesmith_ip_pool)"]);

    let mut elsewhere = world.workspace("elsewhere", &hcl::pool());
    elsewhere.set_env("KUBESMITH_LEDGER_VMID", "9000");
    let text = elsewhere.apply_fails();
    says(&text, &["Unable to use the address ledger", "VMID 9000", "Set \"ledger_vmid\""]);

    refused(&world, "POST", "/nodes/[^/]+/qemu$");
    says(&admin.apply_fails(), &["Unable to create the address ledger", "out of cheese"]);
    world.heal();
    refused(&world, "GET", "/cluster/resources.type=vm");
    says(&course.apply_fails(), &["Unable to find the address ledger", "out of cheese"]);
    world.heal();
    admin.apply();

    // While its node is down the list does not name the machine; the tags that would do are taken away.
    world.proxmox("PUT", "/nodes/pve1/qemu/9990/config", &[("delete", "tags")]);
    world.fault(&json!({"kind": "node_down", "node": "pve1"}));
    refused(&world, "GET", "/qemu/9990/config");
    says(&course.apply_fails(), &["Unable to look at the address ledger", "out of cheese"]);
    world.heal();

    world.proxmox("POST", "/access/users", &[("userid", "nobody@pve")]);
    let token = world.proxmox("POST", "/access/users/nobody@pve/token/ks", &[("privsep", "0")]);
    let mut nobody = world.workspace("course-2", &hcl::lease("demo", 2));
    let token = format!("nobody@pve!ks={}", token["value"].as_str().expect("a secret"));
    nobody.set_env("KUBESMITH_API_TOKEN", &token);
    says(&nobody.apply_fails(), &["Unable to see the address ledger", "VM.Audit", "/vms/9990"]);

    refused(&world, "GET", "/firewall/ipset$");
    says(&course.apply_fails(), &["Unable to read the address ledger", "out of cheese"]);
    world.heal();

    // Destroyed with all that was in it: never taken for an empty one.
    world.proxmox("PUT", "/nodes/pve1/qemu/9990/config", &[("protection", "0")]);
    world.stop_and_delete("pve1", 9990);
    let text = fails(&admin, &["plan", "-no-color"]);
    says(&text, &["The address ledger with pool lab is missing", "terraform state rm"]);
}

#[test]
fn a_pool_that_cannot_be_as_it_is_wanted_is_said_so() {
    let Some(world) = world(Needs::Terraform) else { return };
    let admin = world.workspace("admin", &hcl::pool());
    let course = world.workspace("course-1", &hcl::lease("demo", 6));
    let with = |line: &str| hcl::pool().replace("first_vmid", &format!("{line}\n  first_vmid"));
    let cases: [(String, &[&str]); 5] = [
        (
            hcl::pool_of("10.40.19.253", "10.40.19.201"),
            &["The address pool is not possible", "10.40.19.201 comes before first, 10.40.19.253"],
        ),
        (
            hcl::pool_of("10.40.19.201", "10.40.20.1"),
            &["10.40.20.1 lies outside 10.40.19.0/24, the network of first"],
        ),
        (hcl::pool().replace("prefix_length = 24", "prefix_length = 99"), &["99 is above 32"]),
        (
            with("excluded = [\"10.40.19.209-10.40.19.205\"]"),
            &["\"10.40.19.209-10.40.19.205\" ends before it begins"],
        ),
        (
            with("excluded = [\"some\"]"),
            &["\"some\" is neither an IPv4 address nor a range such as 10.0.0.5-10.0.0.9"],
        ),
    ];
    for (hcl, parts) in cases {
        admin.write(&hcl);
        says(&admin.apply_fails(), parts);
    }
    admin.write(&hcl::pool());
    admin.apply();
    course.apply();

    let second = world.workspace("second", &hcl::pool());
    let text = second.apply_fails();
    says(&text, &["Unable to create address pool lab", "import it: its id is its name (lab)"]);
    let nowhere =
        world.workspace("course-2", &hcl::lease("demo", 6).replace("\"lab\"", "\"nope\""));
    let text = nowhere.apply_fails();
    says(&text, &["There is no address pool nope", "The ledger has these pools: lab"]);

    admin.write(&hcl::pool_of("10.40.19.201", "10.40.19.203"));
    let text = admin.apply_fails();
    says(&text, &["Unable to change address pool lab", "would lie outside", "demo"]);
    admin.write(&hcl::pool());
    let text = destroy_fails(&admin);
    says(&text, &["Unable to destroy address pool lab", "It is still in use"]);

    world.proxmox("POST", SETS, &[("name", "lab"), ("rename", "lab"), ("comment", "hello")]);
    let text = fails(&admin, &["plan", "-no-color"]);
    says(&text, &["Unable to read address pool lab", "\"hello\"", "put it back"]);
}

#[test]
fn a_lease_that_is_not_to_be_had_is_said_so() {
    let Some(world) = world(Needs::Terraform) else { return };
    world.workspace("admin", &hcl::pool()).apply();
    let course = world.workspace("course-1", &hcl::lease("demo", 251));
    says(&plan(&course), &["A lease has 1 to 250 addresses"]);
    course.write(&hcl::lease("demo", 99));
    says(&plan(&course), &["Lease lab/demo cannot be created as things are"]);
    let text = course.apply_fails();
    says(
        &text,
        &["Unable to create lease lab/demo", "99 addresses in a row are wanted, but only "],
    );
    says(&text, &["Ask for fewer"]);

    let twice = hcl::lease("demo", 3) + &hcl::lease("demo", 3).replacen("\"demo\"", "\"again\"", 1);
    course.write(&twice);
    let text = course.apply_fails();
    says(&text, &["Another resource of this configuration manages a lease of that name"]);
    course.destroy();

    course.write(&hcl::lease("demo", 3));
    course.apply();
    course.must(&["state", "rm", "kubesmith_ip_lease.demo"]);
    says(&plan(&course), &["Lease lab/demo exists and will be taken up"]);
    course.write(&hcl::lease("demo", 2));
    says(&course.apply_fails(), &["The lease exists already with 3 addresses", "set size to 3"]);
    course.write(&hcl::lease("demo", 3));
    course.apply();

    let other = world.workspace("course-2", &hcl::lease("demo", 3));
    let text = other.apply_fails();
    says(&text, &["The name demo is in use in this pool by owner course-1"]);
    let text = fails(&other, &["import", "-no-color", "kubesmith_ip_lease.demo", "lab/demo"]);
    says(&text, &["Unable to import lease lab/demo", "It belongs to owner course-1"]);
    let text = fails(&other, &["import", "-no-color", "kubesmith_ip_lease.demo", "banana"]);
    says(&text, &["Unable to import a lease", "write <pool>/<lease>"]);

    // Somebody takes an entry away and puts another one there.
    world.proxmox("DELETE", &format!("{SETS}/lab/10.40.19.202"), &[]);
    world.proxmox(
        "POST",
        &format!("{SETS}/lab"),
        &[("cidr", "10.40.19.202"), ("comment", "printer")],
    );
    let text = course.apply_fails();
    says(&text, &["Unable to repair lease lab/demo", "10.40.19.202 is held by", "printer"]);
    world.proxmox("DELETE", &format!("{SETS}/lab/10.40.19.202"), &[]);
    course.apply();

    // A run that was killed has left half of it, and a machine stands on that.
    course.must(&["state", "rm", "kubesmith_ip_lease.demo"]);
    world.proxmox("DELETE", &format!("{SETS}/lab/10.40.19.203"), &[]);
    world.proxmox("POST", "/nodes/pve2/qemu", &[("vmid", "19202"), ("name", "web1")]);
    course.write(&hcl::lease("demo", 2));
    let text = course.apply_fails();
    says(&text, &["An incomplete lease of that name exists on 10.40.19.201-10.40.19.203"]);
    says(&text, &["and the VMIDs of some of its addresses are in use", "Set size to 3"]);
    world.stop_and_delete("pve2", 19202);
    course.write(&hcl::lease("demo", 3));
    course.apply();

    refused(&world, "DELETE", "/firewall/ipset/lab/");
    let text = destroy_fails(&course);
    says(&text, &["Unable to release lease lab/demo", "out of cheese"]);
    world.heal();

    let damaged = |lease: &mut serde_json::Value| lease["addresses"] = json!([]);
    course.edit_state("kubesmith_ip_lease", damaged);
    let text = fails(&course, &["destroy", "-auto-approve", "-no-color", "-refresh=false"]);
    says(&text, &["Unable to read the lease's state", "no addresses or no transaction"]);
}
