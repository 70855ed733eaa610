//! The day on which the ledger's machine is destroyed with everything that stands in it.

use crate::{
    hcl,
    world::{Needs, world},
};

#[test]
fn a_lost_ledger_is_made_again_from_the_states_of_all_who_lease_from_it() {
    let Some(world) = world(Needs::Terraform) else { return };
    let admin = world.workspace("admin", &hcl::pool());
    admin.apply();
    let course = world.workspace("course-1", &hcl::lease("demo", 6));
    course.apply();
    let before = course.attributes("kubesmith_ip_lease.demo");
    let state = |owner: &str| {
        let file = world.folder().join(owner).join("terraform.tfstate");
        format!("{owner}={}", file.display())
    };
    let (of_admin, of_course) = (state("admin"), state("course-1"));
    let rebuild = |more: &[&str]| admin.provider(&[&["ledger", "rebuild"], more].concat());
    let both = ["--state", &of_admin, "--state", &of_course];

    world.proxmox("PUT", "/nodes/pve1/qemu/9990/config", &[("protection", "0")]);
    world.stop_and_delete("pve1", 9990);

    // Nothing is leased from a ledger that is not there, and nobody makes an empty one in its place.
    let (ok, said) = course.terraform(&["plan", "-no-color"]);
    assert!(!ok && said.contains("The address ledger is missing"), "{said}");
    assert!(said.contains("ledger rebuild"), "the way out is not named: {said}");

    let shown = rebuild(&both);
    let range = "10.40.19.201-10.40.19.206";
    let lease = format!("Lease lab/demo of owner course-1 ({range}) would be there.");
    assert!(shown.contains(&lease) && shown.contains("Nothing was changed"), "{shown}");
    let (status, _) = world.try_proxmox("GET", "/nodes/pve1/qemu/9990/config", &[]);
    assert_ne!(status, 200, "it was only to be shown");

    // A second run, as after one that was interrupted, changes nothing.
    for _ in 0..2 {
        let written = rebuild(&[&both[..], &["--write"]].concat());
        assert!(written.contains(&format!("({range}) is there.")), "{written}");
        admin.assert_no_changes();
        course.assert_no_changes();
    }
    assert_eq!(course.attributes("kubesmith_ip_lease.demo"), before);

    // The next lease begins behind it, so no address is given twice.
    let next = world.workspace("course-2", &hcl::lease("next", 2));
    next.apply();
    assert_eq!(next.attributes("kubesmith_ip_lease.next")["addresses"][0], "10.40.19.207");
    next.destroy();
    course.destroy();
    admin.destroy();
    world.assert_empty();
}
