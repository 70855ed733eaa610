//! A portal in a lab, and how people, programs and laptops reach it.
//!
//! The portal runs inside the lab's network, as it would on a host beside Proxmox. Dropping a [`Site`] ends it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    hcl,
    world::{Needs, Workspace, World, command, lab_tool, provider_folder, root, text, world},
};

/// Where it listens, inside the lab's network.
pub(super) const ADDRESS: &str = "http://127.0.0.1:8080";
/// Everybody's in these tests.
const PASSWORD: &str = "correct horse battery";
/// Every scope that a key can have.
const SCOPES: [&str; 9] = [
    "clusters:read",
    "clusters:write",
    "clusters:destroy",
    "namespaces:write",
    "kubeconfigs:issue",
    "state:write",
    "sharing:write",
    "audit:read",
    "site:admin",
];
/// A run that moves comes to its next rest within this time, or something is stuck.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);

/// A lab with an address pool and a portal.
pub(super) struct Site {
    pub(super) world: World,
    config: PathBuf,
    pub(super) running: Option<Child>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) text: String,
}

/// Somebody's key: how they ask the API.
#[derive(Debug, Clone)]
pub(super) struct Key(pub(super) String);

impl Site {
    /// A lab of its own with a portal that runs; `None` (and a line that says why) where the machine can't.
    pub(super) fn open() -> Option<Self> {
        let world = world(Needs::Guests)?;
        let ansible = lab_tool("ansible-playbook")?;
        world.workspace("admin", &hcl::pool()).apply();
        let folder = world.folder().join("portal");
        fs::create_dir_all(&folder).expect("a folder");
        let config = folder.join("portal.toml");
        write_config(&world, &config, &ansible);
        let mut site = Self { world, config, running: None };
        site.start();
        Some(site)
    }

    /// The lab.
    pub(super) fn lab(&self) -> &World {
        &self.world
    }

    /// Where the portal keeps everything.
    pub(super) fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    fn folder(&self) -> &Path {
        self.config.parent().expect("a folder")
    }

    /// Starts the portal, and waits until it serves.
    pub(super) fn start(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let append = |name: &str| {
            fs::OpenOptions::new().create(true).append(true).open(self.folder().join(name))
        };
        let child = self
            .program(&["serve", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(append("stdout").expect("a file"))
            .stderr(append("stderr").expect("a file"))
            .spawn()
            .expect("the portal starts");
        self.running = Some(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.is_serving() {
            let ended = self.running.as_mut().expect("it runs").try_wait().expect("its status");
            assert!(ended.is_none(), "the portal ended: {}", self.log());
            assert!(Instant::now() < deadline, "the portal does not serve: {}", self.log());
            // Not a synchronisation: it is asked again until it answers.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_serving(&self) -> bool {
        let mut curl = self.world.inside("curl");
        curl.args(["-sf", "-o", "/dev/null"]).arg(format!("{ADDRESS}/healthz"));
        curl.status().expect("curl").success()
    }

    /// What it has logged so far.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder().join("stderr")).unwrap_or_default()
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut program = self.world.inside(portal_program().to_str().expect("UTF-8"));
        program.args(arguments);
        program
    }

    /// One request of whoever holds this key.
    pub(super) fn api(&self, key: &Key, method: &str, path: &str, body: &Value) -> Answer {
        let mut curl = self.curl(method, path);
        curl.arg("-H").arg(format!("Authorization: Bearer {}", key.0));
        if !body.is_null() {
            curl.args(["-H", "Content-Type: application/json", "-d"]).arg(body.to_string());
        }
        answer(&mut curl)
    }

    /// The same, which must be answered with this status.
    pub(super) fn must(
        &self,
        key: &Key,
        method: &str,
        path: &str,
        body: &Value,
        status: u16,
    ) -> Value {
        let answer = self.api(key, method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        answer.body
    }

    /// What a GET answers, which must succeed.
    pub(super) fn get(&self, key: &Key, path: &str) -> Value {
        self.must(key, "GET", path, &Value::Null, 200)
    }

    fn curl(&self, method: &str, path: &str) -> Command {
        let mut curl = self.world.inside("curl");
        curl.args(["-sS", "-m", "60", "-X", method, "-w", "\n%{http_code}"]);
        curl.arg(format!("{ADDRESS}{path}"));
        curl
    }

    /// Follows the link that the first start has printed: the first administrator, and a key that may do everything.
    pub(super) fn bootstrap(&self) -> Key {
        let printed = fs::read_to_string(self.folder().join("stdout")).expect("what it printed");
        let link = printed.split_whitespace().find(|word| word.contains("/link/")).expect("a link");
        self.key_through(link, &[("login", "root"), ("name", "Rosa Root")])
    }

    /// Somebody new of this role, with a key that may do everything that they may.
    pub(super) fn person(&self, admin: &Key, login: &str, role: &str) -> (String, Key) {
        let wish = json!({"login": login, "name": login, "role": role});
        let made = self.must(admin, "POST", "/api/v1/users", &wish, 201);
        let key = self.key_through(made["link"]["url"].as_str().expect("a link"), &[]);
        (made["user"]["id"].as_str().expect("an id").to_owned(), key)
    }

    /// Sets a password through a link, signs in with it and makes a key: what one does in a browser.
    fn key_through(&self, link: &str, fields: &[(&str, &str)]) -> Key {
        let path = link.strip_prefix(ADDRESS).expect("a link to this portal");
        let cookies = tempfile::NamedTempFile::new().expect("a file");
        let mut accept = self.curl("POST", path);
        accept.arg("-c").arg(cookies.path());
        for (name, value) in fields.iter().chain(&[("password", PASSWORD), ("again", PASSWORD)]) {
            accept.arg("--data-urlencode").arg(format!("{name}={value}"));
        }
        let accepted = answer(&mut accept);
        assert_eq!(accepted.status, 303, "{}", accepted.text);
        let wish = json!({"label": "tests", "scopes": SCOPES});
        let mut make = self.curl("POST", "/api/v1/keys");
        make.arg("-b").arg(cookies.path()).args(["-H", "Content-Type: application/json", "-d"]);
        let made = answer(make.arg(wish.to_string()));
        assert_eq!(made.status, 201, "{}", made.text);
        Key(made.body["key"].as_str().expect("a key").to_owned())
    }

    /// A course whose machines stand in the lab's network.
    pub(super) fn course(&self, admin: &Key, name: &str) -> String {
        let wish = json!({
            "name": name, "title": format!("Course {name}"), "kind": "course",
            "bridge": "vmbr0", "vlan": "119", "address_pool": "lab",
        });
        let made = self.must(admin, "POST", "/api/v1/environments", &wish, 201);
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Asks for a cluster named `demo` of this size, `small` (one worker) or `single` (none): its id and its first run's.
    pub(super) fn ask_for(&self, key: &Key, course: &str, size: &str) -> (String, String) {
        let form = json!({"name": "demo", "template": "ubuntu", "size": size});
        let path = format!("/api/v1/environments/{course}/clusters");
        let made = self.must(key, "POST", &path, &form, 201);
        let id = |of: &str| made[of].as_str().expect("an id").to_owned();
        (id("cluster"), id("run"))
    }

    /// A run when it has come to one of these states; any other end, or no end, fails the test.
    pub(super) fn wait_for(&self, key: &Key, run: &str, states: &[&str]) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.get(key, &format!("/api/v1/runs/{run}"));
            let state = now["state"].as_str().expect("a state");
            if states.contains(&state) {
                return now;
            }
            let ended = ["succeeded", "failed", "cancelled", "needs_attention"].contains(&state);
            if ended || Instant::now() > deadline {
                let told = self.told(key, run);
                panic!("run {run} is {state}: {}\n{told}\n{}", now["failure"], self.log());
            }
            // Not a synchronisation: it is looked at again until it has moved.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What a run has told so far, a JSON object a line.
    pub(super) fn told(&self, key: &Key, run: &str) -> String {
        self.api(key, "GET", &format!("/api/v1/runs/{run}/log"), &Value::Null).text
    }

    /// Waits for the plan of a run and approves it: the plan as it was shown.
    pub(super) fn approve(&self, key: &Key, run: &str) -> Value {
        let planned = self.wait_for(key, run, &["awaiting_approval"]);
        let approval = json!({"plan_hash": planned["plan_hash"]});
        self.must(key, "POST", &format!("/api/v1/runs/{run}/approve"), &approval, 200);
        planned["plan"].clone()
    }

    /// Approves a run and waits until it has succeeded.
    pub(super) fn carry_out(&self, key: &Key, run: &str) -> Value {
        self.approve(key, run);
        self.wait_for(key, run, &["succeeded"])
    }

    /// A cluster as the API shows it.
    pub(super) fn show(&self, key: &Key, cluster: &str) -> Value {
        self.get(key, &format!("/api/v1/clusters/{cluster}"))
    }

    /// Asks for the end of a cluster: the run.
    pub(super) fn ask_to_destroy(&self, key: &Key, cluster: &str) -> String {
        let path = format!("/api/v1/clusters/{cluster}");
        let asked = self.must(key, "DELETE", &path, &json!({"name": "demo"}), 202);
        asked["run"].as_str().expect("a run").to_owned()
    }

    /// The exported files of a cluster on somebody's laptop, ready to be used.
    pub(super) fn laptop(&self, key: &Key, cluster: &str) -> Workspace<'_> {
        let archive = self.world.folder().join("demo.tar");
        let mut curl = self.world.inside("curl");
        curl.args(["-sSf", "-H"]).arg(format!("Authorization: Bearer {}", key.0));
        curl.arg("-o").arg(&archive).arg(format!("{ADDRESS}/api/v1/clusters/{cluster}/export"));
        assert!(curl.status().expect("curl").success(), "no export");
        // The owner that the machines are stamped with is the cluster's id.
        let mut laptop = self.world.workspace(&cluster.to_lowercase(), "");
        fs::remove_file(laptop.dir().join("versions.tf")).expect("versions.tf");
        let mut tar = command("tar");
        tar.arg("-xf").arg(&archive).args(["--strip-components=1", "-C"]).arg(laptop.dir());
        assert!(tar.status().expect("tar").success());
        let settings = self.data().join("terraform.rc");
        laptop.set_env("TF_CLI_CONFIG_FILE", settings.to_str().expect("UTF-8"));
        laptop.set_env("TF_HTTP_USERNAME", "key");
        laptop.set_env("TF_HTTP_PASSWORD", &key.0);
        laptop.must(&["init", "-no-color", "-input=false"]);
        laptop
    }

    /// Nothing is left of any cluster: in the lab, in the ledger, on this machine.
    pub(super) fn assert_empty(self) {
        self.world.workspace("admin", &hcl::pool()).destroy();
        self.world.assert_empty();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            if std::thread::panicking() {
                let log = self.log();
                let tail: Vec<_> = log.lines().rev().take(40).collect();
                eprintln!("--- the portal's last lines");
                tail.iter().rev().for_each(|line| eprintln!("{line}"));
            }
            let pid = rustix::process::Pid::from_child(&child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = child.wait();
        }
    }
}

fn answer(curl: &mut Command) -> Answer {
    let output = curl.output().expect("curl");
    let all = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = all.rsplit_once('\n').unwrap_or_else(|| panic!("{}", text(&output)));
    let status = status.parse().expect("a status");
    assert_ne!(status, 0, "{}", text(&output));
    Answer {
        status,
        body: serde_json::from_str(body).unwrap_or(Value::Null),
        text: body.to_owned(),
    }
}

/// The built portal. `cargo test` does not build other packages' programs, so this does.
pub(crate) fn portal_program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let built = command(env!("CARGO"))
            .args(["build", "--quiet", "-p", "kubesmith-portal"])
            .current_dir(root())
            .status()
            .expect("cargo");
        assert!(built.success(), "the portal does not build");
        provider_folder().join("kubesmith-portal")
    })
}

fn write_config(world: &World, config: &Path, ansible: &Path) {
    let folder = config.parent().expect("a folder");
    let token = folder.join("token");
    fs::write(&token, world.about("token")).expect("the token");
    let text = format!(
        r#"listen = "127.0.0.1:8080"
public_url = "{ADDRESS}"
data = "{data}"

[proxmox]
endpoint = "{endpoint}"
api_token_file = "{token}"
ca_file = "{authority}"

[terraform]
provider_mirror = "{mirror}"
ansible_playbook = "{ansible}"

[[template]]
id = "ubuntu"
title = "Ubuntu 24.04, Kubernetes 1.36"
template = "ubuntu-24.04-k8s-1.36"
kubernetes_version = "1.36.4"

[[template.sizes]]
id = "small"
title = "Small"
control_plane = {{ cores = 2, memory_mib = 4096, disk_gib = 20 }}
worker = {{ cores = 2, memory_mib = 4096, disk_gib = 20 }}
workers = 1
max_workers = 3

[[template.sizes]]
id = "single"
title = "One machine"
control_plane = {{ cores = 2, memory_mib = 4096, disk_gib = 20 }}
worker = {{ cores = 2, memory_mib = 4096, disk_gib = 20 }}
workers = 0
max_workers = 1
"#,
        data = folder.join("data").display(),
        endpoint = world.about("url"),
        token = token.display(),
        authority = world.about("ca_file"),
        mirror = mirror(folder).display(),
        ansible = ansible.display(),
    );
    fs::write(config, text).expect("a configuration");
}

/// A mirror with the built provider in it.
fn mirror(folder: &Path) -> PathBuf {
    let mirror = folder.join("mirror");
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let version = env!("CARGO_PKG_VERSION");
    let package = mirror
        .join("registry.terraform.io/kubesmith/kubesmith")
        .join(version)
        .join(format!("{}_{arch}", std::env::consts::OS));
    fs::create_dir_all(&package).expect("a mirror");
    let built = provider_folder().join("terraform-provider-kubesmith");
    fs::copy(built, package.join(format!("terraform-provider-kubesmith_v{version}")))
        .expect("the provider");
    mirror
}
