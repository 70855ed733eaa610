//! The log of what happened.

use http::{Method, StatusCode};
use kubesmith_portal::rights::Role;
use serde_json::json;

use crate::world::{PASSWORD, Proof, World};

#[tokio::test]
async fn every_change_leaves_one_row_and_refusals_do_as_well() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let sam = world.person("sam", Role::Developer).await;
    world.get_as(&admin.proof, "/people").await;
    let form = [("login", "kim"), ("name", "=cmd|' /C calc'!A0"), ("role", "developer")];
    world.post_as(&admin.proof, "/people", &form).await;
    let refused = world.post_as(&sam.proof, "/people", &form).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    world.post_as(&Proof::Nothing, "/people", &form).await;
    world
        .post_as(
            &Proof::Nothing,
            "/sign-in",
            &[("login", "sam"), ("password", "wrong horse battery")],
        )
        .await;
    world.post_as(&Proof::Nothing, "/sign-in", &[("login", PASSWORD), ("password", "sam")]).await;

    let rows = world.get_as(&admin.proof, "/api/v1/audit").await.json();
    let short: Vec<_> = rows
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            format!(
                "{} {} {} {} {}",
                row["login"], row["action"], row["target_name"], row["result"], row["status"]
            )
        })
        .collect();
    assert_eq!(
        short,
        [
            r#""(unknown)" "sign_in" "" "failed" 422"#,
            r#""sam" "sign_in" "" "failed" 422"#,
            r#""sam" "change_people" "" "refused" 403"#,
            r#""root" "change_people" "kim" "done" 200"#,
        ]
    );
    assert!(
        !rows.to_string().contains(PASSWORD),
        "a password typed into the wrong field is not written down"
    );
}

#[tokio::test]
async fn the_log_is_append_only_even_for_whoever_holds_the_database() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    world
        .json_as(
            &admin.proof,
            Method::POST,
            "/api/v1/keys",
            &json!({ "label": "CI", "scopes": ["audit:read"] }),
        )
        .await;
    for change in [
        "DELETE FROM audit",
        "UPDATE audit SET login = 'sam'",
        "UPDATE audit SET result = 'refused'",
        "UPDATE audit SET result = NULL",
    ] {
        let error = world.try_execute(change).await.expect_err(change);
        assert!(error.to_string().contains("append-only"), "{change}: {error}");
    }
}

#[tokio::test]
async fn the_log_is_filtered_paged_and_exported_without_formulas() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    for i in 0..60 {
        let wish = json!({ "label": format!("=1+{i}"), "scopes": ["audit:read"] });
        world.json_as(&admin.proof, Method::POST, "/api/v1/keys", &wish).await;
    }
    let page = world.get_as(&admin.proof, "/audit?action=change_own").await.body;
    assert_eq!(page.matches("<tr>").count(), 51, "a page of 50 and the head");
    let at = page.find("/audit?action=change_own&amp;before=").expect("a link to older rows");
    let older = page[at..].split('"').next().expect("an end").replace("&amp;", "&");
    assert_eq!(world.get_as(&admin.proof, &older).await.body.matches("<tr>").count(), 11);
    assert!(
        world.get_as(&admin.proof, "/audit?login=nobody").await.body.contains("Nothing matches")
    );

    let csv = world.get_as(&admin.proof, "/audit.csv").await;
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"audit.csv\"");
    assert!(csv.body.contains(",'=1+59,") && !csv.body.contains(",=1+"), "{}", &csv.body[..600]);
    let lines = world.get_as(&admin.proof, "/audit.jsonl").await.body;
    assert_eq!(lines.lines().count(), 60);
    assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}
