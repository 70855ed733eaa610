//! A world for one test: a lab of its own, workspaces in it, and the programs a user would run.
//!
//! Dropping a [`World`] ends its lab, and panics if the lab left anything on the machine.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use kubesmith_lab::components::FOLDER;

use crate::hcl;

const LAB: &str = env!("CARGO_BIN_EXE_kubesmith-lab");

#[expect(clippy::disallowed_methods, reason = "the tests run the programs a user runs")]
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

/// What a test needs of the machine. A miss is a visible skip, and a failure when `CI` is set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Terraform.
    Terraform,
    /// Terraform, and root on Linux for light guests.
    Guests,
    /// Guests, and Kubernetes' own programs for them: the folder that `KUBESMITH_LAB_KUBERNETES` names. The one thing
    /// that a machine may lack under CI as well, because no package source has it.
    Kubernetes,
}

/// Begins a test: `None` (and a line that says why) where the machine can't run it.
pub(crate) fn world(needs: Needs) -> Option<World> {
    if !able(needs) {
        return None;
    }
    // Clusters of real programs are heavy: one at a time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let turn = (needs == Needs::Kubernetes)
        .then(|| ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner));
    Some(World::start(needs, turn))
}

/// Whether the machine has what a test needs; says why not.
pub(crate) fn able(needs: Needs) -> bool {
    let missing = if command("terraform").arg("version").output().is_err() {
        "terraform is not on PATH"
    } else if needs != Needs::Terraform && !cfg!(target_os = "linux") {
        "light guests need Linux"
    } else if needs != Needs::Terraform && !rustix::process::geteuid().is_root() {
        "light guests need root"
    } else if needs == Needs::Kubernetes && std::env::var_os(FOLDER).is_none() {
        eprintln!("SKIPPED: no folder with Kubernetes' own programs: {FOLDER} is not set");
        return false;
    } else {
        return true;
    };
    assert!(std::env::var_os("CI").is_none(), "CI runs every test, but {missing}");
    eprintln!("SKIPPED: {missing}");
    false
}

/// A running lab and a folder for workspaces.
pub(crate) struct World {
    dir: tempfile::TempDir,
    lab: Child,
    stdin: Option<ChildStdin>,
    about: Value,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl World {
    fn start(needs: Needs, turn: Option<MutexGuard<'static, ()>>) -> Self {
        provider_folder();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut serve = command(LAB);
        serve.arg("serve").args(["--seed", "demo"]);
        if needs == Needs::Terraform {
            serve.arg("--pve-only");
        }
        let log = fs::File::create(dir.path().join("lab.log")).expect("lab.log");
        let mut lab = serve
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("kubesmith-lab starts");
        let stdin = lab.stdin.take();
        let mut line = String::new();
        BufReader::new(lab.stdout.take().expect("stdout is piped"))
            .read_line(&mut line)
            .expect("a line from the lab");
        let about = serde_json::from_str(&line).unwrap_or_else(|error| {
            let log = fs::read_to_string(dir.path().join("lab.log")).unwrap_or_default();
            panic!("the lab did not start ({error}): {line}\n{log}")
        });
        Self { dir, lab, stdin, about, _turn: turn }
    }

    /// `version` or `template` of the machines with Kubernetes' own programs.
    pub(crate) fn kubernetes(&self, key: &str) -> &str {
        self.about["kubernetes"][key].as_str().expect("the lab has Kubernetes' own programs")
    }

    pub(crate) fn about(&self, key: &str) -> &str {
        self.about[key].as_str().unwrap_or_else(|| panic!("the lab did not say its {key}"))
    }

    /// A program as it runs on a machine inside the lab's network.
    pub(crate) fn inside(&self, program: &str) -> Command {
        match self.about["netns"].as_str() {
            Some(netns) => {
                let mut nsenter = command("nsenter");
                nsenter.arg(format!("--net={netns}")).arg("--").arg(program);
                nsenter
            }
            None => command(program),
        }
    }

    /// One request to the lab's own controls (`/lab/...`): faults, guests, the journal of requests.
    pub(crate) fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.about("control"));
        let mut curl = self.inside("curl");
        curl.args([
            "-sS",
            "--fail-with-body",
            "-X",
            method,
            "-H",
            "Content-Type: application/json",
        ]);
        if !body.is_null() {
            curl.arg("-d").arg(body.to_string());
        }
        let output = curl.arg(&url).output().expect("curl");
        assert!(output.status.success(), "{method} {url}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Sets one fault; [`Self::heal`] clears all.
    pub(crate) fn fault(&self, fault: &Value) {
        self.control("POST", "/lab/faults", fault);
    }

    /// Clears every fault.
    pub(crate) fn heal(&self) {
        self.control("DELETE", "/lab/faults", &Value::Null);
    }

    /// One request to the simulated Proxmox, as its administrator in the web interface would make it.
    pub(crate) fn proxmox(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Value {
        let (status, body) = self.try_proxmox(method, path, form);
        assert!(status == 200, "{method} {path}: {status} {body}");
        body["data"].clone()
    }

    /// The same, with the status and the whole body.
    pub(crate) fn try_proxmox(
        &self,
        method: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> (u16, Value) {
        let mut curl = self.inside("curl");
        curl.args(["-sS", "-X", method, "--cacert", self.about("ca_file"), "-w", "\n%{http_code}"]);
        curl.arg("-H").arg(format!("Authorization: PVEAPIToken={}", self.about("token")));
        for (key, value) in form {
            curl.arg("--data-urlencode").arg(format!("{key}={value}"));
        }
        let url = format!("{}/api2/json{path}", self.about("url"));
        let output = curl.arg(&url).output().expect("curl");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').expect("a body and a status");
        (status.parse().expect("a status"), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// The VMs of the datacentre that are neither template nor ledger: `(vmid, row)`, by VMID.
    pub(crate) fn machines(&self) -> Vec<(u64, Value)> {
        let mut rows: Vec<_> = self
            .proxmox("GET", "/cluster/resources?type=vm", &[])
            .as_array()
            .expect("a list")
            .iter()
            .map(|row| (row["vmid"].as_u64().expect("a vmid"), row.clone()))
            .filter(|(vmid, _)| !(9000..=9990).contains(vmid))
            .collect();
        rows.sort_by_key(|(vmid, _)| *vmid);
        rows
    }

    /// Deletes a machine as its administrator would: stop, then remove.
    pub(crate) fn stop_and_delete(&self, node: &str, vmid: u64) {
        for (method, path) in [
            ("POST", format!("/nodes/{node}/qemu/{vmid}/status/stop")),
            ("DELETE", format!("/nodes/{node}/qemu/{vmid}")),
        ] {
            let upid = self.proxmox(method, &path, &[]);
            self.wait_for_task(node, upid.as_str().expect("a UPID"));
        }
    }

    pub(crate) fn wait_for_task(&self, node: &str, upid: &str) {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let task = self.proxmox(
                "GET",
                &format!("/nodes/{node}/tasks/{}/status", upid.replace('!', "%21")),
                &[],
            );
            if task["status"] == "stopped" {
                assert_eq!(task["exitstatus"], "OK", "{upid}");
                return;
            }
            assert!(Instant::now() < deadline, "{upid} does not end");
        }
    }

    /// Nothing of ours is left: no machine, and no ledger or an empty one.
    pub(crate) fn assert_empty(&self) {
        assert_eq!(self.machines(), [], "machines are left");
        let (status, sets) = self.try_proxmox("GET", "/nodes/pve1/qemu/9990/firewall/ipset", &[]);
        let left = sets["data"].as_array().is_some_and(|sets| !sets.is_empty());
        assert!(status != 200 || !left, "the ledger is not empty: {sets}");
    }

    /// Where workspaces lie.
    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// A new Terraform workspace of `owner` with this configuration.
    pub(crate) fn workspace(&self, owner: &str, hcl: &str) -> Workspace<'_> {
        let dir = self.dir.path().join(owner);
        fs::create_dir_all(&dir).expect("a workspace");
        let workspace = Workspace { world: self, owner: owner.to_owned(), dir, env: Vec::new() };
        fs::write(workspace.dir.join("versions.tf"), hcl::VERSIONS).expect("versions.tf");
        workspace.write(hcl);
        workspace
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let status = self.lab.wait().expect("the lab ends");
        if std::thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("lab.log")).unwrap_or_default();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!("--- the lab's last lines");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        } else {
            assert!(status.success(), "the lab left something behind: {status}");
        }
    }
}

/// One Terraform state and its configuration: what one user, course or CI job has.
pub(crate) struct Workspace<'w> {
    world: &'w World,
    owner: String,
    dir: PathBuf,
    env: Vec<(String, String)>,
}

impl Workspace<'_> {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Replaces the configuration.
    pub(crate) fn write(&self, hcl: &str) {
        fs::write(self.dir.join("main.tf"), hcl).expect("main.tf");
    }

    /// Sets a variable for all later commands.
    pub(crate) fn set_env(&mut self, key: &str, value: &str) {
        self.env.retain(|(known, _)| known != key);
        self.env.push((key.to_owned(), value.to_owned()));
    }

    /// Terraform in this workspace, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut terraform = self.world.inside("terraform");
        terraform
            .args(arguments)
            .current_dir(&self.dir)
            .env("TF_CLI_CONFIG_FILE", cli_config())
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .envs(self.settings());
        terraform
    }

    /// The provider's settings, as its environment.
    fn settings(&self) -> Vec<(String, String)> {
        let events = self.events_file();
        let settings = [
            ("KUBESMITH_ENDPOINT", self.world.about("url")),
            ("KUBESMITH_API_TOKEN", self.world.about("token")),
            ("KUBESMITH_CA_FILE", self.world.about("ca_file")),
            ("KUBESMITH_OWNER", self.owner.split('/').next().unwrap_or_default()),
            ("KUBESMITH_EVENTS", events.to_str().expect("UTF-8")),
            ("KUBESMITH_ANSIBLE_PLAYBOOK", ansible_playbook()),
        ];
        let settings = settings.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        settings.chain(self.env.iter().cloned()).collect()
    }

    /// The provider's own program, as an admin would run it for this workspace; it must succeed.
    pub(crate) fn provider(&self, arguments: &[&str]) -> String {
        let program = provider_folder().join("terraform-provider-kubesmith");
        let mut provider = self.world.inside(program.to_str().expect("UTF-8"));
        provider.args(arguments).current_dir(&self.dir).envs(self.settings());
        let output = provider.output().expect("the provider");
        assert!(output.status.success(), "{}: {}", arguments.join(" "), text(&output));
        text(&output)
    }

    /// Runs Terraform to its end: whether it succeeded, and all it printed.
    pub(crate) fn terraform(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.command(arguments).output().expect("terraform");
        (output.status.success(), text(&output))
    }

    /// Runs Terraform, which must succeed.
    pub(crate) fn must(&self, arguments: &[&str]) -> String {
        let (ok, text) = self.terraform(arguments);
        assert!(ok, "terraform {} failed:\n{text}", arguments.join(" "));
        text
    }

    pub(crate) fn apply(&self) -> String {
        self.must(&["apply", "-auto-approve", "-no-color"])
    }

    pub(crate) fn destroy(&self) -> String {
        self.must(&["destroy", "-auto-approve", "-no-color"])
    }

    /// `terraform apply` must fail; what it printed, with the box drawing and line breaks of diagnostics undone.
    pub(crate) fn apply_fails(&self) -> String {
        let (ok, text) = self.terraform(&["apply", "-auto-approve", "-no-color"]);
        assert!(!ok, "apply should have failed:\n{text}");
        one_line(&text)
    }

    /// The plan is empty, with and without a refresh.
    pub(crate) fn assert_no_changes(&self) {
        for refresh in ["-refresh=false", "-refresh=true"] {
            let text = self.must(&["plan", "-no-color", refresh]);
            assert!(text.contains("No changes."), "plan {refresh} is not empty:\n{text}");
        }
    }

    /// The attributes of a resource in the state, or null.
    pub(crate) fn attributes(&self, address: &str) -> Value {
        let shown = self.command(&["show", "-json"]).output().expect("terraform show");
        let state: Value = serde_json::from_slice(&shown.stdout).unwrap_or_default();
        let resources = state["values"]["root_module"]["resources"].as_array().cloned();
        resources
            .unwrap_or_default()
            .into_iter()
            .find(|resource| resource["address"] == address)
            .map_or(Value::Null, |resource| resource["values"].clone())
    }

    /// Addresses of all resources in the state.
    pub(crate) fn resources(&self) -> Vec<String> {
        let (_, text) = self.terraform(&["state", "list"]);
        text.lines().filter(|line| line.starts_with("kubesmith_")).map(str::to_owned).collect()
    }

    /// The state holds nothing.
    pub(crate) fn assert_gone(&self) {
        assert_eq!(self.resources(), Vec::<String>::new());
    }

    pub(crate) fn events_file(&self) -> PathBuf {
        self.dir.join("events.jsonl")
    }

    /// All stage events so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.events_file()).unwrap_or_default();
        // The last line may still be in the making.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Starts Terraform in a process group of its own.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        use std::os::unix::process::CommandExt as _;
        let child = self
            .command(arguments)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("terraform starts");
        Running { child }
    }

    /// Waits for an event that `wanted` accepts; false when Terraform ended before one came.
    pub(crate) fn wait_for_event(
        &self,
        running: &mut Running,
        wanted: impl Fn(&Value) -> bool,
    ) -> bool {
        let deadline = Instant::now() + Duration::from_mins(4);
        loop {
            if self.events().iter().any(&wanted) {
                return true;
            }
            if running.child.try_wait().expect("terraform's status").is_some() {
                return false;
            }
            assert!(
                Instant::now() < deadline,
                "no such event in 240 s; seen: {:#?}",
                self.events()
            );
            // Not a synchronisation: the file is looked at again until the event stands in it.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The kubeconfig of a cluster in the state, in a file only we can read.
    pub(crate) fn kubeconfig(&self, address: &str) -> PathBuf {
        use std::os::unix::fs::OpenOptionsExt as _;
        let attributes = self.attributes(address);
        let text = attributes["kubeconfig"].as_str().expect("a kubeconfig");
        let path = self.dir.join("kubeconfig");
        let _ = fs::remove_file(&path);
        let mut file = fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .expect("open");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("write");
        path
    }

    /// The real kubectl with a cluster's kubeconfig: what it printed.
    pub(crate) fn kubectl(&self, address: &str, arguments: &[&str]) -> String {
        let kubeconfig = self.kubeconfig(address);
        let mut kubectl = self.world.inside("kubectl");
        kubectl.arg("--kubeconfig").arg(kubeconfig).args(arguments);
        let output = kubectl.output().expect("kubectl");
        assert!(output.status.success(), "kubectl {}: {}", arguments.join(" "), text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// A Terraform that runs beside the test.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    fn group(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// SIGKILL to Terraform, the provider and all that they started in the same process group.
    pub(crate) fn kill(mut self) {
        rustix::process::kill_process_group(self.group(), rustix::process::Signal::KILL)
            .expect("kill");
        self.child.wait().expect("terraform ends");
    }

    /// SIGINT once to the group, as Ctrl-C does; then Terraform may end by itself.
    pub(crate) fn interrupt(&self) {
        rustix::process::kill_process_group(self.group(), rustix::process::Signal::INT)
            .expect("interrupt");
    }

    /// Waits for the end: whether it succeeded, and all it printed.
    pub(crate) fn finish(mut self) -> (bool, String) {
        let mut stderr = self.child.stderr.take().expect("stderr is piped");
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let mut text = String::new();
        let _ = self.child.stdout.take().expect("stdout is piped").read_to_string(&mut text);
        let status = self.child.wait().expect("terraform ends");
        text.push_str(&reader.join().expect("the reader ends"));
        (status.success(), text)
    }
}

/// All that a program printed.
pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Terraform wraps diagnostics at the terminal's width behind a bar: the same text on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.replace(['│', '╷', '╵'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The folder that holds the built provider. `cargo test` does not build other packages' programs, so this does.
pub(crate) fn provider_folder() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let built = command(env!("CARGO"))
            .args(["build", "--quiet", "-p", "terraform-provider-kubesmith"])
            .current_dir(root())
            .status()
            .expect("cargo");
        assert!(built.success(), "the provider does not build");
        Path::new(LAB).parent().expect("a folder").to_owned()
    })
}

/// The repository's top folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent")
}

fn cli_config() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("terraform.rc");
        let folder = provider_folder().display();
        let text = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"kubesmith/kubesmith\" = \"{folder}\"\n  }}\n  direct {{}}\n}}\n"
        );
        fs::write(&path, text).expect("terraform.rc");
        path
    })
}

/// `ansible-playbook`, installed by the lab where the machine has none.
fn ansible_playbook() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let output =
            command(LAB).args(["tool", "ansible-playbook"]).output().expect("kubesmith-lab");
        assert!(output.status.success(), "no ansible-playbook: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}

/// A program that the lab provides, and that not every machine can have. `None` is a visible skip.
pub(crate) fn lab_tool(name: &str) -> Option<PathBuf> {
    let output = command(LAB).args(["tool", name]).output().expect("kubesmith-lab");
    if output.status.success() {
        return Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    assert!(std::env::var_os("CI").is_none(), "no {name}: {}", text(&output));
    eprintln!("SKIPPED: no {name} on this machine");
    None
}
