//! Runs that are stopped, forced, and cut off from their state; streams that are picked up where they were left.

use serde_json::{Value, json};

use super::{api::Key, site::Site};

#[test]
fn a_run_is_cancelled_in_order_then_by_force_and_trying_again_finishes_what_was_begun() {
    let Some(site) = Site::open() else { return };
    let key = site.bootstrap();
    let course = site.course(&key, "algorithms");
    let (cluster, run) = site.ask_for(&key, &course, "single");
    let cancel = |run: &str, force: bool| {
        site.api(&key, "POST", &format!("/api/v1/runs/{run}/cancel"), &json!({"force": force}))
    };

    // In order: asked once, Terraform keeps what it has done.
    site.approve(&key, &run);
    site.wait_for_phase(&key, &cluster, &run, "boot");
    let early = cancel(&run, true);
    assert_eq!((early.status, &early.body["code"]), (409, &json!("cancel_first")));
    assert_eq!(cancel(&run, false).status, 200);
    site.wait_for(&key, &run, &["cancelled"]);
    assert_eq!(site.processes(None), []);
    assert_eq!(site.show(&key, &cluster)["exists"]["tainted"], true);
    let ended = cancel(&run, false);
    assert_eq!((ended.status, &ended.body["code"]), (409, &json!("run_ended")));

    // By force: what is in the making stays half made.
    let run = try_again(&site, &key, &cluster);
    site.approve(&key, &run);
    site.wait_for_phase(&key, &cluster, &run, "configure");
    assert_eq!(cancel(&run, false).status, 200);
    assert_eq!(cancel(&run, true).status, 200);
    site.wait_for(&key, &run, &["cancelled"]);
    assert_eq!(site.processes(None), []);

    let run = try_again(&site, &key, &cluster);
    let plan = site.approve(&key, &run);
    assert_ne!(plan["effect"], "replaces", "what stands is not made again: {plan}");
    site.wait_for(&key, &run, &["succeeded"]);
    assert_eq!(site.lab().machines().len(), 1);

    // A stream goes on behind the last event that was seen.
    let all = site.stream(&key, &run, "0");
    let told: Vec<_> = site.told(&key, &run).lines().map(str::to_owned).collect();
    assert_eq!(all.iter().map(|(_, data)| data.clone()).collect::<Vec<_>>(), told);
    let (half, _) = &all[all.len() / 2];
    assert_eq!(site.stream(&key, &run, half), all[all.len() / 2 + 1..]);
    assert!(told.last().expect("a line").contains("succeeded"), "{told:?}");

    site.carry_out(&key, &site.ask_to_destroy(&key, &cluster));
    site.assert_empty();
}

#[test]
fn a_state_that_could_not_be_sent_is_taken_from_where_terraform_left_it() {
    let Some(mut site) = Site::open() else { return };
    let key = site.bootstrap();
    let course = site.course(&key, "algorithms");
    let (cluster, run) = site.ask_for(&key, &course, "single");
    site.approve(&key, &run);
    site.wait_for_phase(&key, &cluster, &run, "ready");
    site.kill();
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(5);
    while !site.processes(Some(&run)).is_empty() {
        assert!(std::time::Instant::now() < deadline, "Terraform does not end");
        // Not a synchronisation: it is looked at again until it has ended.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let left = site.data().join("workspaces").join(&cluster).join("errored.tfstate");
    assert!(left.exists(), "Terraform has left no state");
    site.start();
    site.wait_for(&key, &run, &["succeeded"]);
    assert!(!left.exists());
    assert!(site.told(&key, &run).contains("was taken from its folder"));
    let shown = site.show(&key, &cluster);
    assert_eq!(shown["exists"]["nodes"].as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(shown["locked_by"], Value::Null);
    site.carry_out(&key, &site.ask_to_destroy(&key, &cluster));
    site.assert_empty();
}

#[test]
fn a_destroy_without_its_state_finds_the_machines_all_the_same() {
    let Some(site) = Site::open() else { return };
    let key = site.bootstrap();
    let course = site.course(&key, "algorithms");
    let cluster = site.cluster(&key, &course, "single");
    let states = site.data().join("workspaces").join(&cluster).join("state");
    std::fs::remove_file(states.join("current.tfstate")).expect("the state");
    let run = site.ask_to_destroy(&key, &cluster);
    let planned = site.approve(&key, &run);
    assert_eq!(planned["effect"], "destroys", "{planned}");
    let gone = site.wait_for(&key, &run, &["succeeded"]);
    assert!(
        gone["receipt"]["search"].as_str().expect("a search").contains("no machines"),
        "{gone}"
    );
    assert!(site.told(&key, &run).contains("demo-cp-1"), "what was removed is not named");
    site.assert_empty();
}

fn try_again(site: &Site, key: &Key, cluster: &str) -> String {
    let path = format!("/api/v1/clusters/{cluster}/retry");
    let asked = site.must(key, "POST", &path, &Value::Null, 202);
    asked["run"].as_str().expect("a run").to_owned()
}
