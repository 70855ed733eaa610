//! From the first link to sessions and keys, as people and programs meet them.

use http::{Method, StatusCode};
use kubesmith_portal::people::accounts;
use kubesmith_portal::rights::{KeyScope, Level, Role};
use serde_json::json;

use crate::world::{PASSWORD, Person, Proof, World};

fn path_of(url: &str) -> &str {
    url.strip_prefix("https://kubesmith.example.edu").expect("our address")
}

/// The session of somebody who has set [`PASSWORD`] by a link.
async fn session_by_link(world: &World, person: &Person) -> Proof {
    let link = accounts::link_for(&world.app, &person.id).await.expect("a link");
    let form = [("password", PASSWORD), ("again", PASSWORD)];
    world.post_as(&Proof::Nothing, path_of(&link.url), &form).await.session()
}

#[tokio::test]
async fn the_first_link_makes_an_administrator_and_is_good_once() {
    let world = World::new().await;
    let link = accounts::bootstrap(&world.app).await.expect("made").expect("nobody administers");
    let path = path_of(&link.url);
    for _ in 0..2 {
        let page = world.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "looking does not use it up");
        assert_eq!(page.header("cache-control"), "no-store");
    }
    let weak = [("login", "Root!"), ("name", "R"), ("password", "short"), ("again", "short")];
    let refused = world.post_as(&Proof::Nothing, path, &weak).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("at least 12 characters"), "{}", refused.body);
    assert!(refused.body.contains("lower-case letters"), "{}", refused.body);

    let form =
        [("login", "root"), ("name", "Robin Root"), ("password", PASSWORD), ("again", PASSWORD)];
    let made = world.post_as(&Proof::Nothing, path, &form).await;
    assert_eq!((made.status, made.header("location")), (StatusCode::SEE_OTHER, "/"));
    let home = world.get_as(&made.session(), "/people").await;
    assert!(home.body.contains("Robin Root"), "{}", home.body);

    assert_eq!(world.get(path).await.status, StatusCode::GONE);
    let again = world.post_as(&Proof::Nothing, path, &form).await;
    assert_eq!(again.status, StatusCode::GONE);
    assert!(
        accounts::bootstrap(&world.app).await.expect("asked").is_none(),
        "the site is administered"
    );
}

#[tokio::test]
async fn of_two_who_open_a_link_at_once_one_sets_the_password() {
    let world = World::new().await;
    let link = accounts::bootstrap(&world.app).await.expect("made").expect("nobody administers");
    let path = path_of(&link.url);
    let form =
        |login| [("login", login), ("name", "R"), ("password", PASSWORD), ("again", PASSWORD)];
    let (one, two) = (form("one"), form("two"));
    let both = tokio::join!(
        world.post_as(&Proof::Nothing, path, &one),
        world.post_as(&Proof::Nothing, path, &two)
    );
    let mut found = [both.0.status, both.1.status];
    found.sort_unstable();
    assert_eq!(found, [StatusCode::SEE_OTHER, StatusCode::GONE]);
}

#[tokio::test]
async fn somebody_is_invited_sets_a_password_signs_in_and_out() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let form = [("login", "sam"), ("name", "Sam O'Neill"), ("role", "developer")];
    let page = world.post_as(&admin.proof, "/people", &form).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let start = page.body.find("https://kubesmith.example.edu/link/").expect("a link");
    let url = page.body[start..].split('"').next().expect("an end");

    let nothing_yet = world
        .post_as(&Proof::Nothing, "/sign-in", &[("login", "sam"), ("password", PASSWORD)])
        .await;
    assert_eq!(nothing_yet.status, StatusCode::UNPROCESSABLE_ENTITY);
    let set = world
        .post_as(&Proof::Nothing, path_of(url), &[("password", PASSWORD), ("again", PASSWORD)])
        .await;
    assert_eq!(set.status, StatusCode::SEE_OTHER, "{}", set.body);

    let form = [("login", "Sam "), ("password", PASSWORD), ("next", "/environments")];
    let signed_in = world.post_as(&Proof::Nothing, "/sign-in", &form).await;
    assert_eq!(
        (signed_in.status, signed_in.header("location")),
        (StatusCode::SEE_OTHER, "/environments")
    );
    let cookie = signed_in.header("set-cookie");
    for attribute in ["__Host-ks=", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{attribute}: {cookie}");
    }
    let session = signed_in.session();
    assert!(world.get_as(&session, "/").await.body.contains("Sam O&#x27;Neill"));

    let out = world.post_as(&session, "/sign-out", &[]).await;
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{}", out.header("set-cookie"));
    assert_eq!(world.get_as(&session, "/").await.header("location"), "/sign-in");
}

#[tokio::test]
async fn unknown_login_and_wrong_password_answer_the_same_and_are_braked() {
    let world = World::new().await;
    world.person("sam", Role::Developer).await;
    let attempt = async |login| {
        world
            .post_as(
                &Proof::Nothing,
                "/sign-in",
                &[("login", login), ("password", "wrong horse battery")],
            )
            .await
    };
    let (known, unknown) = (attempt("sam").await, attempt("kim").await);
    assert_eq!(known.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(known.body.replace("sam", "kim"), unknown.body);
    for login in ["sam", "kim"] {
        for _ in 0..4 {
            attempt(login).await;
        }
        let braked = attempt(login).await;
        assert_eq!(braked.status, StatusCode::TOO_MANY_REQUESTS, "{login}");
        assert!(!braked.header("retry-after").is_empty());
    }
}

#[tokio::test]
async fn signing_in_gives_a_new_session_and_ends_the_one_before() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let first = session_by_link(&world, &admin).await;
    let second = world
        .post_as(&first, "/sign-in", &[("login", "root"), ("password", PASSWORD)])
        .await
        .session();
    assert_eq!(
        world.get_as(&first, "/").await.status,
        StatusCode::SEE_OTHER,
        "fixed by whoever knew it before"
    );
    assert_eq!(world.get_as(&second, "/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn sessions_end_by_idleness_by_age_by_hand_and_with_the_account() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let sam = world.person("sam", Role::Developer).await;
    let alive =
        async |proof: &Proof| world.get_as(proof, "/profile").await.status == StatusCode::OK;

    let idle = world.session(&sam.id).await;
    world
        .execute("UPDATE sessions SET seen_at = '2020-01-01T00:00:00.000Z' WHERE agent = 'tests'")
        .await;
    assert!(!alive(&idle).await, "idle");
    let old = world.session(&sam.id).await;
    assert!(alive(&old).await);
    world.execute("UPDATE sessions SET expires_at = '2020-01-01T00:00:00.000Z'").await;
    assert!(!alive(&old).await, "too old");

    let (here, there) = (world.session(&sam.id).await, world.session(&sam.id).await);
    let page = world.get_as(&here, "/profile").await.body;
    let ends: Vec<_> = page
        .match_indices("/profile/sessions/")
        .map(|(at, _)| page[at..].split('"').next().expect("an end"))
        .collect();
    assert_eq!(ends.len(), 1, "the other one and not this one: {ends:?}");
    let other = world.person("kim", Role::Developer).await;
    assert_eq!(
        world.post_as(&other.proof, ends[0], &[]).await.status,
        StatusCode::NOT_FOUND,
        "not theirs"
    );
    assert_eq!(world.post_as(&here, ends[0], &[]).await.status, StatusCode::SEE_OTHER);
    assert!(alive(&here).await && !alive(&there).await);

    let (_, key) = world.key(&sam.id, &[KeyScope::ClustersRead], None).await;
    let root = world.session(&admin.id).await;
    world.post_as(&root, &format!("/people/{}/disable", sam.id), &[]).await;
    assert!(!alive(&here).await, "disabled");
    assert_eq!(world.get_as(&key, "/api/v1/me").await.status, StatusCode::UNAUTHORIZED, "disabled");
}

#[tokio::test]
async fn a_changed_password_ends_every_other_session() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let here = session_by_link(&world, &admin).await;
    let there = world.session(&admin.id).await;
    let new = "another horse battery";
    let wrong = world
        .post_as(
            &here,
            "/profile/password",
            &[("current", "not the password"), ("password", new), ("again", new)],
        )
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.body.contains("This is not your password."), "{}", wrong.body);
    let done = world
        .post_as(
            &here,
            "/profile/password",
            &[("current", PASSWORD), ("password", new), ("again", new)],
        )
        .await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    assert_eq!(world.get_as(&here, "/profile").await.status, StatusCode::OK);
    assert_eq!(world.get_as(&there, "/profile").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_key_is_shown_once_scoped_revocable_and_never_more_than_its_owner() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let wish = json!({ "label": "CI", "scopes": ["clusters:read", "site:admin"], "days": 7 });
    let made = world.json_as(&admin.proof, Method::POST, "/api/v1/keys", &wish).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let key = made.json()["key"].as_str().expect("a key").to_owned();
    assert!(key.starts_with("ks_") && key.len() == 3 + 12 + 1 + 43, "{key}");
    let list = world.get_as(&admin.proof, "/api/v1/keys").await;
    assert!(list.body.contains("\"CI\"") && !list.body.contains(&key[16..]), "{}", list.body);
    // What was written last stands in the log beside the database.
    let database = world.app.config.database();
    let log = database.with_extension("sqlite-wal");
    let written = [database, log].map(|path| std::fs::read(path).expect("a file")).concat();
    let contains =
        |needle: &str| written.windows(needle.len()).any(|bytes| bytes == needle.as_bytes());
    assert!(contains(&key[3..15]), "the public part is found");
    assert!(!contains(&key[16..]), "the secret is nowhere in clear");

    let by_key = Proof::Key(key.clone());
    assert_eq!(world.get_as(&by_key, "/api/v1/users").await.status, StatusCode::OK);
    let audit = world.get_as(&by_key, "/api/v1/audit").await;
    assert_eq!(
        (audit.status, audit.json()["code"].as_str()),
        (StatusCode::FORBIDDEN, Some("key_scope"))
    );
    let more = world.json_as(&by_key, Method::POST, "/api/v1/keys", &wish).await;
    assert_eq!(more.status, StatusCode::FORBIDDEN, "no key makes keys");

    // The owner loses the role; the key loses it with them.
    let second = world.person("second", Role::Admin).await;
    let change = json!({ "role": "developer" });
    let demoted = world
        .json_as(&second.proof, Method::PATCH, &format!("/api/v1/users/{}", admin.id), &change)
        .await;
    assert_eq!(demoted.status, StatusCode::OK, "{}", demoted.body);
    assert_eq!(world.get_as(&by_key, "/api/v1/users").await.status, StatusCode::FORBIDDEN);

    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let revoked = world
        .json_as(&admin.proof, Method::DELETE, &format!("/api/v1/keys/{id}"), &json!(null))
        .await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    assert_eq!(world.get_as(&by_key, "/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn expired_altered_and_foreign_keys_are_refused_even_beside_a_good_session() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let (id, Proof::Key(key)) = world.key(&admin.id, &KeyScope::ALL, None).await else {
        unreachable!()
    };
    let mut altered = key.clone();
    altered.replace_range(key.len() - 1.., if key.ends_with('A') { "B" } else { "A" });
    for bad in [
        altered,
        key.to_uppercase(),
        format!("{key}x"),
        "ks_".to_owned(),
        String::new(),
        "ks_aaaaaaaaaaaa_x".to_owned(),
    ] {
        assert_eq!(
            world.get_as(&Proof::Key(bad.clone()), "/api/v1/me").await.status,
            StatusCode::UNAUTHORIZED,
            "{bad}"
        );
    }
    let Proof::Session(cookie) = &admin.proof else { unreachable!() };
    let both = http::Request::get("/api/v1/me")
        .header("cookie", cookie)
        .header("authorization", "Bearer nonsense");
    let answer = world.send(both.body(axum::body::Body::empty()).expect("a request")).await;
    assert_eq!(
        answer.status,
        StatusCode::UNAUTHORIZED,
        "what was shown and is not good is never ignored"
    );
    world
        .execute(&format!(
            "UPDATE keys SET expires_at = '2020-01-01T00:00:00.000Z' WHERE id = '{id}'"
        ))
        .await;
    assert_eq!(world.get_as(&Proof::Key(key), "/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_can_be_narrowed_to_a_cluster_that_one_may_see_and_to_a_lifetime_that_is_allowed() {
    let world = World::new().await;
    let (sam, kim) =
        (world.person("sam", Role::Developer).await, world.person("kim", Role::Developer).await);
    let course = world.environment("course").await;
    let cluster = world.cluster("demo", &course, &sam.id).await;
    world.grant(&cluster, &sam, Level::Own).await;
    let wish = |days: u32| json!({ "label": "laptop", "scopes": ["state:write"], "cluster": cluster, "days": days });
    let made = world.json_as(&sam.proof, Method::POST, "/api/v1/keys", &wish(30)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let unseen = world.json_as(&kim.proof, Method::POST, "/api/v1/keys", &wish(30)).await;
    assert_eq!(unseen.json()["fields"][0]["field"], "cluster", "{}", unseen.body);
    for days in [0, 181] {
        let refused = world.json_as(&sam.proof, Method::POST, "/api/v1/keys", &wish(days)).await;
        assert_eq!(refused.json()["fields"][0]["field"], "days", "{}", refused.body);
    }
}

#[tokio::test]
async fn the_last_administrator_stays_one() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let path = format!("/people/{}", admin.id);
    let demoted = world.post_as(&admin.proof, &path, &[("name", "Root"), ("role", "viewer")]).await;
    assert_eq!(demoted.status, StatusCode::CONFLICT);
    let disabled = world.post_as(&admin.proof, &format!("{path}/disable"), &[]).await;
    assert_eq!(disabled.status, StatusCode::CONFLICT);
    assert_eq!(
        world.get_as(&admin.proof, "/people").await.status,
        StatusCode::OK,
        "nothing was changed"
    );
}

#[tokio::test]
async fn in_an_environment_nobody_gives_more_than_they_have() {
    let world = World::new().await;
    let lead = world.person("lead", Role::TeamLead).await;
    let sam = world.person("sam", Role::Developer).await;
    let course = world.environment("course").await;
    world.app.store.set_member(&course, &lead.id, Role::TeamLead).await.expect("a member");
    let add = async |role| {
        world
            .post_as(
                &lead.proof,
                &format!("/environments/{course}/members"),
                &[("login", "sam"), ("role", role)],
            )
            .await
    };
    assert_eq!(add("admin").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(add("team_lead").await.status, StatusCode::SEE_OTHER);
    // Sam is a developer on the site: leading here counts up to that.
    let members = format!("/environments/{course}/members");
    let beyond =
        world.post_as(&sam.proof, &members, &[("login", "lead"), ("role", "viewer")]).await;
    assert_eq!(beyond.status, StatusCode::FORBIDDEN, "{}", beyond.body);
    let unknown =
        world.post_as(&lead.proof, &members, &[("login", "nobody"), ("role", "viewer")]).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
}
