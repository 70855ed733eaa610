//! What was begun is done to its end, whatever becomes of its client or its handler.

use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http::{Method, Request, StatusCode};
use kubesmith_portal::rights::{Action, Role};
use kubesmith_portal::store::idempotency::Before;
use kubesmith_portal::{gate, serve};
use serde_json::json;
use tokio::sync::oneshot;
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;

use crate::world::{World, request};

#[tokio::test]
async fn a_client_that_hangs_up_leaves_nothing_half_made() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let course = world.environment("course").await;
    let path = format!("/api/v1/environments/{course}/clusters");
    let asked = || {
        let form = json!({"name": "demo", "template": "ubuntu", "size": "small"});
        let mut request = request(Method::POST, &path, &admin.proof, Body::from(form.to_string()));
        let headers = request.headers_mut();
        headers.insert("content-type", "application/json".parse().expect("a value"));
        headers.insert("idempotency-key", "one".parse().expect("a value"));
        request
    };
    assert!(world.send(asked()).now_or_never().is_none(), "dropped before there was an answer");
    world.app.requests.close();
    world.app.requests.wait().await;

    let clusters = world.get_as(&admin.proof, "/api/v1/clusters").await.json();
    assert_eq!(clusters[0]["name"], "demo", "{clusters}");
    let rows = world.get_as(&admin.proof, "/api/v1/audit").await.json();
    assert_eq!(
        (&rows[0]["result"], &rows[0]["status"], &rows[0]["target_name"]),
        (&json!("done"), &json!(201), &json!("demo")),
        "{rows}"
    );
    let again = world.send(asked()).await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.body);
    assert_eq!(again.json()["cluster"], clusters[0]["id"], "the same, and no second one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_change_one_cluster_at_once_exactly_one_does() {
    let world = World::new().await;
    let course = world.environment("course").await;
    let sam = world.person("sam", Role::Developer).await;
    let cluster = world.cluster("demo", &course, &sam.id).await;
    let mut people = Vec::new();
    for login in ["ida", "kim", "lee", "max"] {
        people.push(world.person(login, Role::Admin).await);
    }
    let path = format!("/api/v1/clusters/{cluster}");
    let wish = json!({"workers": 2});
    let asking = people.iter().map(|one| world.json_as(&one.proof, Method::PATCH, &path, &wish));
    let answers = futures_util::future::join_all(asking).await;
    let (won, lost): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == StatusCode::ACCEPTED);
    assert_eq!((won.len(), lost.len()), (1, 3), "{lost:?}");
    for answer in lost {
        assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.body);
        assert_eq!(answer.json()["code"], "busy", "{}", answer.body);
    }
}

#[tokio::test]
async fn a_portal_that_is_full_says_so_and_tells_that_it_lives() {
    let world = World::with(|config| config.parallel_requests = 1).await;
    let admin = world.person("root", Role::Admin).await;
    let (rest, body) = oneshot::channel::<String>();
    let body = Body::from_stream(stream::once(body));
    let mut slow = request(Method::POST, "/api/v1/environments", &admin.proof, body);
    slow.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
    assert!(world.send(slow).now_or_never().is_none(), "hangs up, and its work goes on");

    let page = world.get_as(&admin.proof, "/").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{}", page.body);
    assert_eq!(page.header("retry-after"), "2");
    assert!(page.body.contains("<h1>Busy") && page.body.contains("Try again"), "{}", page.body);
    let problem = world.get_as(&admin.proof, "/api/v1/me").await;
    assert_eq!(problem.status, StatusCode::SERVICE_UNAVAILABLE, "{}", problem.body);
    assert_eq!(problem.header("retry-after"), "2");
    assert_eq!(problem.header("content-type"), "application/problem+json");
    assert_eq!(problem.json()["code"], "full");
    assert_eq!(world.get("/healthz").await.body, "alive\n");
    assert_eq!(world.get("/readyz").await.body, "ready\n");

    let wish = json!({"name": "late", "title": "Late", "kind": "course", "bridge": "vmbr0", "address_pool": "lab"});
    rest.send(wish.to_string()).expect("still waited for");
    world.app.requests.close();
    world.app.requests.wait().await;
    let made = world.get_as(&admin.proof, "/api/v1/environments").await;
    assert_eq!(made.json()[0]["name"], "late", "{}", made.body);
}

#[tokio::test]
async fn whoever_watches_a_run_takes_no_place() {
    let world = World::with(|config| config.parallel_requests = 1).await;
    let admin = world.person("root", Role::Admin).await;
    let course = world.environment("course").await;
    let form = json!({"name": "demo", "template": "ubuntu", "size": "small"});
    let path = format!("/api/v1/environments/{course}/clusters");
    let made = world.json_as(&admin.proof, Method::POST, &path, &form).await.json();
    let live = format!("/runs/{}/live", made["run"].as_str().expect("a run"));
    let watching = world.response(request(Method::GET, &live, &admin.proof, Body::empty())).await;
    assert_eq!(watching.status(), StatusCode::OK);
    let mut events = watching.into_body().into_data_stream();
    events.next().await.expect("an event").expect("whole");

    let home = world.get_as(&admin.proof, "/").await;
    assert_eq!(home.status, StatusCode::OK, "{}", home.body);
    assert!(events.next().now_or_never().is_none(), "the stream is still open");
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_for() {
    async fn panics() -> StatusCode {
        panic!("a handler of the tests")
    }
    let world = World::new().await;
    let gate = from_fn_with_state((world.app.clone(), "/", Action::Open), gate::pass);
    let router =
        axum::Router::new().route("/", get(panics).layer(gate)).layer(CatchPanicLayer::new());
    let asked = Request::get("/").body(Body::empty()).expect("a request");
    let answer = router.oneshot(asked).await.expect("infallible");
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_key_of_a_request_that_died_with_the_portal_is_free_a_day_later() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let begun =
        async |key| world.app.store.begin_once(&admin.id, key, "a request").await.expect("asked");
    for key in ["old", "new"] {
        assert_eq!(begun(key).await, Before::Never);
    }
    world
        .execute("UPDATE idempotency SET created_at = '2020-01-01T00:00:00.000Z' WHERE key = 'old'")
        .await;
    serve::sweep_once(&world.app).await.expect("swept");
    assert_eq!([begun("old").await, begun("new").await], [Before::Never, Before::Unfinished]);
}
