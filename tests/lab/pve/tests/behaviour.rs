//! How the simulation behaves where one answer leads to the next.

use base64::Engine as _;
use serde_json::json;

use super::asker::Asker;
use crate::pve::{Seed, Version};

const SETS: &str = "/nodes/pve1/qemu/9990/firewall/ipset";

#[tokio::test]
async fn of_eight_who_want_one_address_one_gets_it() {
    let asker = Asker::new(Version::V8_4, Seed::Demo).await;
    asker.root("POST", SETS, &[("name", "lab")]).await;
    let set = format!("{SETS}/lab");
    let wants = (0..8).map(|_| asker.root("POST", &set, &[("cidr", "10.40.19.201")]));
    let mut statuses: Vec<_> =
        futures_util::future::join_all(wants).await.iter().map(|seen| seen.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400, 400, 400, 400, 400, 400]);
}

#[tokio::test]
async fn of_two_clones_onto_one_id_one_task_fails_and_nothing_of_it_stays() {
    let asker = Asker::new(Version::V8_4, Seed::Demo).await;
    let clone = "/nodes/pve1/qemu/9000/clone";
    let (one, other) = tokio::join!(
        asker.root("POST", clone, &[("newid", "19201"), ("name", "a"), ("target", "pve2")]),
        asker.root("POST", clone, &[("newid", "19201"), ("name", "b")]),
    );
    let mut ends =
        vec![asker.finish(&one.body).await.unwrap(), asker.finish(&other.body).await.unwrap()];
    ends.sort_unstable();
    assert_eq!(ends[0], "OK");
    assert!(
        ends[1].contains("File exists") || ends[1].contains("config file already exists"),
        "{ends:?}"
    );
    let volumes =
        asker.root("GET", "/nodes/pve1/storage/shared/content", &[("vmid", "19201")]).await;
    assert_eq!(volumes.body["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_clone_may_go_to_another_node_if_all_its_disks_are_shared() {
    let asker = Asker::new(Version::V8_4, Seed::Demo).await;
    let cloned = asker
        .root("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "300"), ("target", "pve3")])
        .await;
    assert_eq!(asker.finish(&cloned.body).await.as_deref(), Some("OK"));
    assert_eq!(asker.root("GET", "/nodes/pve3/qemu/300/config", &[]).await.status, 200);
    let elsewhere = asker.root("GET", "/nodes/pve1/qemu/300/config", &[]).await;
    assert_eq!(
        elsewhere.reason,
        "Configuration file 'nodes/pve1/qemu-server/300.conf' does not exist"
    );
    let create = [("vmid", "301"), ("scsi0", "local:1"), ("boot", "order=scsi0")];
    let created = asker.root("POST", "/nodes/pve1/qemu", &create).await;
    assert_eq!(asker.finish(&created.body).await.as_deref(), Some("OK"));
    let refused = asker
        .root("POST", "/nodes/pve1/qemu/301/clone", &[("newid", "302"), ("target", "pve2")])
        .await;
    assert_eq!(refused.reason, "can't clone VM to node 'pve2' (VM uses local storage)");
}

#[tokio::test]
async fn what_a_running_machine_cannot_take_waits_for_its_next_start() {
    let asker = Asker::new(Version::V8_4, Seed::Demo).await;
    let cloned = asker.root("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "300")]).await;
    asker.finish(&cloned.body).await;
    let vm = "/nodes/pve1/qemu/300";
    let cores = async |current: &str| {
        let config = asker.root("GET", &format!("{vm}/config"), &[("current", current)]).await;
        config.body["data"]["cores"].clone()
    };
    asker.finish(&asker.root("POST", &format!("{vm}/status/start"), &[]).await.body).await;
    assert_eq!(
        asker
            .root("PUT", &format!("{vm}/config"), &[("cores", "4"), ("description", "x")])
            .await
            .status,
        200
    );
    assert_eq!((cores("1").await, cores("0").await), (json!(2), json!(4)));
    for action in ["stop", "start"] {
        asker.finish(&asker.root("POST", &format!("{vm}/status/{action}"), &[]).await.body).await;
    }
    assert_eq!(cores("1").await, 4);
}

#[tokio::test]
async fn keys_of_cloud_init_are_checked_and_stay_encoded() {
    let asker = Asker::new(Version::V8_4, Seed::Demo).await;
    let key = base64::engine::general_purpose::STANDARD.encode([0, 0, 0, 11].repeat(13));
    let good = format!("ssh-ed25519%20{key}%20me%0A")
        .replace("%20AAAA", "%20AAAA")
        .replace('=', "%3D")
        .replace('+', "%2B")
        .replace('/', "%2F");
    let vm = "/nodes/pve1/qemu/9000/config";
    assert_eq!(asker.root("PUT", vm, &[("sshkeys", &good)]).await.status, 200);
    assert_eq!(asker.root("GET", vm, &[]).await.body["data"]["sshkeys"], good);
    let bad = asker.root("PUT", vm, &[("sshkeys", "not%20a%20key")]).await;
    assert_eq!(bad.reason, "SSH public key validation error");
    let bare = asker.root("PUT", vm, &[("sshkeys", "ssh-ed25519 AAAA")]).await;
    assert_eq!(bare.status, 400);
}

#[tokio::test]
async fn snapshots_are_taken_returned_to_and_removed() {
    let asker = Asker::new(Version::V9_1, Seed::Demo).await;
    let cloned = asker.root("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "300")]).await;
    asker.finish(&cloned.body).await;
    let vm = "/nodes/pve1/qemu/300";
    let done = async |method: &str, path: &str, params: &[(&str, &str)]| {
        let seen = asker.root(method, &format!("{vm}{path}"), params).await;
        asker.finish(&seen.body).await.unwrap_or(seen.reason)
    };
    assert_eq!(done("POST", "/snapshot", &[("snapname", "before")]).await, "OK");
    let again = done("POST", "/snapshot", &[("snapname", "before")]).await;
    assert_eq!(again, "snapshot name 'before' already used");
    assert_eq!(done("PUT", "/config", &[("cores", "7")]).await, "OK");
    assert_eq!(
        done("POST", "/snapshot/nope/rollback", &[]).await,
        "snapshot 'nope' does not exist"
    );
    assert_eq!(done("POST", "/snapshot/before/rollback", &[]).await, "OK");
    let config = asker.root("GET", &format!("{vm}/config"), &[]).await;
    assert_eq!(config.body["data"]["cores"], 2);
    let refused = done("POST", "/template", &[]).await;
    assert_eq!(refused, "unable to create template, because VM contains snapshots");
    assert_eq!(done("DELETE", "/snapshot/before", &[]).await, "OK");
}

#[tokio::test]
async fn a_ticket_works_like_a_token_and_needs_its_partner_for_changes() {
    let asker = Asker::new(Version::V8_4, Seed::Demo).await;
    let user = [("userid", "u@pve"), ("password", "secret-12345")];
    assert_eq!(asker.root("POST", "/access/users", &user).await.status, 200);
    let login = [("username", "u@pve"), ("password", "secret-12345")];
    let login = asker.send(None, "POST", "/access/ticket", &login, true).await.unwrap();
    let ticket = login.body["data"]["ticket"].as_str().unwrap();
    let ticket = Some(format!("PVEAuthCookie={}", ticket.replace('=', "%3D")));
    let read = asker.send(ticket.clone(), "GET", "/version", &[], false).await.unwrap();
    assert_eq!(read.status, 200);
    let write = asker.send(ticket, "POST", "/pools", &[("poolid", "p")], true).await.unwrap();
    assert_eq!(
        (write.status, write.reason.as_str()),
        (401, "Permission denied - invalid csrf token")
    );
}
