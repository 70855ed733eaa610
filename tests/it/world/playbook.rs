//! Playbooks run by hand, as a person or Packer runs them: without the provider.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    Machine, World, command,
    programs::{ansible_playbook, root, text},
    running::Running,
};

/// A folder with an SSH key, an inventory and variables, from which playbooks run.
pub(crate) struct Playbooks<'w> {
    world: &'w World,
    dir: PathBuf,
    user: &'static str,
}

/// How a run of a playbook ended.
pub(crate) struct Played {
    pub(crate) ok: bool,
    pub(crate) text: String,
    pub(crate) events: Vec<Value>,
}

impl World {
    /// Playbooks with a key of their own, which opens machines that were booted with [`Playbooks::access`].
    pub(crate) fn playbooks(&self) -> Playbooks<'_> {
        let playbooks = self.by_hand("builder");
        let mut keygen = command("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "by-hand", "-f"]);
        let made = keygen.arg(playbooks.dir.join("key")).output().expect("ssh-keygen");
        assert!(made.status.success(), "{}", text(&made));
        playbooks
    }

    /// Playbooks with the key of a cluster that Terraform made.
    pub(crate) fn playbooks_with(&self, private_key: &str) -> Playbooks<'_> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let playbooks = self.by_hand("kubesmith");
        let mut key = fs::OpenOptions::new();
        let key = key.create_new(true).write(true).mode(0o600).open(playbooks.dir.join("key"));
        std::io::Write::write_all(&mut key.expect("a key"), private_key.as_bytes()).expect("a key");
        playbooks
    }

    fn by_hand(&self, user: &'static str) -> Playbooks<'_> {
        let dir = self.folder().join("by-hand");
        for folder in ["cp", "tmp", "artifacts"] {
            fs::create_dir_all(dir.join(folder)).expect("a folder");
        }
        Playbooks { world: self, dir, user }
    }
}

impl Playbooks<'_> {
    /// Settings of a machine that lets these playbooks in.
    pub(crate) fn access(&self) -> [(&'static str, String); 2] {
        let key = fs::read_to_string(self.dir.join("key.pub")).expect("a key");
        let escaped =
            percent_encoding::utf8_percent_encode(key.trim(), percent_encoding::NON_ALPHANUMERIC);
        [("ciuser", self.user.to_owned()), ("sshkeys", escaped.to_string())]
    }

    /// The folder on this machine that playbooks fetch files into.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.dir.join("artifacts")
    }

    /// Starts a playbook over groups of machines.
    pub(crate) fn start(&self, file: &str, groups: &[(&str, &[Machine])], vars: &Value) -> Running {
        use std::os::unix::process::CommandExt as _;
        let groups: serde_json::Map<_, _> = groups
            .iter()
            .map(|(group, machines)| {
                let host = |one: &Machine| {
                    (
                        one.name.to_owned(),
                        json!({"ansible_host": one.address, "node_address": one.address}),
                    )
                };
                let hosts: serde_json::Map<_, _> = machines.iter().map(host).collect();
                ((*group).to_owned(), json!({"hosts": hosts}))
            })
            .collect();
        let path = |name: &str| self.dir.join(name);
        let ssh = format!(
            "-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={}",
            path("known_hosts").display()
        );
        let inventory = json!({"all": {"children": groups, "vars": {
            "ansible_user": self.user, "ansible_ssh_private_key_file": path("key"), "ansible_ssh_common_args": ssh}}});
        fs::write(path("inventory.json"), inventory.to_string()).expect("an inventory");
        let mut vars = vars.clone();
        vars["artifacts_dir"] = json!(path("artifacts"));
        fs::write(path("vars.json"), vars.to_string()).expect("variables");
        fs::write(self.events_file(), "").expect("a file for events");
        let log = fs::File::create(path("log")).expect("a log");
        let mut playbook = self.world.inside(ansible_playbook());
        playbook.arg("-i").arg(path("inventory.json")).arg("-e");
        playbook.arg(format!("@{}", path("vars.json").display()));
        playbook
            .arg(root().join("ansible").join(file))
            .env("ANSIBLE_CONFIG", root().join("ansible/ansible.cfg"))
            .env("ANSIBLE_LOCAL_TEMP", path("tmp"))
            .env("ANSIBLE_SSH_CONTROL_PATH_DIR", path("cp"))
            .env("ANSIBLE_NOCOLOR", "1")
            .env("KUBESMITH_ANSIBLE_EVENTS", self.events_file())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("one more handle"))
            .stderr(log);
        Running::new(playbook.spawn().expect("ansible-playbook starts"), path("log"))
    }

    /// Runs a playbook to its end.
    pub(crate) fn play(&self, file: &str, groups: &[(&str, &[Machine])], vars: &Value) -> Played {
        let (ok, text) = self.start(file, groups, vars).finish();
        Played { ok, text, events: self.events() }
    }

    /// Kills a playbook, with all its processes, as soon as it says that it has begun its task number `index`. False when
    /// it ended before.
    pub(crate) fn kill_in_task(&self, mut running: Running, index: usize) -> bool {
        let deadline = Instant::now() + Duration::from_mins(5);
        loop {
            if tasks(&self.events()).len() > index {
                running.kill();
                return true;
            }
            if running.has_ended() {
                return false;
            }
            assert!(Instant::now() < deadline, "no task {index} in 300 s: {:#?}", self.events());
            // Not a synchronisation: the file is looked at again until the event stands in it.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn events_file(&self) -> PathBuf {
        self.dir.join("events.jsonl")
    }

    fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.events_file()).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// The connections that Ansible keeps for its next task end with us.
impl Drop for Playbooks<'_> {
    fn drop(&mut self) {
        for socket in fs::read_dir(self.dir.join("cp")).into_iter().flatten().flatten() {
            hang_up(&socket.path());
        }
    }
}

fn hang_up(socket: &Path) {
    let mut ssh = command("ssh");
    ssh.args(["-F", "none", "-O", "exit", "-o"]).arg(format!("ControlPath={}", socket.display()));
    let _ = ssh.arg("any").output();
}

/// The tasks that have begun, in order: play and name.
pub(crate) fn tasks(events: &[Value]) -> Vec<String> {
    let begun = events.iter().filter(|event| event["event"] == "task_start");
    begun
        .map(|event| {
            format!(
                "{}: {}",
                event["play"].as_str().unwrap_or("?"),
                event["task"].as_str().unwrap_or("?")
            )
        })
        .collect()
}

impl Played {
    /// It must have succeeded.
    pub(crate) fn must(self) -> Self {
        assert!(self.ok, "the playbook failed:\n{}", self.text);
        self
    }

    /// Tasks that changed something, over all machines.
    pub(crate) fn changed(&self) -> u64 {
        let stats = self
            .events
            .iter()
            .rev()
            .find(|event| event["event"] == "stats")
            .expect("a run that ended");
        let hosts = stats["hosts"].as_object().expect("hosts");
        hosts.values().map(|host| host["changed"].as_u64().unwrap_or_default()).sum()
    }

    /// From the first event to the last.
    pub(crate) fn seconds(&self) -> f64 {
        time(self.events.last()) - time(self.events.first())
    }

    /// Each task with its seconds, from its start to that of the next.
    pub(crate) fn times(&self) -> Vec<(&str, f64)> {
        let begun: Vec<_> =
            self.events.iter().filter(|event| event["event"] == "task_start").collect();
        let ends = begun.iter().skip(1).copied().chain(self.events.last());
        begun
            .iter()
            .zip(ends)
            .map(|(task, end)| {
                (task["task"].as_str().unwrap_or("?"), time(Some(end)) - time(Some(task)))
            })
            .collect()
    }
}

fn time(event: Option<&Value>) -> f64 {
    event.and_then(|event| event["time"].as_f64()).expect("an event with its time")
}
