//! What a portal makes good when it starts after it was killed.

use http::StatusCode;
use kubesmith_portal::ids::RunId;
use kubesmith_portal::rights::Role;
use kubesmith_portal::runs::recover::recover;
use kubesmith_portal::time::Time;

use crate::world::{SPEC, World};

/// Killed between what the database and what the log was to hold of it.
#[tokio::test]
async fn what_the_database_knows_and_the_log_does_not_is_told_after_a_restart() {
    let world = World::new().await;
    let sam = world.person("sam", Role::Admin).await;
    let course = world.environment("course").await;
    for (state, finished) in [("succeeded", true), ("awaiting_approval", false)] {
        let cluster = world.cluster(&state.replace('_', "-"), &course, &sam.id).await;
        let (run, now) = (RunId::new(), Time::now());
        let finished = if finished { format!("'{now}'") } else { "NULL".to_owned() };
        world
            .execute(&format!(
                "INSERT INTO runs (id, cluster, kind, state, spec, requested_by, created_at, finished_at)
                 VALUES ('{run}', '{cluster}', 'create', '{state}', '{SPEC}', '{}', '{now}', {finished})",
                sam.id
            ))
            .await;
        let folder = world.app.config.workspaces().join(cluster.as_str()).join("runs");
        let folder = folder.join(run.as_str());
        std::fs::create_dir_all(&folder).expect("a folder");
        let line = r#"{"time":"2026-11-25T18:10:50.949Z","type":"state","state":"verifying"}"#;
        std::fs::write(folder.join("log.jsonl"), format!("{line}\n")).expect("a log");
        std::fs::write(folder.join("apply.stdout"), "{}\n").expect("Terraform's own output");

        assert!(recover(&world.app).await.expect("made good").is_empty());
        recover(&world.app).await.expect("made good");
        let log = world.get_as(&sam.proof, &format!("/api/v1/runs/{run}/log")).await;
        assert_eq!(log.status, StatusCode::OK, "{}", log.body);
        let lines: Vec<_> = log.body.lines().collect();
        assert_eq!(lines.len(), 2, "{}", log.body);
        assert!(lines[1].contains(&format!("\"state\":\"{state}\"")), "{}", log.body);
        assert!(!folder.join("apply.stdout").exists());
    }
}
