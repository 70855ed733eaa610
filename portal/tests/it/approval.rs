//! Who may approve which plan.

use http::{Method, StatusCode};
use kubesmith_portal::ids::{ClusterId, RunId};
use kubesmith_portal::rights::{Level, Role};
use kubesmith_portal::time::Time;
use serde_json::json;

use crate::world::{Person, SPEC, World};

/// What a run does, and the gravest thing in its plan.
const DESTROY: (&str, &str) = ("destroy", "destroys");
const LEFTOVERS: (&str, &str) = ("destroy", "removes");
const REPLACE: (&str, &str) = ("change", "replaces");
const RETRY: (&str, &str) = ("retry", "replaces");
const SCALE: (&str, &str) = ("change", "removes");

/// A run that waits for its approval, as if Terraform had planned it.
async fn planned(
    world: &World,
    cluster: &ClusterId,
    by: &Person,
    (kind, effect): (&str, &str),
) -> RunId {
    let (run, now, amount) = (
        RunId::new(),
        Time::now(),
        json!({"clusters": 1, "machines": 3, "cores": 6, "memory_mib": 12288, "disk_gib": 60}),
    );
    let plan =
        json!({"headline": "", "lines": [], "effect": effect, "before": amount, "after": amount});
    world
        .execute(&format!("UPDATE runs SET finished_at = '{now}' WHERE cluster = '{cluster}'"))
        .await;
    world
        .execute(&format!(
            "INSERT INTO runs (id, cluster, kind, state, spec, plan, plan_hash, requested_by, created_at)
             VALUES ('{run}', '{cluster}', '{kind}', 'awaiting_approval', '{SPEC}', '{plan}', 'seen', '{}', '{now}')",
            by.id
        ))
        .await;
    run
}

#[tokio::test]
async fn a_plan_that_destroys_is_approved_by_who_owns_the_cluster_and_only_without_protection() {
    let world = World::new().await;
    let (own, edit) =
        (world.person("own", Role::Developer).await, world.person("edit", Role::Developer).await);
    let admin = world.person("root", Role::Admin).await;
    let course = world.environment("course").await;
    let cluster = world.cluster("demo", &course, &own.id).await;
    for (person, level) in [(&own, Level::Own), (&edit, Level::Edit)] {
        world.app.store.set_member(&course, &person.id, Role::Developer).await.expect("a member");
        world.grant(&cluster, person, level).await;
    }
    let (ok, forbidden, conflict) = (StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::CONFLICT);
    for (what, protected, by_edit, by_own) in [
        (DESTROY, true, forbidden, conflict),
        (LEFTOVERS, true, forbidden, conflict),
        (REPLACE, true, forbidden, conflict),
        (RETRY, true, forbidden, conflict),
        (SCALE, true, ok, ok),
        (DESTROY, false, forbidden, ok),
        (LEFTOVERS, false, forbidden, ok),
        (REPLACE, false, forbidden, ok),
        (RETRY, false, forbidden, ok),
        (SCALE, false, ok, ok),
    ] {
        world.execute(&format!("UPDATE clusters SET protected = {protected}")).await;
        for (person, expected) in [(&edit, by_edit), (&own, by_own)] {
            let run = planned(&world, &cluster, person, what).await;
            let offered = world.get_as(&person.proof, &format!("/runs/{run}")).await.body;
            let button = format!("action=\"/runs/{run}/approve\"");
            assert_eq!(
                offered.contains(&button),
                expected == ok,
                "{what:?} {protected}: {offered}"
            );
            let path = format!("/api/v1/runs/{run}/approve");
            let seen = json!({"plan_hash": "seen"});
            let answer = world.json_as(&person.proof, Method::POST, &path, &seen).await;
            assert_eq!(answer.status, expected, "{what:?} {protected}: {}", answer.body);
            if expected == conflict {
                assert_eq!(answer.json()["code"], "protected", "{}", answer.body);
            }
            let state = world.get_as(&person.proof, &format!("/api/v1/runs/{run}")).await.json();
            let expected = if expected == ok { "approved" } else { "awaiting_approval" };
            assert_eq!(state["state"], expected, "{what:?} {protected}");
            let noted = json!({"approve": run, "kind": what.0}).to_string();
            let audit = world.get_as(&admin.proof, "/api/v1/audit").await.json();
            assert_eq!(audit[0]["detail"], noted, "what was approved, or was to be: {audit}");
        }
    }
}
