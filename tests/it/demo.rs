//! The README's first command, as a person runs it.

use crate::world::{Needs, able, command, provider_folder, text};

#[test]
fn the_demo_goes_from_nothing_to_a_kubeconfig_and_leaves_nothing() {
    if !able(Needs::Guests) {
        return;
    }
    // Built before, as everything here: a build beside other tests would take their programs away for a moment.
    provider_folder();
    let mut demo = command(env!("CARGO_BIN_EXE_kubesmith-lab"));
    let output = demo.args(["demo", "--once", "--built"]).output();
    let output = output.expect("kubesmith-lab");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for expected in [
        "demo-worker-2   Ready",
        "From nothing to a kubeconfig",
        "Destroy complete!",
        "seen absent: VMIDs [19201,19202,19203]",
        "No VM, address, process, mount or namespace is left.",
    ] {
        assert!(said.contains(expected), "{expected:?} was not said:\n{said}");
    }
}
