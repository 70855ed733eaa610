//! Kubeconfigs that were handed out, as far as no cluster is asked.

use kubesmith_portal::ids::KubeconfigId;
use kubesmith_portal::kube::withdraw;
use kubesmith_portal::rights::{Level, Role};
use kubesmith_portal::runs::ask;
use kubesmith_portal::store::kubeconfigs::{Kind, NewKubeconfig};
use kubesmith_portal::time::Time;

use crate::world::World;

#[tokio::test]
async fn what_a_cluster_without_machines_gave_is_taken_back_without_asking_it() {
    let world = World::new().await;
    let sam = world.person("sam", Role::Developer).await;
    let course = world.environment("course").await;
    world.app.store.set_member(&course, &sam.id, Role::Developer).await.expect("a member");
    let cluster = world.cluster("demo", &course, &sam.id).await;
    world.grant(&cluster, &sam, Level::Edit).await;
    for needs in [Level::Use, Level::Edit] {
        let new = NewKubeconfig {
            id: &KubeconfigId::new(),
            cluster: &cluster,
            person: &sam.id,
            kind: Kind::Edit,
            needs,
            namespace: Some("team-blue"),
            account: "kubesmith-x",
            reason: None,
            expires_at: Time::now().plus(jiff::SignedDuration::from_hours(1)),
        };
        world.app.store.add_kubeconfig(new).await.expect("added");
    }
    let held = async || {
        withdraw::look(&world.app).await.expect("looked");
        let held = world.app.store.held_kubeconfigs().await.expect("a list");
        held.iter().map(|held| held.needs).collect::<Vec<_>>()
    };
    // Its lease stands, and no machine: a creation that failed early, or a destroy.
    let state = r#"{"version": 4, "serial": 1, "lineage": "a", "resources": [
        {"mode": "managed", "type": "kubesmith_ip_lease", "instances": [{"attributes": {"addresses": []}}]}]}"#;
    let states = ask::states(&world.app, &cluster).expect("opened");
    std::fs::write(states.path(), state).expect("written");
    assert_eq!(held().await, [Level::Use, Level::Edit]);
    world.grant(&cluster, &sam, Level::Use).await;
    assert_eq!(held().await, [Level::Use], "the other one needs the right to edit");
    world.grant(&cluster, &sam, Level::View).await;
    assert_eq!(held().await, []);
}
