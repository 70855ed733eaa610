//! A state in a real `PostgreSQL`, as colleagues and CI jobs share it: the example `remote-state`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::world::{Needs, Workspace, World, command, provider_folder, root, world};

#[test]
fn a_colleague_sees_the_same_cluster_and_waits_for_the_lock() {
    let Some(world) = world(Needs::Guests) else { return };
    let Some(server) = PostgreSql::start() else { return };
    world.workspace("admin", &crate::hcl::pool()).apply();
    let mine = checkout(&world, &server, "mine");
    let hers = checkout(&world, &server, "hers");
    mine.apply();
    hers.assert_no_changes();

    // Whoever comes while another one applies is told who holds the lock, and changes nothing. The events of the first
    // apply go: one of the second's proves that it holds the lock.
    fs::remove_file(mine.events_file()).expect("the events");
    let mut running = mine.start(&[
        "apply",
        "-auto-approve",
        "-no-color",
        "-replace=module.cluster.kubesmith_cluster.this",
    ]);
    assert!(mine.wait_for_event(&mut running, |event| event["status"] == "started"));
    let (ok, text) = hers.terraform(&["plan", "-no-color"]);
    assert!(!ok && text.contains("Error acquiring the state lock"), "{text}");
    let (ok, text) = running.finish();
    assert!(ok, "{text}");

    hers.assert_no_changes();
    hers.destroy();
    mine.assert_gone();
}

/// A checkout of the repository in which the example is initialised.
fn checkout<'w>(world: &'w World, server: &PostgreSql, name: &str) -> Workspace<'w> {
    let folder = world.folder().join(name);
    fs::create_dir_all(&folder).expect("a folder");
    for part in ["examples", "modules"] {
        let copied = command("cp").arg("-r").arg(root().join(part)).arg(&folder).status();
        assert!(copied.expect("cp").success());
    }
    let mut workspace = world.workspace(&format!("{name}/examples/remote-state"), "");
    // The example brings its own settings; only its text counts.
    fs::remove_file(workspace.dir().join("versions.tf")).expect("versions.tf");
    let example = root().join("examples/remote-state/main.tf");
    workspace.write(&fs::read_to_string(example).expect("the example"));
    workspace.set_env("PG_CONN_STR", &server.address());
    // A backend needs `init`, which asks for the provider's package: `dev_overrides` do not answer it.
    let config = mirror(world.folder());
    workspace.set_env("TF_CLI_CONFIG_FILE", config.to_str().expect("UTF-8"));
    workspace.must(&["init", "-no-color"]);
    workspace
}

/// Terraform's settings with a mirror that holds the built provider, and nothing else to ask.
pub(crate) fn mirror(folder: &Path) -> PathBuf {
    let (config, mirror) = (folder.join("mirror.rc"), folder.join("mirror"));
    let system = format!(
        "{}_{}",
        std::env::consts::OS,
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }
    );
    let version = env!("CARGO_PKG_VERSION");
    let package =
        mirror.join("registry.terraform.io/kubesmith/kubesmith").join(version).join(system);
    fs::create_dir_all(&package).expect("a mirror");
    let program = package.join(format!("terraform-provider-kubesmith_v{version}"));
    if !program.exists() {
        fs::copy(provider_folder().join("terraform-provider-kubesmith"), program)
            .expect("the provider");
    }
    let text = format!(
        "provider_installation {{\n  filesystem_mirror {{\n    path = \"{}\"\n  }}\n}}\n",
        mirror.display()
    );
    fs::write(&config, text).expect("mirror.rc");
    config
}

/// A database server of its own, which only a socket in its folder leads to.
pub(crate) struct PostgreSql {
    programs: PathBuf,
    folder: tempfile::TempDir,
}

impl PostgreSql {
    /// `None`, and a visible skip, where there is no `PostgreSQL`.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(std::env::var_os("CI").is_none(), "there is no PostgreSQL on this machine");
            eprintln!("SKIPPED: there is no PostgreSQL on this machine");
            return None;
        };
        let server = Self { programs, folder: tempfile::tempdir().expect("a folder") };
        // It refuses to run as root.
        let owned = command("chown").arg("postgres:").arg(server.folder.path()).status();
        assert!(owned.expect("chown").success());
        server.run("initdb", &["--auth=trust", "--no-sync", "-D", "data"]);
        let options =
            format!("-k {} -c listen_addresses= -c fsync=off", server.folder.path().display());
        server.run("pg_ctl", &["-D", "data", "-l", "log", "-w", "-o", &options, "start"]);
        Some(server)
    }

    /// One of the database server's programs, as the user that the distribution made for it.
    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = command("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]);
        command.arg(self.programs.join(program)).args(arguments).current_dir(self.folder.path());
        // `pg_ctl` leaves a server behind that must not hold our output open.
        let status = command.stdout(Stdio::null()).status().expect("setpriv");
        assert!(status.success(), "{program} {}", arguments.join(" "));
    }

    pub(crate) fn address(&self) -> String {
        format!("host={} user=postgres dbname=postgres", self.folder.path().display())
    }
}

impl Drop for PostgreSql {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", "data", "-m", "immediate", "stop"]);
    }
}

/// Where the distribution keeps the newest the database server's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    folders.filter(|folder| folder.join("initdb").exists()).max()
}
