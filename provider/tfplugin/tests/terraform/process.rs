//! The provider as a process: interrupted, orphaned, started by strangers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::world::{Ran, Running, World, provider_binary};

/// What Terraform tells its plugins, so that they know that it starts them.
pub(crate) const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

/// Waits for a condition; what is waited for is in the message.
fn wait_for<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < limit, "waited for {what} for {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The running providers of a process.
fn children(parent: u32) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    let pids = pids.filter(|pid| stat(*pid).is_some_and(|(_, ppid)| ppid == parent.to_string()));
    pids.filter_map(Pid::from_raw).collect()
}

/// State and parent of a process.
fn stat(pid: i32) -> Option<(String, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned);
    Some((fields.next()?, fields.next()?))
}

/// Has it ended? The entry of an orphan stays until init looks after it.
fn has_ended(pid: Pid) -> bool {
    stat(pid.as_raw_nonzero().get()).is_none_or(|(state, _)| state == "Z")
}

#[test]
fn an_interrupted_create_is_saved_and_ends_at_once() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"\nlabel = \"slow\"");
    let mut terraform = world.start(&["apply", "-auto-approve", "-no-color"]);
    wait_for("the box", Duration::from_secs(30), || world.has_box("a").then_some(()));
    let pid = terraform.child().id();
    // Ctrl-C reaches the whole group; the provider must survive it.
    for child in children(pid) {
        let _ = kill_process(child, Signal::INT);
    }
    terraform.signal(Signal::INT);
    let start = Instant::now();
    let ran = Ran::of(&terraform.finish());
    assert!(start.elapsed() < Duration::from_secs(10), "{}", ran.text);
    assert!(ran.text.contains("The box is half made."), "{}", ran.text);
    assert_eq!(world.state()["tainted"], true);
}

#[test]
fn the_provider_ends_when_terraform_is_killed() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"\nlabel = \"stubborn\"");
    let mut terraform = world.start(&["apply", "-auto-approve", "-no-color"]);
    wait_for("the box", Duration::from_secs(30), || world.has_box("a").then_some(()));
    let providers = children(terraform.child().id());
    assert!(!providers.is_empty());
    terraform.signal(Signal::KILL);
    terraform.finish();
    wait_for("the provider's end", Duration::from_secs(2), || {
        providers.iter().all(|pid| has_ended(*pid)).then_some(())
    });
    let left: Vec<_> = std::fs::read_dir(world.path("")).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| !entry.path().join("s").exists()), "{left:?}");
}

#[test]
fn without_tls_it_works_too() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"");
    let mut command = world.command(&["apply", "-auto-approve", "-no-color"]);
    let ran = Ran::of(&command.env("TF_DISABLE_PLUGIN_TLS", "1").output().unwrap());
    assert!(ran.success, "{}", ran.text);
}

#[test]
fn one_process_serves_many_commands_while_debugged() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"");
    let mut command = provider();
    command.arg("--debug").env("SHELF_DIRECTORY", world.path("shelf"));
    let mut provider = Running::start(command.stdout(Stdio::piped()));
    let mut lines = BufReader::new(provider.child().stdout.take().unwrap()).lines();
    let line = lines.find_map(|line| {
        let line = line.unwrap();
        Some(line.split_once("TF_REATTACH_PROVIDERS='")?.1.trim_end_matches('\'').to_owned())
    });
    let reattach = line.unwrap();
    for arguments in [&["apply", "-auto-approve"], &["destroy", "-auto-approve"]] {
        let output = world.command(arguments).env("TF_REATTACH_PROVIDERS", &reattach).output();
        let ran = Ran::of(&output.unwrap());
        assert!(ran.success, "{}", ran.text);
    }
    provider.signal(Signal::INT);
    assert!(provider.finish().status.success());
}

#[test]
fn a_person_who_starts_it_is_told_what_it_is() {
    let output = provider().output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("This is a Terraform provider"), "{text}");
}

/// With a certificate in its environment, it talks to nobody without.
#[test]
fn a_stranger_is_not_served() {
    let certificate = include_str!("host.pem");
    let mut command = provider();
    command
        .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
        .env("PLUGIN_CLIENT_CERT", certificate)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut provider = Running::start(&mut command);
    let mut line = String::new();
    BufReader::new(provider.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
    let fields: Vec<_> = line.trim_end().split('|').collect();
    assert_eq!((fields[0], fields[1], fields[2], fields[4]), ("1", "6", "unix", "grpc"));
    assert!(fields[5].len() > 50);

    // Plain HTTP/2, as a program on this machine might try.
    let mut stream = std::os::unix::net::UnixStream::connect(fields[3]).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    // A TLS alert at most, and the end.
    assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
    drop(provider);
    let _ = std::fs::remove_dir_all(std::path::Path::new(fields[3]).parent().unwrap());
}

#[test]
fn an_unreadable_certificate_is_not_taken_for_none() {
    let output = provider()
        .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
        .env("PLUGIN_CLIENT_CERT", "rubbish")
        .output()
        .unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
}

#[test]
fn logs_reach_terraform_s_log() {
    let Some(world) = World::new() else { return };
    world.write_box("name = \"a\"");
    let output = world.command(&["plan", "-no-color"]).env("TF_LOG", "JSON").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let line = lines.into_iter().find(|line: &serde_json::Value| line["@message"] == "configured");
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert_eq!((&line["@level"], &line["terraform_version"]), (&json!("info"), &json!("1.11.4")));
}

#[expect(clippy::disallowed_methods, reason = "this crate knows nothing of Kubesmith's own")]
pub(crate) fn provider() -> Command {
    let mut command = Command::new(provider_binary("shelf"));
    command.env_remove("TF_PLUGIN_MAGIC_COOKIE").stdin(Stdio::null());
    command
}
