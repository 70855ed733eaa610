//! Quotas under pressure: the last of something goes to exactly one.

use http::{Method, StatusCode};
use kubesmith_portal::rights::Role;
use serde_json::json;

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_quota_of_one_is_won_by_exactly_one_of_twenty() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let course = world.environment("course").await;
    let quota = format!("/api/v1/environments/{course}/quota");
    let set = world.json_as(&admin.proof, Method::PUT, &quota, &json!({"clusters": 1})).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.body);
    let path = format!("/api/v1/environments/{course}/clusters");
    let forms: Vec<_> = (0..20)
        .map(|number| json!({"name": format!("demo-{number}"), "template": "ubuntu", "size": "small"}))
        .collect();
    let asking = forms.iter().map(|form| world.json_as(&admin.proof, Method::POST, &path, form));
    let answers = futures_util::future::join_all(asking).await;
    let (won, lost): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!(won.len(), 1, "{lost:?}");
    for answer in &lost {
        assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.body);
        assert_eq!(answer.json()["code"], "quota_exceeded", "{}", answer.body);
    }
    let held = world.get_as(&admin.proof, &quota).await.json();
    assert_eq!(
        held["held"],
        json!({"clusters": 1, "machines": 3, "cores": 6, "memory_mib": 12288, "disk_gib": 60})
    );
}

#[tokio::test]
async fn a_quota_counts_for_a_person_an_environment_and_the_site_and_says_which() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let course = world.environment("course").await;
    let create = async |name: &str| {
        let form = json!({"name": name, "template": "ubuntu", "size": "small"});
        let path = format!("/api/v1/environments/{course}/clusters");
        world.json_as(&admin.proof, Method::POST, &path, &form).await
    };
    let quotas = [
        (format!("/api/v1/users/{}/quota", admin.id), "person"),
        (format!("/api/v1/environments/{course}/quota"), "environment"),
        ("/api/v1/quotas/site".to_owned(), "site"),
    ];
    for (path, _) in &quotas {
        let set = world.json_as(&admin.proof, Method::PUT, path, &json!({"machines": 2})).await;
        assert_eq!(set.status, StatusCode::OK, "{}", set.body);
        let refused = create("demo").await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{path}: {}", refused.body);
        assert!(refused.json()["detail"].as_str().expect("a sentence").contains("machines"));
        let set = world.json_as(&admin.proof, Method::PUT, path, &json!({})).await;
        assert_eq!(set.json()["limit"]["machines"].as_u64(), None, "{}", set.body);
    }
    assert_eq!(create("demo").await.status, StatusCode::CREATED);
    // A default counts for whoever has no quota of their own.
    let defaults = json!({"clusters": 1});
    let set = world.json_as(&admin.proof, Method::PUT, "/api/v1/quotas/person", &defaults).await;
    assert_eq!(set.json()["person"]["clusters"], 1, "{}", set.body);
    // Who has one of their own goes by it, until it is taken away.
    let (own, _) = &quotas[0];
    for (limit, counts) in [(json!({"clusters": 5}), 5), (json!({}), 1)] {
        let set = world.json_as(&admin.proof, Method::PUT, own, &limit).await;
        assert_eq!(set.json()["limit"]["clusters"], counts, "{}", set.body);
    }
    let nobody =
        world.json_as(&admin.proof, Method::PUT, "/api/v1/quotas/everybody", &defaults).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    let wrong = world
        .json_as(&admin.proof, Method::PUT, "/api/v1/quotas/site", &json!({"clusters": -1}))
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}
