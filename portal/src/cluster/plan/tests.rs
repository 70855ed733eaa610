use serde_json::json;

use super::*;

fn cluster(workers: u32) -> Value {
    json!({
        "name": "demo", "kubernetes_version": "1.36.4", "template": "ubuntu-24.04-k8s-1.36",
        "control_plane": {"cores": 2, "memory_mib": 4096, "disk_gib": 20},
        "workers": {"count": workers, "cores": 2, "memory_mib": 4096, "disk_gib": 20},
        "package_mirror": null,
    })
}

fn standing(workers: u32) -> Value {
    let mut cluster = cluster(workers);
    let names = std::iter::once("demo-cp-1".to_owned())
        .chain((1..=workers).map(|i| format!("demo-worker-{i}")));
    let nodes = names
        .zip(204..)
        .map(|(name, last)| json!({"name": name, "address": format!("10.40.19.{last}")}));
    cluster["nodes"] = nodes.collect();
    cluster
}

fn lease() -> Value {
    let addresses: Vec<_> = (204..210).map(|last| format!("10.40.19.{last}")).collect();
    json!({"name": "demo", "pool": "lab", "size": 6, "addresses": addresses})
}

fn change(address: &str, actions: &[&str], before: &Value, after: &Value) -> Value {
    json!({
        "address": address, "mode": "managed", "provider_name": PROVIDER,
        "change": {"actions": actions, "before": before, "after": after},
    })
}

fn plan(changes: &[Value], destroy: bool) -> Result<Plan, Refused> {
    read(&json!({"format_version": "1.2", "resource_changes": changes}).to_string(), destroy)
}

fn words(changes: &[Value], destroy: bool) -> String {
    let plan = plan(changes, destroy).unwrap();
    let lines = plan.lines.iter().map(|line| format!("{:?}: {}", line.effect, line.text));
    std::iter::once(plan.headline.clone()).chain(lines).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_create_says_what_is_made() {
    let mut fresh = lease();
    fresh.as_object_mut().unwrap().remove("addresses");
    let changes = [
        change(CLUSTER, &["create"], &Value::Null, &cluster(2)),
        change(LEASE, &["create"], &Value::Null, &fresh),
    ];
    insta::assert_snapshot!(words(&changes, false));
}

#[test]
fn a_create_on_leased_addresses_names_them() {
    let changes = [
        change(CLUSTER, &["create"], &Value::Null, &cluster(2)),
        change(LEASE, &["no-op"], &lease(), &lease()),
    ];
    insta::assert_snapshot!(words(&changes, false));
}

#[test]
fn changes_name_the_machines_they_are_about() {
    let update = |before: &Value, after: &Value| {
        words(
            &[
                change(CLUSTER, &["update"], before, after),
                change(LEASE, &["no-op"], &lease(), &lease()),
            ],
            false,
        )
    };
    let mut bigger = standing(2);
    bigger["workers"]["cores"] = json!(4);
    bigger["kubernetes_version"] = json!("1.37.0");
    let all = [
        update(&standing(2), &standing(4)),
        update(&standing(4), &standing(1)),
        update(&standing(2), &bigger),
        update(&standing(2), &standing(2)),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn what_is_replaced_or_destroyed_is_said_first() {
    let mut replaced = change(CLUSTER, &["delete", "create"], &standing(2), &cluster(2));
    replaced["change"]["replace_paths"] = json!([["template"]]);
    let mut tainted = change(CLUSTER, &["delete", "create"], &standing(2), &cluster(2));
    tainted["action_reason"] = json!("replace_because_tainted");
    let kept = change(LEASE, &["no-op"], &lease(), &lease());
    let gone = [
        change(CLUSTER, &["delete"], &standing(2), &Value::Null),
        change(LEASE, &["delete"], &lease(), &Value::Null),
    ];
    let all = [
        words(&[replaced, kept.clone()], false),
        words(&[tainted, kept.clone()], false),
        words(&gone, true),
        words(&gone[1..], true),
        words(&[change(CLUSTER, &["no-op"], &standing(2), &standing(2)), kept], false),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn a_plan_that_is_none_of_ours_is_refused() {
    let refused = |changes: &[Value], destroy| plan(changes, destroy).unwrap_err().to_string();
    let created = || change(CLUSTER, &["create"], &Value::Null, &cluster(2));
    let mut elsewhere = created();
    elsewhere["address"] = json!("null_resource.x");
    assert!(refused(&[created(), elsewhere], false).contains("null_resource.x"));
    let mut foreign = created();
    foreign["provider_name"] = json!("registry.terraform.io/hashicorp/external");
    assert!(refused(&[foreign], false).contains("kubesmith_cluster"));
    let mut data = created();
    data["mode"] = json!("data");
    assert!(refused(&[data], false).contains("does not have"));
    let mut imported = created();
    imported["change"]["importing"] = json!({"id": "demo"});
    assert!(refused(&[imported], false).contains("does not have"));
    assert!(refused(&[created()], true).contains("would make"));
    assert!(
        refused(&[change(CLUSTER, &["forget"], &standing(1), &Value::Null)], false)
            .contains("forget")
    );
    assert!(read("{", false).is_err());
    assert!(read(r#"{"errored":true}"#, false).is_err());
}
