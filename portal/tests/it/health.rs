//! What is open to anyone: health, and nothing of anybody's.

use std::os::unix::fs::PermissionsExt as _;

use http::StatusCode;

use crate::world::World;

#[tokio::test]
async fn health_is_open_and_the_database_is_its_owners_alone() {
    let world = World::new().await;
    assert_eq!(world.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(world.get("/readyz").await.body, "ready\n");
    world.app.stopping.cancel();
    assert_eq!(world.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    for (path, mode) in [("data", 0o700), ("data/portal.sqlite", 0o600)] {
        let found =
            std::fs::metadata(world.folder.path().join(path)).expect("there").permissions().mode();
        assert_eq!(found & 0o777, mode, "{path}");
    }
}

#[tokio::test]
async fn strangers_are_asked_to_sign_in_and_nothing_is_there_that_is_not() {
    let world = World::new().await;
    let home = world.get("/").await;
    assert_eq!(
        (home.status, home.headers["location"].to_str().expect("text")),
        (StatusCode::SEE_OTHER, "/sign-in")
    );
    let page = world.get("/nothing").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.body.contains("Not found"), "{}", page.body);
    let document = world.get("/api/v1/nothing").await;
    assert_eq!(document.headers["content-type"], "application/problem+json");
    assert!(document.body.contains(r#""code":"not_found""#), "{}", document.body);
}
