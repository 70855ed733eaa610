//! The README's first command, as a person runs it.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    sync::Mutex,
};

use crate::{
    portal::portal_program,
    world::{Needs, able, command, provider_folder, text},
};

/// The demo's lab has one name, so that there is one at a time.
static DEMO: Mutex<()> = Mutex::new(());

#[test]
fn the_demo_goes_from_nothing_to_a_kubeconfig_and_leaves_nothing() {
    if !able(Needs::Guests) {
        return;
    }
    // Built before, as everything here: a build beside other tests would take their programs away for a moment.
    provider_folder();
    let _one = DEMO.lock();
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

#[test]
fn the_demo_stays_up_with_a_portal_whose_links_open_and_goes_when_it_is_interrupted() {
    if !able(Needs::Guests) {
        return;
    }
    portal_program();
    let _one = DEMO.lock();
    let mut demo = command(env!("CARGO_BIN_EXE_kubesmith-lab"));
    demo.args(["demo", "--built"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut demo = demo.stderr(Stdio::null()).spawn().expect("kubesmith-lab");
    let mut lines = BufReader::new(demo.stdout.take().expect("stdout is piped")).lines();
    let mut said = Vec::new();
    let stays = |line: &String| line.contains("Ctrl-C here ends the lab");
    while !said.last().is_some_and(stays) {
        said.push(
            lines.next().unwrap_or_else(|| panic!("it ended:\n{}", said.join("\n"))).expect("text"),
        );
    }
    let links: Vec<_> = said
        .iter()
        .filter_map(|line| line.split_whitespace().find(|word| word.contains("/link/")))
        .collect();
    assert_eq!(links.len(), 4, "{}", said.join("\n"));
    for link in links {
        let page = text(&command("curl").args(["-sS", link]).output().expect("curl"));
        assert!(page.contains("name=\"password\""), "{link}: {page}");
    }
    let pid = rustix::process::Pid::from_raw(demo.id().cast_signed()).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    said.extend(lines.map_while(Result::ok));
    let said = said.join("\n");
    assert!(demo.wait().expect("its end").success(), "{said}");
    assert!(said.contains("No VM, address, process, mount or namespace is left."), "{said}");
}
