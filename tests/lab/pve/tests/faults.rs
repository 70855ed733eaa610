//! Disturbances on request.

use serde_json::json;

use super::asker::Asker;
use crate::pve::{Fault, Seed, Version};

#[tokio::test]
async fn faults_do_what_they_say() {
    let asker = Asker::new(Version::V8_4, Seed::Demo).await;
    let clone = "/nodes/pve1/qemu/9000/clone";
    asker.pve.add_fault(Fault::CloneFails { times: 1 }).unwrap();
    let end =
        asker.finish(&asker.root("POST", clone, &[("newid", "300")]).await.body).await.unwrap();
    assert!(end.starts_with("clone failed: "), "{end}");
    assert_eq!(asker.root("GET", "/cluster/nextid", &[("vmid", "300")]).await.status, 200);

    let (method, path_regex) = ("POST".to_owned(), "/clone$".to_owned());
    asker.pve.add_fault(Fault::DropReply { method, path_regex, times: 1 }).unwrap();
    let authorization = Some(format!("PVEAPIToken={}", asker.pve.token));
    let cut = asker.send(authorization, "POST", clone, &[("newid", "301")], true).await;
    assert!(cut.is_err(), "the answer came");
    let claimed =
        async || asker.root("GET", "/cluster/nextid", &[("vmid", "301")]).await.status == 400;
    while !claimed().await {
        tokio::task::yield_now().await;
    }

    asker.pve.add_fault(Fault::NodeDown { node: "pve2".to_owned() }).unwrap();
    let down = asker.root("GET", "/nodes/pve2/qemu", &[]).await;
    assert_eq!(
        (down.status, down.reason.as_str(), down.body),
        (595, "Connection refused", json!(""))
    );
    asker.pve.clear_faults();
    assert_eq!(asker.root("GET", "/nodes/pve2/qemu", &[]).await.status, 200);
}

const VM: &str = "/nodes/pve1/qemu/300";

/// A lab with a machine of its own, on a version.
async fn with_machine(version: Version) -> Asker {
    let asker = Asker::new(version, Seed::Demo).await;
    let cloned = asker.root("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "300")]).await;
    assert_eq!(asker.finish(&cloned.body).await.as_deref(), Some("OK"));
    asker
}

#[tokio::test]
async fn without_quorum_reads_work_and_writes_do_not() {
    let asker = with_machine(Version::V9_1).await;
    asker.pve.add_fault(Fault::NoQuorum).unwrap();
    assert_eq!(asker.root("GET", &format!("{VM}/config"), &[]).await.status, 200);
    let sets = format!("{VM}/firewall/ipset");
    let start = format!("{VM}/status/start");
    for (path, params, reason) in [
        (sets.as_str(), vec![("name", "lab")], "cfs-lock 'firewall-vm-300' error: no quorum!"),
        ("/pools", vec![("poolid", "p")], "cfs-lock 'file-user_cfg' error: no quorum!"),
        (start.as_str(), vec![], "cluster not ready - no quorum?"),
    ] {
        let seen = asker.root("POST", path, &params).await;
        assert_eq!((seen.status, seen.reason.as_str()), (500, reason), "{path}");
    }
}

#[tokio::test]
async fn a_slow_node_does_the_work_that_nobody_waits_for() {
    let asker = with_machine(Version::V8_4).await;
    asker.pve.add_fault(Fault::NodeSlow { node: "pve1".to_owned(), seconds: 0 }).unwrap();
    let seen = asker.root("PUT", &format!("{VM}/config"), &[("cores", "3")]).await;
    assert_eq!((seen.status, seen.reason.as_str()), (596, "Connection timed out"));
    asker.pve.clear_faults();
    let config = asker.root("GET", &format!("{VM}/config"), &[]).await;
    assert_eq!(config.body["data"]["cores"], 3);
}

#[tokio::test]
async fn a_lost_task_says_so_and_stuck_disks_are_warnings() {
    let asker = with_machine(Version::V8_4).await;
    asker.pve.add_fault(Fault::SlowTask { r#type: "qmstart".to_owned(), seconds: 60 }).unwrap();
    let started = asker.root("POST", &format!("{VM}/status/start"), &[]).await;
    asker.pve.add_fault(Fault::TasksLost { r#type: None }).unwrap();
    assert_eq!(asker.finish(&started.body).await.as_deref(), Some("unexpected status"));
    asker.pve.add_fault(Fault::DisksStuck { storage: "shared".to_owned() }).unwrap();
    let gone = asker.root("DELETE", VM, &[("purge", "1")]).await;
    assert_eq!(asker.finish(&gone.body).await.as_deref(), Some("WARNINGS: 2"));
}

#[tokio::test]
async fn of_a_managed_machine_start_only_records_a_request() {
    let asker = with_machine(Version::V9_1).await;
    asker.pve.add_fault(Fault::HaManaged { vmid: 300 }).unwrap();
    let started = asker.root("POST", &format!("{VM}/status/start"), &[]).await;
    assert!(started.body["data"].as_str().unwrap().contains(":hastart:300:"), "{}", started.body);
    assert_eq!(asker.finish(&started.body).await.as_deref(), Some("OK"));
    let status = async || asker.root("GET", &format!("{VM}/status/current"), &[]).await;
    let first = status().await;
    assert_eq!(
        (&first.body["data"]["status"], &first.body["data"]["ha"]["managed"]),
        (&json!("stopped"), &json!(1))
    );
    while status().await.body["data"]["status"] != "running" {
        tokio::task::yield_now().await;
    }
    let refused = asker.root("DELETE", VM, &[]).await;
    assert_eq!(
        refused.reason,
        "unable to remove VM 300 - used in HA resources and purge parameter not set."
    );
}

#[tokio::test]
async fn servers_before_8_4_leave_the_text_to_the_reason_phrase() {
    let asker = Asker::new(Version::V8_4, Seed::Demo).await;
    asker.pve.add_fault(Fault::NoMessages).unwrap();
    let seen = asker.root("GET", "/pools/nope", &[]).await;
    assert_eq!(
        (seen.reason.as_str(), seen.body),
        ("pool 'nope' does not exist", json!({"data": null}))
    );
}
