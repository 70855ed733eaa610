//! A portal with some people in it, and how tests talk to it.

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use kubesmith_portal::config::Config;
use kubesmith_portal::ids::{ClusterId, EnvironmentId, PersonId};
use kubesmith_portal::people::secrets::{ApiKey, Secret};
use kubesmith_portal::rights::{KeyScope, Level, Role};
use kubesmith_portal::store::keys::NewKey;
use kubesmith_portal::time::Time;
use kubesmith_portal::{App, environments, serve};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;
use tower::ServiceExt as _;

/// A portal in a folder of its own.
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) folder: TempDir,
    router: Router,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// How somebody proves who they are.
#[derive(Clone)]
pub(crate) enum Proof {
    Nothing,
    Session(String),
    Key(String),
}

/// A person, and a session of theirs.
pub(crate) struct Person {
    pub(crate) id: PersonId,
    pub(crate) proof: Proof,
}

/// Everybody's in these tests, and its hash.
pub(crate) const PASSWORD: &str = "correct horse battery";
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// What a small cluster is made from.
pub(crate) const SPEC: &str = r#"{
    "wanted": {
        "name": "demo", "template": "ubuntu-24.04-k8s-1.36", "kubernetes_version": "1.36.4", "lease_size": 6,
        "control_plane": {"cores": 2, "memory_mib": 4096, "disk_gib": 20},
        "workers": {"count": 2, "size": {"cores": 2, "memory_mib": 4096, "disk_gib": 20}}
    },
    "site": {"pool": "lab", "bridge": "vmbr0"}
}"#;

/// A valid configuration whose folder is this one.
pub(crate) fn config(folder: &TempDir) -> Config {
    let mut config = Config::parse(kubesmith_portal::config::COMMENTED).expect("valid");
    config.data = folder.path().join("data");
    config.terraform.provider_mirror = mirror(folder);
    config
}

/// A mirror with something in the provider's place, for files that name its version and hash.
pub(crate) fn mirror(folder: &TempDir) -> std::path::PathBuf {
    let mirror = folder.path().join("mirror");
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let package = mirror
        .join("registry.terraform.io/kubesmith/kubesmith/0.1.0")
        .join(format!("{}_{arch}", std::env::consts::OS));
    std::fs::create_dir_all(&package).expect("made");
    std::fs::write(package.join("terraform-provider-kubesmith_v0.1.0"), "").expect("written");
    mirror
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// One that is configured in another way.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut config = config(&folder);
        change(&mut config);
        Self::start(folder, config).await
    }

    pub(crate) async fn open(folder: TempDir) -> Self {
        let config = config(&folder);
        Self::start(folder, config).await
    }

    async fn start(folder: TempDir, config: Config) -> Self {
        // Shown with a test that fails.
        let _ = tracing_subscriber::fmt().with_env_filter("warn").with_test_writer().try_init();
        let app = App::open(config).await.expect("opened");
        let router = serve::router(&app);
        Self { app, folder, router }
    }

    /// Somebody who has signed in.
    pub(crate) async fn person(&self, login: &str, role: Role) -> Person {
        self.person_with(login, role, false).await
    }

    pub(crate) async fn person_with(&self, login: &str, role: Role, auditor: bool) -> Person {
        let id = self
            .app
            .store
            .add_person(login, &format!("{login} of the tests"), role, auditor)
            .await
            .expect("added");
        self.app.store.set_password(&id, HASH, None).await.expect("set");
        let proof = self.session(&id).await;
        Person { id, proof }
    }

    /// A new session of somebody.
    pub(crate) async fn session(&self, id: &PersonId) -> Proof {
        let secret = Secret::new();
        let ends = Time::now().plus(jiff::SignedDuration::from_hours(1));
        self.app
            .store
            .add_session(id, &secret.hash(), ends, "192.0.2.1", "tests")
            .await
            .expect("added");
        Proof::Session(format!("__Host-ks={}", secret.reveal()))
    }

    /// A key of somebody.
    pub(crate) async fn key(
        &self,
        owner: &PersonId,
        scopes: &[KeyScope],
        cluster: Option<&ClusterId>,
    ) -> (String, Proof) {
        let key = ApiKey::new();
        let scopes = scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ");
        let new = NewKey {
            id: &key.id,
            hash: &key.secret.hash(),
            owner,
            label: "tests",
            scopes: &scopes,
            cluster,
            expires_at: Time::now().plus(jiff::SignedDuration::from_hours(1)),
        };
        self.app.store.add_key(new).await.expect("added");
        let shown = key.reveal().to_string();
        (key.id, Proof::Key(shown))
    }

    pub(crate) async fn environment(&self, name: &str) -> EnvironmentId {
        let settings = environments::Settings {
            title: format!("Course {name}"),
            kind: environments::Kind::Course,
            proxmox_pool: None,
            bridge: "vmbr0".to_owned(),
            vlan: None,
            address_pool: "lab".to_owned(),
        };
        self.app.store.add_environment(name, &settings).await.expect("added")
    }

    /// A cluster's row, as if somebody had asked for it.
    pub(crate) async fn cluster(
        &self,
        name: &str,
        environment: &EnvironmentId,
        by: &PersonId,
    ) -> ClusterId {
        let id = ClusterId::new();
        self.execute(&format!(
            "INSERT INTO clusters (id, name, environment, spec, created_by, created_at)
             VALUES ('{id}', '{name}', '{environment}', '{SPEC}', '{by}', '{}')",
            Time::now()
        ))
        .await;
        id
    }

    pub(crate) async fn grant(&self, cluster: &ClusterId, person: &Person, level: Level) {
        self.app.store.set_grant(cluster, &person.id, level, &person.id).await.expect("granted");
    }

    /// For what no request can do: rows that are old, or were damaged.
    pub(crate) async fn try_execute(&self, sql: &str) -> Result<(), sqlx::Error> {
        let options =
            SqliteConnectOptions::new().filename(self.app.config.database()).foreign_keys(true);
        let mut connection = options.connect().await?;
        sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.map(drop)
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.try_execute(sql).await.expect("executed");
    }

    /// An answer whose body is still to come.
    pub(crate) async fn response(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.expect("infallible")
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.response(request).await.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            // Templates escape slashes as well, which makes no difference to a browser.
            body: String::from_utf8_lossy(&body).replace("&#x2f;", "/"),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as(&Proof::Nothing, path).await
    }

    pub(crate) async fn get_as(&self, proof: &Proof, path: &str) -> Answer {
        self.send(request(Method::GET, path, proof, Body::empty())).await
    }

    /// A form as a browser sends it from our own page.
    pub(crate) async fn post_as(&self, proof: &Proof, path: &str, form: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = request(Method::POST, path, proof, Body::from(body));
        let headers = request.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            "application/x-www-form-urlencoded".parse().expect("a value"),
        );
        headers.insert("sec-fetch-site", "same-origin".parse().expect("a value"));
        self.send(request).await
    }

    /// A document as a program sends it.
    pub(crate) async fn json_as(
        &self,
        proof: &Proof,
        method: Method,
        path: &str,
        body: &serde_json::Value,
    ) -> Answer {
        let mut request = request(method, path, proof, Body::from(body.to_string()));
        request
            .headers_mut()
            .insert(header::CONTENT_TYPE, "application/json".parse().expect("a value"));
        self.send(request).await
    }
}

pub(crate) fn request(method: Method, path: &str, proof: &Proof, body: Body) -> Request<Body> {
    let builder = Request::builder().method(method).uri(path);
    let builder = match proof {
        Proof::Nothing => builder,
        Proof::Session(cookie) => builder.header(header::COOKIE, cookie),
        Proof::Key(key) => builder.header(header::AUTHORIZATION, format!("Bearer {key}")),
    };
    builder.body(body).expect("a request")
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The session that an answer started.
    pub(crate) fn session(&self) -> Proof {
        let cookies =
            self.headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookie = cookies
            .filter_map(|cookie| cookie.split(';').next())
            .find(|cookie| cookie.starts_with("__Host-ks="));
        Proof::Session(cookie.expect("a session").to_owned())
    }
}
