//! A cluster's life as its people see it: from a form to a receipt.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::site::Site;

#[test]
fn a_cluster_is_made_scaled_exported_and_destroyed_and_the_portal_shows_what_exists() {
    let Some(site) = Site::open() else { return };
    let admin = site.bootstrap();
    let course = site.course(&admin, "algorithms");
    let (sam, student) = site.person(&admin, "sam", "developer");
    let member = format!("/api/v1/environments/{course}/members/{sam}");
    site.must(&admin, "PUT", &member, &json!({"role": "developer"}), 204);

    // Create: a plan in words, then exactly that plan.
    let (cluster, run) = site.ask_for(&student, &course, "small");
    let planned = site.wait_for(&student, &run, &["awaiting_approval"]);
    assert_eq!(planned["plan"]["effect"], "adds", "{planned}");
    assert!(site.lab().machines().is_empty(), "a plan makes nothing");
    let approve = format!("/api/v1/runs/{run}/approve");
    let stale = site.api(&student, "POST", &approve, &json!({"plan_hash": "x"}));
    assert_eq!((stale.status, &stale.body["code"]), (409, &json!("run_changed")));
    let made = site.carry_out(&student, &run);
    assert_eq!(made["failure"], Value::Null);
    let shown = site.show(&student, &cluster);
    assert_eq!(
        names_and_addresses(&shown),
        ["demo-cp-1 10.40.19.201", "demo-worker-1 10.40.19.202"]
    );
    assert_eq!(site.lab().machines().len(), 2);

    assert_private(&site.data());
    let proxmox = site.lab().about("token").rsplit_once('=').expect("a token").1;
    let key = student.0.splitn(3, '_').nth(2).expect("a key");
    for secret in [proxmox, key] {
        assert_eq!(files_with(&site.data(), secret), Vec::<String>::new(), "a secret lies there");
    }

    // Scale; meanwhile nobody else changes it.
    let path = format!("/api/v1/clusters/{cluster}");
    let asked = site.must(&student, "PATCH", &path, &json!({"workers": 2}), 202);
    let busy = site.api(&student, "PATCH", &path, &json!({"workers": 3}));
    assert_eq!((busy.status, &busy.body["code"]), (409, &json!("busy")));
    site.carry_out(&student, asked["run"].as_str().expect("a run"));
    assert_eq!(site.show(&student, &cluster)["exists"]["workers"], 2);

    // A laptop with the exported files and a key: nothing to do, then back to one worker.
    let laptop = site.laptop(&student, &cluster);
    laptop.must(&["fmt", "-check"]);
    laptop.assert_no_changes();
    let text = std::fs::read_to_string(laptop.dir().join("main.tf")).expect("main.tf");
    assert_eq!(text, site.api(&student, "GET", &format!("{path}/main.tf"), &Value::Null).text);
    laptop.write(&text.replacen("count      = 2", "count      = 1", 1));
    laptop.apply();
    let shown = site.show(&student, &cluster);
    assert_eq!((&shown["exists"]["workers"], &shown["workers"]), (&json!(1), &json!(1)));
    assert_eq!(site.lab().machines().len(), 2);
    assert_eq!(
        site.get(&admin, &format!("/api/v1/environments/{course}/quota"))["held"]["machines"],
        2
    );

    // What the laptop did is the cluster from now on: a repair by the portal finds nothing to do.
    let repair = site.must(&student, "PATCH", &path, &json!({}), 202);
    let repaired = site.wait_for(&student, repair["run"].as_str().expect("a run"), &["succeeded"]);
    assert_eq!(repaired["plan"]["effect"], "nothing", "{repaired}");

    // Its end: not while it is protected, not under another name, and never for those who don't own it.
    site.must(&student, "PUT", &format!("{path}/protection"), &json!({"protected": true}), 200);
    let named = json!({"name": "demo"});
    let refused = site.api(&student, "DELETE", &path, &named);
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("protected")));
    site.must(&student, "PUT", &format!("{path}/protection"), &json!({"protected": false}), 200);
    let misnamed = site.api(&student, "DELETE", &path, &json!({"name": "dem"}));
    assert_eq!((misnamed.status, &misnamed.body["code"]), (422, &json!("invalid")));
    let (_, other) = site.person(&admin, "olga", "developer");
    assert_eq!(site.api(&other, "DELETE", &path, &named).status, 404);

    let run = site.ask_to_destroy(&student, &cluster);
    let gone = site.carry_out(&student, &run);
    let mut vmids: Vec<_> = gone["receipt"]["vmids"].as_array().expect("VMIDs").clone();
    vmids.sort_by_key(Value::as_u64);
    assert!(vmids.starts_with(&[json!(19201), json!(19202)]), "{gone}");
    assert!(
        gone["receipt"]["search"].as_str().expect("a search").contains("no machines"),
        "{gone}"
    );
    assert_eq!(site.get(&student, "/api/v1/clusters"), json!([]));
    assert_eq!(site.show(&student, &cluster)["exists"], Value::Null);
    assert_eq!(
        site.get(&admin, &format!("/api/v1/environments/{course}/quota"))["held"]["machines"],
        0
    );

    // The audit log tells it all, and nothing that was written holds a secret.
    let audit = site.get(&admin, "/api/v1/audit").to_string();
    for action in
        ["create_cluster", "change_cluster", "destroy_cluster", "write_state", "share_cluster"]
    {
        assert!(audit.contains(action), "{action} is missing: {audit}");
    }
    let secret = site.lab().about("token").rsplit_once('=').expect("a token").1;
    for text in [&audit, &site.log()] {
        assert!(
            !text.contains(secret) && !text.contains(&student.0),
            "a secret was written: {text}"
        );
    }
    site.assert_empty();
}

/// Every file in a folder, at any depth.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let inside = entries.flat_map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        Ok(kind) if kind.is_file() => vec![entry.path()],
        _ => Vec::new(),
    });
    inside.collect()
}

/// The names of the files that hold this text.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let holds = |file: &PathBuf| {
        let bytes = std::fs::read(file).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    files(folder).into_iter().filter(holds).map(|file| file.display().to_string()).collect()
}

/// States, plans and whatever else is secret are the portal's alone; no kubeconfig lies anywhere.
fn assert_private(data: &Path) {
    for file in files(data) {
        let name = file.display().to_string();
        let mode = std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
        let public = name.contains("/.terraform/") || name.contains("/modules/");
        assert!(public || mode | 0o700 == 0o700, "{name} is {mode:o}");
        assert!(!name.contains("kubeconfig"), "{name}");
    }
    let mode = std::fs::metadata(data.join("workspaces")).expect("a folder").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "others may enter the workspaces");
}

/// `name address` of each node that exists.
fn names_and_addresses(shown: &Value) -> Vec<String> {
    let text = |node: &Value, key: &str| node[key].as_str().unwrap_or_default().to_owned();
    let nodes = shown["exists"]["nodes"].as_array().expect("nodes");
    nodes.iter().map(|node| format!("{} {}", text(node, "name"), text(node, "address"))).collect()
}
