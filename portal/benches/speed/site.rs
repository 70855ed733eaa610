//! A department on disk: people, environments and clusters, written as the portal writes them, long ago.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use jiff::SignedDuration;
use kubesmith_portal::App;
use kubesmith_portal::cluster::Spec;
use kubesmith_portal::config::{COMMENTED, Config};
use kubesmith_portal::ids::{ClusterId, EnvironmentId, PersonId, RunId};
use kubesmith_portal::people::secrets::Secret;
use kubesmith_portal::quota::Amount;
use kubesmith_portal::rights::Role;
use kubesmith_portal::runs::log::{self, Entry};
use kubesmith_portal::runs::machine::State;
use kubesmith_portal::runs::redact::Redaction;
use kubesmith_portal::time::Time;
use serde_json::json;
use sqlx::{Sqlite, Transaction};
use tempfile::TempDir;

/// How large it is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) environments: usize,
    pub(crate) students: usize,
    pub(crate) clusters: usize,
    /// Runs that wait for approval, each of another student.
    pub(crate) waiting: usize,
}

/// Somebody who is signed in.
pub(crate) struct Person {
    id: PersonId,
    /// What their browser sends.
    pub(crate) cookie: String,
}

/// The department.
pub(crate) struct Site {
    folder: TempDir,
    pub(crate) admins: Vec<Person>,
    pub(crate) students: Vec<Person>,
    /// A run that waits, for each of the first students.
    pub(crate) waiting: Vec<RunId>,
}

/// Each student is a member of so many environments.
const COURSES: usize = 5;
/// Terraform reads the provider when the portal starts: a file of its size stands in its place.
const PROVIDER: usize = 7 * 1024 * 1024;

impl Site {
    /// Makes it in a folder of its own.
    pub(crate) async fn fill(size: Size) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let app = App::open(Config::parse(&settings(&folder, 1)?)?).await?;
        let admins = people(&app, "admin", 4, Role::Admin).await?;
        let leads = people(&app, "lead", size.environments.div_ceil(5), Role::TeamLead).await?;
        let students = people(&app, "student", size.students, Role::Developer).await?;
        let mut waiting = Vec::new();
        let mut rows = app.store.begin().await?;
        let mut environments = Vec::new();
        for number in 0..size.environments {
            let id = EnvironmentId::new();
            let lead = &leads[number % leads.len()].id;
            add_environment(&mut rows, &id, number, lead).await?;
            environments.push(id);
        }
        for (number, student) in students.iter().enumerate() {
            for course in 0..COURSES.min(environments.len()) {
                let id = &environments[(number + course) % environments.len()];
                add_member(&mut rows, id, &student.id, Role::Developer).await?;
            }
        }
        for number in 0..size.clusters {
            let environment = &environments[number % environments.len()];
            let owner = &students[number % students.len()].id;
            let cluster = Cluster::new(number, environment, owner)?;
            cluster.add(&mut rows).await?;
            cluster.add_run(&mut rows, "create", State::Succeeded, 0).await?;
            if number < size.waiting {
                let run = cluster.add_run(&mut rows, "change", State::AwaitingApproval, 1).await?;
                cluster.write_log(&app, &run)?;
                waiting.push(run);
            } else if number % 10 == 0 {
                cluster.add_run(&mut rows, "change", State::Failed, 1).await?;
            } else {
                cluster.add_run(&mut rows, "change", State::Succeeded, 1).await?;
            }
            cluster.write_state(&app)?;
        }
        rows.commit().await?;
        app.store.close().await;
        Ok(Self { folder, admins, students, waiting })
    }

    /// A configuration for a portal that is reached on this port.
    pub(crate) fn config(&self, port: u16) -> anyhow::Result<PathBuf> {
        let path = self.folder.path().join("portal.toml");
        fs::write(&path, settings(&self.folder, port)?)?;
        Ok(path)
    }

    /// Where the program may write what it says.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("portal.log")
    }
}

/// What `init` writes, for a portal in this folder.
fn settings(folder: &TempDir, port: u16) -> anyhow::Result<String> {
    let mirror = folder.path().join("mirror");
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let package = mirror
        .join("registry.terraform.io/kubesmith/kubesmith/0.1.0")
        .join(format!("{}_{arch}", std::env::consts::OS));
    fs::create_dir_all(&package)?;
    fs::write(package.join("terraform-provider-kubesmith_v0.1.0"), vec![0; PROVIDER])?;
    let text = |path: PathBuf| path.into_os_string().into_string().ok().context("paths are UTF-8");
    Ok(COMMENTED
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("https://kubesmith.example.edu", &format!("http://127.0.0.1:{port}"))
        .replace("/usr/share/kubesmith/providers", &text(mirror)?)
        .replace("/var/lib/kubesmith-portal", &text(folder.path().join("data"))?))
}

async fn people(app: &App, kind: &str, count: usize, role: Role) -> anyhow::Result<Vec<Person>> {
    let mut people = Vec::new();
    for number in 0..count {
        let login = format!("{kind}-{number}");
        let id = app.store.add_person(&login, &format!("Robin {login}"), role, false).await?;
        let secret = Secret::new();
        let ends = Time::now().plus(SignedDuration::from_hours(24));
        app.store.add_session(&id, &secret.hash(), ends, "192.0.2.1", "Firefox/140.0").await?;
        people.push(Person { id, cookie: format!("ks={}", secret.reveal()) });
    }
    Ok(people)
}

type Rows = Transaction<'static, Sqlite>;

async fn add_environment(
    rows: &mut Rows,
    id: &EnvironmentId,
    number: usize,
    lead: &PersonId,
) -> anyhow::Result<()> {
    sqlx::query(
        "INSERT INTO environments (id, name, title, kind, bridge, vlan, address_pool, created_at)
         VALUES (?, ?, ?, 'course', 'vmbr0', 119, 'lab', ?)",
    )
    .bind(id)
    .bind(format!("course-{number}"))
    .bind(format!("Operating systems, group {number}"))
    .bind(Time::now())
    .execute(&mut **rows)
    .await?;
    add_member(rows, id, lead, Role::TeamLead).await
}

async fn add_member(
    rows: &mut Rows,
    environment: &EnvironmentId,
    person: &PersonId,
    role: Role,
) -> anyhow::Result<()> {
    sqlx::query("INSERT INTO members (environment, person, role, added_at) VALUES (?, ?, ?, ?)")
        .bind(environment)
        .bind(person)
        .bind(role)
        .bind(Time::now())
        .execute(&mut **rows)
        .await?;
    Ok(())
}

/// A cluster of 1 + 2, and whose it is.
struct Cluster<'a> {
    id: ClusterId,
    spec: Spec,
    environment: &'a EnvironmentId,
    owner: &'a PersonId,
    made: Time,
}

impl<'a> Cluster<'a> {
    fn new(
        number: usize,
        environment: &'a EnvironmentId,
        owner: &'a PersonId,
    ) -> anyhow::Result<Self> {
        let machine = json!({"cores": 2, "memory_mib": 4096, "disk_gib": 20});
        let spec = json!({
            "wanted": {
                "name": format!("cluster-{number}"),
                "template": "ubuntu-24.04-k8s-1.36",
                "kubernetes_version": "1.36.4",
                "lease_size": 6,
                "control_plane": machine,
                "workers": {"count": 2, "size": machine},
            },
            "site": {"pool": "lab", "bridge": "vmbr0", "vlan": 119},
        });
        let age = SignedDuration::from_mins(i64::try_from(10_000 - number)?);
        let made = Time::now().plus(-age);
        let spec = serde_json::from_value(spec)?;
        Ok(Self { id: id_of(made)?.parse()?, spec, environment, owner, made })
    }

    async fn add(&self, rows: &mut Rows) -> anyhow::Result<()> {
        sqlx::query(
            "INSERT INTO clusters (id, name, environment, spec, created_by, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(&self.id)
        .bind(self.spec.wanted.name.as_str())
        .bind(self.environment)
        .bind(self.spec.to_json())
        .bind(self.owner)
        .bind(self.made)
        .execute(&mut **rows)
        .await?;
        sqlx::query(
            "INSERT INTO grants (cluster, person, level, granted_by, granted_at) VALUES (?, ?, 'own', ?, ?)",
        )
        .bind(&self.id)
        .bind(self.owner)
        .bind(self.owner)
        .bind(self.made)
        .execute(&mut **rows)
        .await?;
        let amount = Amount::wanted(&self.spec.wanted);
        sqlx::query(
            "INSERT INTO reservations (cluster, person, environment, machines, cores, memory_mib, disk_gib)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&self.id)
        .bind(self.owner)
        .bind(self.environment)
        .bind(i64::try_from(amount.machines)?)
        .bind(i64::try_from(amount.cores)?)
        .bind(i64::try_from(amount.memory_mib)?)
        .bind(i64::try_from(amount.disk_gib)?)
        .execute(&mut **rows)
        .await?;
        Ok(())
    }

    /// A run that was asked for so many minutes after the cluster.
    async fn add_run(
        &self,
        rows: &mut Rows,
        kind: &str,
        state: State,
        after: i64,
    ) -> anyhow::Result<RunId> {
        let asked = self.made.plus(SignedDuration::from_mins(after));
        let ended = state.has_ended().then(|| asked.plus(SignedDuration::from_secs(50)));
        let amount = Amount::wanted(&self.spec.wanted);
        let plan = json!({
            "headline": "3 machines, 6 cores, 12 GiB, addresses 10.77.119.204 to .206; nothing is deleted.",
            "lines": [{"effect": "adds", "text": "A control plane with 2 cores and 4 GiB."}],
            "effect": "adds",
            "before": Amount::default(),
            "after": amount,
        });
        let id: RunId = id_of(asked)?.parse()?;
        sqlx::query(
            "INSERT INTO runs (id, cluster, kind, state, spec, plan, plan_hash, requested_by, created_at, started_at,
                               finished_at)
             VALUES (?, ?, ?, ?, ?, ?, 'seen', ?, ?, ?, ?)",
        )
        .bind(&id)
        .bind(&self.id)
        .bind(kind)
        .bind(state)
        .bind(self.spec.to_json())
        .bind(plan.to_string())
        .bind(self.owner)
        .bind(asked)
        .bind(asked)
        .bind(ended)
        .execute(&mut **rows)
        .await?;
        Ok(id)
    }

    /// What a run that was planned has told.
    fn write_log(&self, app: &App, run: &RunId) -> anyhow::Result<()> {
        let folder = kubesmith_portal::cluster::workspace::Workspace::open(
            &app.config.workspaces(),
            &self.id,
        )?
        .run(run)?;
        let mut log = log::Writer::open(&folder, Redaction::default())?;
        for state in [State::Queued, State::Planning] {
            log.write(Entry::State { state })?;
        }
        for number in 0..40 {
            log.say(format!("module.cluster: step {number} of what Terraform plans"))?;
        }
        log.write(Entry::State { state: State::AwaitingApproval })?;
        Ok(())
    }

    /// What Terraform has left of it.
    fn write_state(&self, app: &App) -> anyhow::Result<()> {
        let machine = json!({"cores": 2, "memory_mib": 4096, "disk_gib": 20});
        let node = |role: &str, number: u32| {
            json!({
                "name": format!("{}-{number}", self.spec.wanted.name.as_str()),
                "role": role,
                "address": format!("10.77.119.{}", 203 + number),
                "vmid": 5000 + number,
                "proxmox_node": "pve1",
            })
        };
        let cluster = json!({
            "name": self.spec.wanted.name,
            "template": self.spec.wanted.template,
            "kubernetes_version": self.spec.wanted.kubernetes_version,
            "endpoint": "https://10.77.119.204:6443",
            "control_plane": machine,
            "workers": {"count": 2, "cores": 2, "memory_mib": 4096, "disk_gib": 20},
            "nodes": [node("control-plane", 1), node("worker", 2), node("worker", 3)],
            "ssh_user": "kubesmith",
            "known_hosts": "x".repeat(600),
            "ssh_private_key": "x".repeat(400),
            "kubeconfig": "x".repeat(5600),
        });
        let lease = json!({"addresses": ["10.77.119.204", "10.77.119.205", "10.77.119.206"]});
        let resource = |kind: &str, attributes| json!({"mode": "managed", "type": kind, "name": "this", "instances": [{"attributes": attributes}]});
        let state = json!({
            "version": 4,
            "serial": 7,
            "lineage": self.id,
            "resources": [resource("kubesmith_ip_lease", lease), resource("kubesmith_cluster", cluster)],
        });
        let folder = app.config.workspaces().join(self.id.as_str()).join("state");
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join("current.tfstate"), state.to_string())?)
    }
}

/// An identifier as it was made at this time.
fn id_of(time: Time) -> anyhow::Result<String> {
    let moment = u64::try_from(time.timestamp().as_millisecond())?;
    Ok(ulid::Ulid::from_parts(moment, rand::random()).to_string())
}
