//! Defects of an earlier system of this kind that a router alone can show, each with the test that would have caught it;
//! `twenty.rs` lists all of them.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use kubesmith_portal::people::accounts;
use kubesmith_portal::rights::{Action, Level, Role};
use kubesmith_portal::routes;
use serde_json::json;

use crate::world::{PASSWORD, Proof, World, request};

/// What people type where a name is wanted.
const INJECTIONS: [&str; 16] = [
    "${file(\"/etc/hostname\")}",
    "%{ for x in y }",
    "a\"\nresource \"null_resource\" \"x\" {}",
    "-f",
    "--all",
    "a;id",
    "$(id)",
    "`id`",
    "a b",
    "A",
    "a_b",
    "../a",
    "käse",
    "a\u{202e}b",
    "a\0b",
    "kube-system",
];

/// Names went to a remote shell as they were typed.
#[tokio::test]
async fn nothing_that_a_shell_would_obey_reaches_a_cluster() {
    let world = World::new().await;
    let sam = world.person("sam", Role::Developer).await;
    let course = world.environment("course").await;
    world.app.store.set_member(&course, &sam.id, Role::Developer).await.expect("a member");
    let cluster = world.cluster("demo", &course, &sam.id).await;
    world.grant(&cluster, &sam, Level::Own).await;
    // The cluster has no machines: a name that passed would be told so (409), never run.
    let path = format!("/api/v1/clusters/{cluster}/namespaces");
    let good = world.json_as(&sam.proof, Method::POST, &path, &json!({"name": "team-blue"})).await;
    assert_eq!(good.status, StatusCode::CONFLICT, "{}", good.body);
    for typed in INJECTIONS.iter().copied().chain([&*"x".repeat(64)]) {
        let made = world.json_as(&sam.proof, Method::POST, &path, &json!({"name": typed})).await;
        assert_eq!(made.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed:?}: {}", made.body);
        let wish = json!({"namespace": typed});
        let kubeconfigs = format!("/api/v1/clusters/{cluster}/kubeconfigs");
        let asked = world.json_as(&sam.proof, Method::POST, &kubeconfigs, &wish).await;
        assert_eq!(asked.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed:?}: {}", asked.body);
        let typed: String = url::form_urlencoded::byte_serialize(typed.as_bytes()).collect();
        let one = format!("{path}/{}", typed.replace('+', "%20"));
        let gone = world.json_as(&sam.proof, Method::DELETE, &one, &json!({})).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND, "{typed:?}: {}", gone.body);
    }
}

/// A form's fields were pasted into HCL; the cleaned name was computed and then not used.
#[tokio::test]
async fn what_people_type_is_a_name_or_refused_and_never_hcl() {
    let world = World::new().await;
    let sam = world.person("sam", Role::Developer).await;
    let course = world.environment("course").await;
    world.app.store.set_member(&course, &sam.id, Role::Developer).await.expect("a member");
    let path = format!("/api/v1/environments/{course}/clusters");
    let form = |field: &str, typed: &str| {
        let mut form = json!({"name": "demo", "template": "ubuntu", "size": "small"});
        form[field] = typed.into();
        form
    };
    for field in ["name", "template", "size"] {
        for typed in INJECTIONS.iter().filter(|typed| field != "name" || **typed != "kube-system") {
            let asked = world.json_as(&sam.proof, Method::POST, &path, &form(field, typed)).await;
            assert_eq!(asked.status, StatusCode::UNPROCESSABLE_ENTITY, "{field} {typed:?}");
            assert_eq!(asked.json()["fields"][0]["field"], field, "{}", asked.body);
        }
    }
    let made = world.json_as(&sam.proof, Method::POST, &path, &form("name", "demo")).await;
    let cluster = made.json()["cluster"].as_str().expect("an id").to_owned();
    for typed in ["${1}", "1e3", "-1", "1; rm"] {
        let path = format!("/api/v1/clusters/{cluster}");
        let asked =
            world.json_as(&sam.proof, Method::PATCH, &path, &json!({"workers": typed})).await;
        assert_eq!(asked.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}: {}", asked.body);
    }
}

/// A session's secret stood in an address, from where it went into logs and to other sites.
#[tokio::test]
async fn a_session_is_a_cookie_of_this_site_and_stands_in_no_address() {
    let world = World::new().await;
    let sam = world.person("sam", Role::Developer).await;
    let link = accounts::link_for(&world.app, &sam.id).await.expect("a link");
    let path = link.url.strip_prefix("https://kubesmith.example.edu").expect("a path");
    let form = [("password", PASSWORD), ("again", PASSWORD)];
    let signed_in = world.post_as(&Proof::Nothing, path, &form).await;
    assert_eq!(
        (signed_in.status, signed_in.header("location")),
        (StatusCode::SEE_OTHER, "/"),
        "{}",
        signed_in.body
    );
    let cookie = signed_in.header("set-cookie");
    for part in ["__Host-ks=", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{part}: {cookie}");
    }
    let Proof::Session(token) = signed_in.session() else { unreachable!() };
    let token = token.split_once('=').expect("a token").1;
    for path in [format!("/?session={token}"), format!("/api/v1/me?token={token}")] {
        let answer = world.get(&path).await;
        assert_ne!(answer.status, StatusCode::OK, "{path}");
    }
}

/// Lists checked the role and not the grant: everybody saw everything.
#[tokio::test]
async fn lists_hold_only_what_one_may_see_and_the_rest_is_not_there() {
    let world = World::new().await;
    let sam = world.person("sam", Role::Developer).await;
    let (mine, other) = (world.environment("mine").await, world.environment("other").await);
    world.app.store.set_member(&mine, &sam.id, Role::Developer).await.expect("a member");
    let list = world.get_as(&sam.proof, "/api/v1/environments").await.body;
    assert!(list.contains("\"mine\"") && !list.contains("\"other\""), "{list}");
    let page = world.get_as(&sam.proof, "/environments").await.body;
    assert!(page.contains("Course mine") && !page.contains("Course other"), "{page}");
    let there = world.get_as(&sam.proof, &format!("/api/v1/environments/{other}")).await;
    let nowhere = world.get_as(&sam.proof, "/api/v1/environments/01ARZ3NDEKTSV4RRFFQ69G5FAV").await;
    assert_eq!((there.status, nowhere.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    let same = |mut document: serde_json::Value| {
        document["request"] = json!("");
        document
    };
    assert_eq!(same(there.json()), same(nowhere.json()), "the answers tell nothing apart");
}

/// A page handed out a session without asking who was there.
#[test]
fn only_health_styles_and_signing_in_are_open() {
    let open: Vec<_> = routes::table()
        .into_iter()
        .filter(|route| matches!(route.action, Action::Open | Action::SignIn))
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    assert_eq!(
        open,
        [
            "GET /healthz",
            "GET /readyz",
            "GET /assets/{file}",
            "GET /sign-in",
            "POST /sign-in",
            "GET /link/{secret}",
            "POST /link/{secret}",
            // The same document for everybody, as it is printed by the program.
            "GET /api/v1/openapi.json"
        ]
    );
}

/// admin/admin.
#[tokio::test]
async fn a_new_site_has_no_account_and_no_default_password() {
    let world = World::new().await;
    for (login, password) in
        [("admin", "admin"), ("admin", ""), ("root", "root"), ("kubesmith", "kubesmith")]
    {
        let answer = world
            .post_as(&Proof::Nothing, "/sign-in", &[("login", login), ("password", password)])
            .await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{login}");
    }
    assert_eq!(world.app.store.people().await.expect("a list").len(), 0);
}

/// Passwords were one round of SHA-256, session tokens and keys lay in the database in clear.
#[tokio::test]
async fn the_database_holds_no_secret_in_clear() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let link = accounts::link_for(&world.app, &admin.id).await.expect("a link");
    let secret = link.url.rsplit('/').next().expect("a secret").to_owned();
    let path = format!("/link/{secret}");
    let signed_in =
        world.post_as(&Proof::Nothing, &path, &[("password", PASSWORD), ("again", PASSWORD)]).await;
    let Proof::Session(cookie) = signed_in.session() else { unreachable!() };
    let token = cookie.strip_prefix("__Host-ks=").expect("a token");
    let folder = world.app.config.data.clone();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            found.extend(std::fs::read(path).expect("a file"));
        }
    }
    let text = String::from_utf8_lossy(&found);
    for secret in [PASSWORD, secret.as_str(), token] {
        assert!(!text.contains(secret), "{secret} lies in the data folder");
    }
    assert!(text.contains("$argon2id$v=19$m=19456,t=2,p=1$"), "the password's hash is Argon2id");
}

/// Sessions never ended; see also `people.rs`.
#[tokio::test]
async fn no_session_and_no_key_lives_for_ever() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let never = json!({ "label": "CI", "scopes": ["clusters:read"], "days": 100_000 });
    let refused = world.json_as(&admin.proof, Method::POST, "/api/v1/keys", &never).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let unlimited = "INSERT INTO sessions SELECT id || 'x', hash || 'x', person, created_at, seen_at, NULL, address, agent FROM sessions";
    assert!(world.try_execute(unlimited).await.is_err(), "the table has no room for one");
}

/// A GET changed state, and another site could make a browser send anything.
#[tokio::test]
async fn requests_that_another_site_made_a_browser_send_are_refused() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let forged = |headers: &[(&str, &str)]| {
        let mut request = request(
            Method::POST,
            "/people",
            &admin.proof,
            Body::from("login=eve&name=Eve&role=admin"),
        );
        request
            .headers_mut()
            .insert("content-type", "application/x-www-form-urlencoded".parse().expect("a value"));
        request.headers_mut().insert("host", "kubesmith.example.edu".parse().expect("a value"));
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().expect("a name");
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        request
    };
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        // A proxy that rewrote Host to the attacker's name changes nothing: the origin is not ours.
        &[("origin", "https://evil.example"), ("x-forwarded-host", "evil.example")],
    ] {
        let answer = world.send(forged(headers)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(answer.body.contains("another site"), "{}", answer.body);
    }
    assert_eq!(world.app.store.people().await.expect("a list").len(), 1, "nobody was added");
    let own = world
        .send(forged(&[("origin", "https://kubesmith.example.edu"), ("host", "127.0.0.1:8080")]))
        .await;
    assert_eq!(
        own.status,
        StatusCode::OK,
        "our own origin, behind a proxy that rewrites Host: {}",
        own.body
    );
    for route in routes::table().iter().filter(|route| route.method == Method::GET) {
        let verbs = [
            "/revoke",
            "/remove",
            "/end",
            "/disable",
            "/enable",
            "/sign-out",
            "/cancel",
            "/approve",
            "/destroy",
        ];
        assert!(
            !verbs.iter().any(|verb| route.path.ends_with(verb)),
            "GET {} sounds like a change",
            route.path
        );
    }
}

/// How long an answer becomes when it is compressed tells of the secret in it to whoever can choose what stands beside it.
#[tokio::test]
async fn pages_are_compressed_and_secrets_are_not() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let sam = world.person("sam", Role::Developer).await;
    let course = world.environment("course").await;
    let cluster = world.cluster("demo", &course, &admin.id).await;
    let link = format!("/people/{}/link", sam.id);
    let behind = accounts::link_for(&world.app, &sam.id).await.expect("a link").url;
    let behind = behind.strip_prefix(&world.app.config.origin()).expect("of this portal");
    let key = "label=CI&scopes=audit%3Aread&days=7";
    let state = format!("/api/v1/clusters/{cluster}/state");
    let folder = world.app.config.workspaces().join(cluster.as_str()).join("state");
    std::fs::create_dir_all(&folder).expect("made");
    std::fs::write(folder.join("current.tfstate"), " ".repeat(1000)).expect("written");
    for (method, path, form, compressed) in [
        (Method::GET, "/", "", true),
        (Method::GET, "/api/v1/openapi.json", "", true),
        (Method::GET, behind, "", false),
        (Method::POST, link.as_str(), "", false),
        (Method::POST, "/profile/keys", key, false),
        (Method::GET, state.as_str(), "", false),
    ] {
        let mut request = request(method, path, &admin.proof, Body::from(form));
        for (name, value) in [
            ("accept-encoding", "gzip"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("sec-fetch-site", "same-origin"),
        ] {
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        let answer = world.send(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        let encoding = answer.header("content-encoding");
        assert_eq!(encoding, if compressed { "gzip" } else { "" }, "{path}");
    }
}

/// Nothing of a page came with headers that keep other sites out.
#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_others_out() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    for path in ["/", "/sign-in", "/nothing", "/api/v1/me", "/api/v1/nothing", "/people"] {
        let answer = world.get_as(&admin.proof, path).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(answer.header("strict-transport-security").starts_with("max-age="), "{path}");
        assert!(
            !answer.body.contains("<script>")
                && !answer.body.contains("style=\"")
                && !answer.body.contains("onclick")
        );
    }
}

/// What people type came back as markup.
#[tokio::test]
async fn what_people_type_is_text_wherever_it_is_shown() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let typed = "<script>alert(1)</script>\"'{{ me }}{% raw %}${x}";
    let form = [("login", "sam"), ("name", typed), ("role", "developer")];
    let answer = world.post_as(&admin.proof, "/people", &form).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let list = world.get_as(&admin.proof, "/people").await.body;
    assert!(list.contains("&lt;script&gt;alert(1)") && !list.contains("<script>alert"), "{list}");
    let bad = world
        .post_as(&admin.proof, "/people", &[("login", typed), ("name", "x"), ("role", "developer")])
        .await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bad.body.contains("&lt;script&gt;") && !bad.body.contains("<script>"), "{}", bad.body);
    let path = world.get("/%3Cscript%3Ealert(1)%3C/script%3E").await.body;
    assert!(!path.contains("<script>"), "{path}");
}

/// An instructor could not clean up a course: only a global administrator could change or destroy.
#[tokio::test]
async fn whoever_leads_a_course_owns_its_clusters_without_being_an_administrator() {
    let world = World::new().await;
    let (lead, sam) =
        (world.person("lead", Role::TeamLead).await, world.person("sam", Role::Developer).await);
    let course = world.environment("course").await;
    world.app.store.set_member(&course, &lead.id, Role::TeamLead).await.expect("a member");
    let cluster = world.cluster("demo", &course, &sam.id).await;
    world.grant(&cluster, &sam, Level::Own).await;
    let shared = world
        .post_as(
            &lead.proof,
            &format!("/clusters/{cluster}/sharing"),
            &[("login", "lead"), ("level", "edit")],
        )
        .await;
    assert_eq!(shared.status, StatusCode::SEE_OTHER, "{}", shared.body);
    assert_eq!(world.get_as(&lead.proof, "/people").await.status, StatusCode::FORBIDDEN);
}

/// Paths were made of what came in.
#[tokio::test]
async fn identifiers_that_are_none_name_nothing() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    for id in
        ["..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "01arz3ndektsv4rrffq69g5fav", "1", "';--", "%00"]
    {
        for path in [
            format!("/environments/{id}"),
            format!("/api/v1/clusters/{id}/grants"),
            format!("/people/{id}"),
            format!("/assets/{id}"),
        ] {
            let answer = world.get_as(&admin.proof, &path).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {}", answer.body);
        }
    }
}

/// Bodies without a bound.
#[tokio::test]
async fn a_body_that_is_too_large_or_malformed_is_refused_with_a_sentence() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let large = json!({ "label": "x".repeat(100_000), "scopes": ["clusters:read"] });
    let answer = world.json_as(&admin.proof, Method::POST, "/api/v1/keys", &large).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let unknown = json!({ "label": "x", "scopes": ["clusters:read"], "owner": "root" });
    let answer = world.json_as(&admin.proof, Method::POST, "/api/v1/keys", &unknown).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answer.json()["detail"].as_str().expect("a sentence").contains("owner"),
        "{}",
        answer.body
    );
    let Proof::Session(cookie) = &admin.proof else { unreachable!() };
    let broken = Request::post("/api/v1/keys")
        .header("cookie", cookie)
        .header("content-type", "application/json");
    let answer = world.send(broken.body(Body::from("{")).expect("a request")).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (StatusCode::BAD_REQUEST, "application/problem+json")
    );
}
