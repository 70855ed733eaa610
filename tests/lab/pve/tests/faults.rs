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
