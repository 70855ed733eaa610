//! Every route x everybody who might ask for it, through the real router. A route without a row here fails the test.

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Method, StatusCode};
use kubesmith_portal::ids::{ClusterId, EnvironmentId, PersonId, RunId};
use kubesmith_portal::people::secrets::Secret;
use kubesmith_portal::rights::{KeyScope, Level, Role};
use kubesmith_portal::routes;
use kubesmith_portal::store::links::Purpose;
use kubesmith_portal::time::Time;

use crate::world::{Person, Proof, World, request};

/// What the columns below stand for.
const CAST: [&str; 15] = [
    "nobody",    // has not signed in
    "stranger",  // a developer who is a member of nothing
    "member",    // a developer of the course, without a grant
    "view",      // the same, and may view the cluster
    "use",       // may use it
    "edit",      // may edit it
    "own",       // owns it
    "viewer",    // a viewer on the site to whom more was granted than a viewer may have
    "lead",      // leads the course
    "elsewhere", // leads another course
    "auditor",   // a viewer and auditor, member of nothing
    "admin",     //
    "disabled",  // an administrator whose account was disabled
    "readkey",   // the owner's key, only for reading
    "otherkey",  // the owner's key with every scope, narrowed to another cluster
];

/// + let in, - sent to sign in, x told why not, . not there.
const EXPECTED: &[(&str, &str)] = &[
    // nobody stranger member view use edit own viewer lead elsewhere auditor admin disabled readkey otherkey
    ("GET /healthz", "+++++++++++++++"),
    ("GET /readyz", "+++++++++++++++"),
    ("GET /assets/{file}", "+++++++++++++++"),
    ("GET /sign-in", "+++++++++++++++"),
    ("POST /sign-in", "+++++++++++++++"),
    ("GET /link/{secret}", "+++++++++++++++"),
    ("POST /link/{secret}", "+++++++++++++++"),
    ("POST /sign-out", "-+++++++++++-x."),
    ("GET /", "-+++++++++++-+."),
    ("GET /profile", "-+++++++++++-x."),
    ("POST /profile/password", "-+++++++++++-x."),
    ("POST /profile/sessions/{session}/end", "-+++++++++++-x."),
    ("POST /profile/keys", "-+++++++++++-x."),
    ("POST /profile/keys/{key}/revoke", "-+++++++++++-x."),
    ("GET /people", "-xxxxxxxxx++-x."),
    ("POST /people", "-xxxxxxxxxx+-x."),
    ("GET /people/new", "-xxxxxxxxxx+-x."),
    ("GET /people/{person}", "-xxxxxxxxx++-x."),
    ("POST /people/{person}", "-xxxxxxxxxx+-x."),
    ("POST /people/{person}/link", "-xxxxxxxxxx+-x."),
    ("POST /people/{person}/disable", "-xxxxxxxxxx+-x."),
    ("POST /people/{person}/enable", "-xxxxxxxxxx+-x."),
    ("GET /environments", "-+++++++++++-+."),
    ("POST /environments", "-xxxxxxxxxx+-x."),
    ("GET /environments/new", "-xxxxxxxxxx+-x."),
    ("GET /environments/{environment}", "-.+++++++.++-+."),
    ("POST /environments/{environment}", "-.xxxxxxx.x+-x."),
    ("POST /environments/{environment}/members", "-.xxxxxx+.x+-x."),
    ("POST /environments/{environment}/members/{person}/remove", "-.xxxxxx+.x+-x."),
    ("GET /clusters", "-+++++++++++-+."),
    ("GET /clusters/new", "-+++++++++++-+."),
    ("GET /environments/{environment}/clusters/new", "-.+++++x+.x+-x."),
    ("POST /environments/{environment}/clusters", "-.+++++x+.x+-x."),
    ("GET /clusters/{cluster}", "-..++++++.++-+."),
    ("GET /clusters/{cluster}/runs", "-..++++++.++-+."),
    ("GET /clusters/{cluster}/hcl", "-..++++++.++-+."),
    ("GET /clusters/{cluster}/change", "-..++++++.++-+."),
    ("POST /clusters/{cluster}/workers", "-..xx++x+.x+-x."),
    ("POST /clusters/{cluster}/repair", "-..xx++x+.x+-x."),
    ("POST /clusters/{cluster}/retry", "-..xx++x+.x+-x."),
    ("POST /clusters/{cluster}/files", "-..xx++x+.x+-x."),
    ("POST /clusters/{cluster}/protection", "-..xxx+x+.x+-x."),
    ("POST /clusters/{cluster}/destroy", "-..xxx+x+.x+-x."),
    ("GET /runs/{run}", "-..++++++.++-+."),
    ("GET /runs/{run}/live", "-..++++++.++-+."),
    ("POST /runs/{run}/approve", "-..xx++x+.x+-x."),
    ("POST /runs/{run}/cancel", "-..xx++x+.x+-x."),
    ("GET /limits", "-xxxxxxxxxx+-x."),
    ("POST /limits", "-xxxxxxxxxx+-x."),
    ("GET /clusters/{cluster}/sharing", "-..++++++.++-+."),
    ("POST /clusters/{cluster}/sharing", "-..xxx+x+.x+-x."),
    ("POST /clusters/{cluster}/sharing/{person}/revoke", "-..xxx+x+.x+-x."),
    ("GET /audit", "-xxxxxxxxx++-x."),
    ("GET /audit.csv", "-xxxxxxxxx++-x."),
    ("GET /audit.jsonl", "-xxxxxxxxx++-x."),
    ("GET /api/v1/me", "-+++++++++++-+."),
    ("GET /api/v1/users", "-xxxxxxxxx++-x."),
    ("POST /api/v1/users", "-xxxxxxxxxx+-x."),
    ("GET /api/v1/users/{person}", "-xxxxxxxxx++-x."),
    ("PATCH /api/v1/users/{person}", "-xxxxxxxxxx+-x."),
    ("POST /api/v1/users/{person}/link", "-xxxxxxxxxx+-x."),
    ("GET /api/v1/keys", "-+++++++++++-x."),
    ("POST /api/v1/keys", "-+++++++++++-x."),
    ("DELETE /api/v1/keys/{key}", "-+++++++++++-x."),
    ("GET /api/v1/environments", "-+++++++++++-+."),
    ("POST /api/v1/environments", "-xxxxxxxxxx+-x."),
    ("GET /api/v1/environments/{environment}", "-.+++++++.++-+."),
    ("PUT /api/v1/environments/{environment}", "-.xxxxxxx.x+-x."),
    ("GET /api/v1/environments/{environment}/members", "-.+++++++.++-+."),
    ("PUT /api/v1/environments/{environment}/members/{person}", "-.xxxxxx+.x+-x."),
    ("DELETE /api/v1/environments/{environment}/members/{person}", "-.xxxxxx+.x+-x."),
    ("GET /api/v1/environments/{environment}/quota", "-.+++++++.++-+."),
    ("PUT /api/v1/environments/{environment}/quota", "-.xxxxxxx.x+-x."),
    ("GET /api/v1/users/{person}/quota", "-xxxxxxxxx++-x."),
    ("PUT /api/v1/users/{person}/quota", "-xxxxxxxxxx+-x."),
    ("GET /api/v1/quotas", "-xxxxxxxxx++-x."),
    ("PUT /api/v1/quotas/{scope}", "-xxxxxxxxxx+-x."),
    ("GET /api/v1/clusters/{cluster}/grants", "-..++++++.++-+."),
    ("PUT /api/v1/clusters/{cluster}/grants/{person}", "-..xxx+x+.x+-x."),
    ("DELETE /api/v1/clusters/{cluster}/grants/{person}", "-..xxx+x+.x+-x."),
    ("GET /api/v1/clusters", "-+++++++++++-+."),
    ("POST /api/v1/environments/{environment}/clusters", "-.+++++x+.x+-x."),
    ("GET /api/v1/clusters/{cluster}", "-..++++++.++-+."),
    ("PATCH /api/v1/clusters/{cluster}", "-..xx++x+.x+-x."),
    ("DELETE /api/v1/clusters/{cluster}", "-..xxx+x+.x+-x."),
    ("POST /api/v1/clusters/{cluster}/retry", "-..xx++x+.x+-x."),
    ("PUT /api/v1/clusters/{cluster}/protection", "-..xxx+x+.x+-x."),
    ("GET /api/v1/clusters/{cluster}/main.tf", "-..++++++.++-+."),
    ("GET /api/v1/clusters/{cluster}/export", "-..++++++.++-+."),
    ("POST /api/v1/clusters/{cluster}/files", "-..xx++x+.x+-x."),
    ("GET /api/v1/clusters/{cluster}/state", "-..xxx+x+.x+-x."),
    ("POST /api/v1/clusters/{cluster}/state", "-..xxx+x+.x+-x."),
    ("DELETE /api/v1/clusters/{cluster}/state", "-..xxx+x+.x+-x."),
    ("POST /api/v1/clusters/{cluster}/state/lock", "-..xxx+x+.x+-x."),
    ("DELETE /api/v1/clusters/{cluster}/state/lock", "-..xxx+x+.x+-x."),
    ("GET /api/v1/clusters/{cluster}/runs", "-..++++++.++-+."),
    ("GET /api/v1/runs/{run}", "-..++++++.++-+."),
    ("POST /api/v1/runs/{run}/approve", "-..xx++x+.x+-x."),
    ("POST /api/v1/runs/{run}/cancel", "-..xx++x+.x+-x."),
    ("GET /api/v1/runs/{run}/log", "-..++++++.++-+."),
    ("GET /api/v1/runs/{run}/events", "-..++++++.++-+."),
    ("GET /api/v1/audit", "-xxxxxxxxx++-x."),
    ("GET /clusters/{cluster}/namespaces", "-..x+++x+.x+-+."),
    ("POST /clusters/{cluster}/namespaces", "-..x+++x+.x+-x."),
    ("GET /clusters/{cluster}/namespaces/{namespace}/delete", "-..x+++x+.x+-x."),
    ("POST /clusters/{cluster}/namespaces/{namespace}/delete", "-..x+++x+.x+-x."),
    ("GET /clusters/{cluster}/access", "-..++++++.++-+."),
    ("POST /clusters/{cluster}/kubeconfigs", "-..x+++x+.x+-x."),
    ("POST /clusters/{cluster}/admin-kubeconfigs", "-..xxx+x+.x+-x."),
    ("POST /clusters/{cluster}/kubeconfigs/{kubeconfig}/revoke", "-..x+++x+.x+-x."),
    ("GET /api/v1/clusters/{cluster}/health", "-..x+++x+.x+-+."),
    ("GET /api/v1/clusters/{cluster}/namespaces", "-..x+++x+.x+-+."),
    ("POST /api/v1/clusters/{cluster}/namespaces", "-..x+++x+.x+-x."),
    ("GET /api/v1/clusters/{cluster}/namespaces/{namespace}", "-..x+++x+.x+-+."),
    ("DELETE /api/v1/clusters/{cluster}/namespaces/{namespace}", "-..x+++x+.x+-x."),
    ("GET /api/v1/clusters/{cluster}/kubeconfigs", "-..x+++x+.x+-x."),
    ("POST /api/v1/clusters/{cluster}/kubeconfigs", "-..x+++x+.x+-x."),
    ("POST /api/v1/clusters/{cluster}/admin-kubeconfigs", "-..xxx+x+.x+-x."),
    ("DELETE /api/v1/clusters/{cluster}/kubeconfigs/{kubeconfig}", "-..x+++x+.x+-x."),
    ("GET /api/v1/openapi.json", "+++++++++++++++"),
];

/// A course with a cluster in it, and the whole cast.
struct Stage {
    world: World,
    proofs: BTreeMap<&'static str, Proof>,
    environment: EnvironmentId,
    cluster: ClusterId,
    run: RunId,
    guest: PersonId,
    secret: String,
    keys: BTreeMap<&'static str, String>,
    sessions: BTreeMap<&'static str, String>,
}

impl Stage {
    async fn set() -> Self {
        Self::with(World::new().await).await
    }

    /// The same once more, from a copy of the database: what is let in may change the world.
    async fn copy(&self) -> World {
        let folder = tempfile::TempDir::new().expect("a folder");
        let copy = crate::world::config(&folder);
        std::fs::create_dir(&copy.data).expect("made");
        kubesmith_portal::store::copy(&self.world.app.config.database(), &copy.database())
            .await
            .expect("copied");
        World::open(folder).await
    }

    async fn with(world: World) -> Self {
        let environment = world.environment("course").await;
        let other = world.environment("other").await;
        let mut people: BTreeMap<&str, Person> = BTreeMap::new();
        for name in CAST {
            let (role, auditor) = match name {
                "viewer" => (Role::Viewer, false),
                "auditor" => (Role::Viewer, true),
                "lead" | "elsewhere" => (Role::TeamLead, false),
                "admin" | "disabled" => (Role::Admin, false),
                "nobody" | "readkey" | "otherkey" => continue,
                _ => (Role::Developer, false),
            };
            people.insert(name, world.person_with(name, role, auditor).await);
        }
        let store = &world.app.store;
        for (name, role) in [
            ("member", Role::Developer),
            ("view", Role::Developer),
            ("use", Role::Developer),
            ("edit", Role::Developer),
            ("own", Role::Developer),
            ("viewer", Role::Developer),
            ("lead", Role::TeamLead),
        ] {
            store.set_member(&environment, &people[name].id, role).await.expect("a member");
        }
        store.set_member(&other, &people["elsewhere"].id, Role::TeamLead).await.expect("a member");
        let cluster = world.cluster("demo", &environment, &people["own"].id).await;
        let second = world.cluster("second", &environment, &people["own"].id).await;
        for (name, level) in [
            ("view", Level::View),
            ("use", Level::Use),
            ("edit", Level::Edit),
            ("own", Level::Own),
            ("viewer", Level::Own),
        ] {
            world.grant(&cluster, &people[name], level).await;
        }
        world.grant(&second, &people["own"], Level::Own).await;
        let guest = world.person("guest", Role::Developer).await;
        store.set_member(&environment, &guest.id, Role::Developer).await.expect("a member");
        world.grant(&cluster, &guest, Level::View).await;
        let run = RunId::new();
        world
            .execute(&format!(
                "INSERT INTO runs (id, cluster, kind, state, spec, requested_by, created_at, finished_at)
                 VALUES ('{run}', '{cluster}', 'create', 'succeeded', '{}', '{}', '{now}', '{now}')",
                crate::world::SPEC,
                people["own"].id,
                now = Time::now()
            ))
            .await;
        let secret = Secret::new();
        let ends = Time::now().plus(jiff::SignedDuration::from_hours(1));
        store
            .add_link(&secret.hash(), Purpose::Password, Some(&guest.id), ends)
            .await
            .expect("a link");

        let mut proofs = BTreeMap::from([("nobody", Proof::Nothing)]);
        let (mut keys, mut sessions) = (BTreeMap::new(), BTreeMap::new());
        for (name, person) in &people {
            proofs.insert(*name, person.proof.clone());
            keys.insert(*name, world.key(&person.id, &[KeyScope::ClustersRead], None).await.0);
            world.session(&person.id).await;
            let idle = Time::now().plus(jiff::SignedDuration::from_hours(-1));
            let newest = store.sessions_of(&person.id, idle).await.expect("sessions").remove(0);
            sessions.insert(*name, newest.id.to_string());
        }
        proofs.insert(
            "readkey",
            world.key(&people["own"].id, &[KeyScope::ClustersRead], None).await.1,
        );
        proofs.insert(
            "otherkey",
            world.key(&people["own"].id, &KeyScope::ALL, Some(&second)).await.1,
        );
        assert!(store.set_disabled(&people["disabled"].id, true).await.expect("disabled"));
        // Its sessions are gone; a cookie that somebody kept must be worth nothing.
        Self {
            proofs,
            environment,
            cluster,
            run,
            guest: guest.id,
            secret: secret.reveal().to_owned(),
            keys,
            sessions,
            world,
        }
    }

    /// The path with everything that exists filled in.
    fn path(&self, route: &str, who: &str) -> String {
        let of = |map: &BTreeMap<&str, String>| {
            map.get(who).cloned().unwrap_or_else(|| "none".to_owned())
        };
        let asset = kubesmith_portal::pages::assets::address("style.css");
        route
            .replace("{cluster}", self.cluster.as_str())
            .replace("{environment}", self.environment.as_str())
            .replace("{run}", self.run.as_str())
            .replace("{person}", self.guest.as_str())
            .replace("{scope}", "site")
            .replace("{namespace}", "web")
            .replace("{kubeconfig}", self.run.as_str())
            .replace("{secret}", &self.secret)
            .replace("{key}", &of(&self.keys))
            .replace("{session}", &of(&self.sessions))
            .replace("/assets/{file}", &asset)
    }

    async fn outcome(&self, world: &World, method: &Method, route: &str, who: &str) -> char {
        let proof = &self.proofs[who];
        let answer =
            world.send(request(method.clone(), &self.path(route, who), proof, Body::empty())).await;
        let to_sign_in = answer.header("location").starts_with("/sign-in") && route != "/sign-out";
        match answer.status {
            StatusCode::UNAUTHORIZED => '-',
            StatusCode::SEE_OTHER if to_sign_in => '-',
            StatusCode::FORBIDDEN => 'x',
            StatusCode::NOT_FOUND => '.',
            StatusCode::SEE_OTHER
                if route == "/sign-out" && answer.headers.get("set-cookie").is_none() =>
            {
                '-'
            }
            status => {
                assert!(!status.is_server_error(), "{method} {route} as {who}: {}", answer.body);
                '+'
            }
        }
    }
}

#[tokio::test]
async fn every_route_is_held_to_its_row_for_everybody() {
    let stage = Stage::set().await;
    let mut wrong = Vec::new();
    let mut left: BTreeMap<_, _> = EXPECTED.iter().copied().collect();
    for route in routes::table() {
        let name = format!("{} {}", route.method, route.path);
        let Some(expected) = left.remove(name.as_str()) else {
            wrong.push(format!("{name}: no row; add one that says who may and who may not"));
            continue;
        };
        assert_eq!(expected.len(), CAST.len(), "{name}");
        let mut found = String::new();
        for (who, expected) in CAST.iter().zip(expected.chars()) {
            // What is let in may change the world: it gets a copy of its own.
            let own = expected == '+' && !route.method.is_safe();
            let copy = if own { Some(stage.copy().await) } else { None };
            let world = copy.as_ref().unwrap_or(&stage.world);
            found.push(stage.outcome(world, &route.method, route.path, who).await);
        }
        if found != expected {
            wrong.push(format!("{name}\n  expected {expected}\n  found    {found}"));
        }
    }
    wrong.extend(left.keys().map(|name| format!("{name}: a row without a route")));
    assert!(wrong.is_empty(), "columns: {CAST:?}\n{}", wrong.join("\n"));
}
