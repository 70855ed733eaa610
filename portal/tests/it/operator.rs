//! The program as an operator uses it, started for real.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Output, Stdio};

use tempfile::TempDir;

use crate::world::{World, config, mirror};

#[expect(clippy::disallowed_methods, reason = "the program under test")]
fn portal(arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kubesmith-portal"));
    command.args(arguments).env_remove("KUBESMITH_PORTAL_CONFIG");
    command
}

fn run(arguments: &[&str]) -> Output {
    portal(arguments).output().expect("started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `init` writes, for a portal on this machine.
fn configured(folder: &TempDir) -> String {
    let path = folder.path().join("portal.toml");
    let path = path.to_str().expect("UTF-8");
    assert!(run(&["init", path]).status.success());
    let text = fs::read_to_string(path).expect("written");
    let text = text
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("https://kubesmith.example.edu", "http://127.0.0.1:8080")
        .replace("/usr/share/kubesmith/providers", mirror(folder).to_str().expect("UTF-8"))
        .replace("/var/lib/kubesmith-portal", folder.path().join("data").to_str().expect("UTF-8"));
    fs::write(path, text).expect("written");
    path.to_owned()
}

/// Ends with the test, whatever happens.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn init_never_overwrites_and_a_bad_key_is_named() {
    let folder = TempDir::new().expect("a folder");
    let path = configured(&folder);
    let again = run(&["init", &path]);
    assert!(
        !again.status.success() && text(&again.stderr).contains("never overwrites"),
        "{}",
        text(&again.stderr)
    );
    let broken = fs::read_to_string(&path).expect("there").replace("listen =", "lisen =");
    fs::write(&path, broken).expect("written");
    let refused = run(&["serve", "--config", &path]);
    assert!(
        !refused.status.success() && text(&refused.stderr).contains("lisen"),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn the_first_start_prints_a_link_and_a_signal_ends_it_cleanly() {
    let folder = TempDir::new().expect("a folder");
    let path = configured(&folder);
    let mut command = portal(&["serve", "--config", &path]);
    let mut served =
        Served(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started"));
    let mut lines =
        BufReader::new(served.0.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let link = lines.find(|line| line.contains("/link/")).expect("a link");
    let secret = link.rsplit('/').next().expect("a secret").to_owned();
    assert_eq!(secret.len(), 43, "{link}");
    let pid = rustix::process::Pid::from_child(&served.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("sent");
    let ended = served.0.wait().expect("ended");
    let mut log = String::new();
    std::io::Read::read_to_string(&mut served.0.stderr.take().expect("piped"), &mut log)
        .expect("read");
    assert!(ended.success(), "{log}");
    assert!(!log.contains(&secret), "the secret stands in the log: {log}");
}

#[test]
fn admin_recover_prints_a_link_for_who_is_named_and_for_nobody_else() {
    let folder = TempDir::new().expect("a folder");
    let path = configured(&folder);
    let first = run(&["admin", "recover", "--config", &path]);
    assert!(text(&first.stdout).contains("http://127.0.0.1:8080/link/"), "{}", text(&first.stderr));
    let unknown = run(&["admin", "recover", "--config", &path, "sam"]);
    assert!(
        !unknown.status.success() && text(&unknown.stderr).contains("sam"),
        "{}",
        text(&unknown.stderr)
    );
}

#[test]
fn nothing_beside_the_portal_that_serves_takes_its_connections_away() {
    let folder = TempDir::new().expect("a folder");
    let path = configured(&folder);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("an address").to_string();
    let bound = fs::read_to_string(&path).expect("there").replace("127.0.0.1:0", &listen);
    fs::write(&path, bound).expect("written");
    let connection = folder.path().join("data/ssh/connection");
    fs::create_dir_all(connection.parent().expect("a folder")).expect("made");
    fs::write(&connection, "").expect("written");

    let recovered = run(&["admin", "recover", "--config", &path]);
    assert!(recovered.status.success(), "{}", text(&recovered.stderr));
    let to = folder.path().join("backup");
    let backup = run(&["backup", "--config", &path, to.to_str().expect("UTF-8")]);
    assert!(backup.status.success(), "{}", text(&backup.stderr));
    let second = run(&["serve", "--config", &path]);
    assert!(
        text(&second.stderr).contains(&listen) && !second.status.success(),
        "{}",
        text(&second.stderr)
    );
    assert!(connection.exists(), "of the portal that serves");

    drop(taken);
    let mut command = portal(&["serve", "--config", &path]);
    let mut served = Served(command.stdout(Stdio::piped()).spawn().expect("started"));
    let mut lines =
        BufReader::new(served.0.stdout.take().expect("piped")).lines().map_while(Result::ok);
    lines.find(|line| line.contains("/link/")).expect("it serves");
    assert!(!connection.exists(), "left by a portal that is gone");
}

#[tokio::test]
async fn a_backup_is_restored_to_the_same_site_and_damage_is_found() {
    let world = World::new().await;
    world.person("root", kubesmith_portal::rights::Role::Admin).await;
    let workspace = world.app.config.workspaces().join("01ARZ3NDEKTSV4RRFFQ69G5FAV");
    fs::create_dir_all(&workspace).expect("made");
    fs::write(workspace.join("terraform.tfstate"), "{\"serial\": 7}").expect("written");
    let to = world.folder.path().join("backup");
    kubesmith_portal::upkeep::backup(&world.app.config, &to).await.expect("while it is open");
    let holds = kubesmith_portal::upkeep::verify(&to).await.expect("whole");
    assert!(holds.contains("1 people") && holds.contains("2 files"), "{holds}");
    assert_private(&to);

    let folder = TempDir::new().expect("a folder");
    let elsewhere = config(&folder);
    kubesmith_portal::upkeep::restore(&elsewhere, &to).await.expect("restored");
    let twice = kubesmith_portal::upkeep::restore(&elsewhere, &to)
        .await
        .expect_err("never over what is there");
    assert!(twice.to_string().contains("move it away first"), "{twice}");
    let state = elsewhere.workspaces().join("01ARZ3NDEKTSV4RRFFQ69G5FAV/terraform.tfstate");
    assert_eq!(fs::read_to_string(state).expect("restored"), "{\"serial\": 7}");
    let restored = World::open(folder).await;
    assert_eq!(restored.app.store.people().await.expect("a list")[0].login, "root");

    let state = to.join("workspaces/01ARZ3NDEKTSV4RRFFQ69G5FAV/terraform.tfstate");
    fs::write(&state, "{\"serial\": 8}").expect("written");
    let changed = kubesmith_portal::upkeep::verify(&to).await.expect_err("changed");
    assert!(changed.to_string().contains("terraform.tfstate was changed"), "{changed}");
    fs::remove_file(&state).expect("removed");
    let missing = kubesmith_portal::upkeep::verify(&to).await.expect_err("missing");
    assert!(missing.to_string().contains("terraform.tfstate is missing"), "{missing}");
}

fn assert_private(path: &Path) {
    let mode = fs::metadata(path).expect("there").permissions().mode() & 0o077;
    assert_eq!(mode, 0, "{} is readable by others", path.display());
    if path.is_dir() {
        fs::read_dir(path)
            .expect("a folder")
            .for_each(|entry| assert_private(&entry.expect("an entry").path()));
    }
}
