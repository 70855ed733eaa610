//! A Terraform workspace: what its user does in it, and what its state says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::hcl;

use super::{
    World,
    programs::{ansible_playbook, cli_config, command, one_line, provider_folder, terraform, text},
    running::Running,
};

/// One Terraform state and its configuration: what one user, course or CI job has.
pub(crate) struct Workspace<'w> {
    world: &'w World,
    owner: String,
    dir: PathBuf,
    env: Vec<(String, String)>,
}

impl<'w> Workspace<'w> {
    pub(super) fn new(world: &'w World, owner: &str, hcl: &str) -> Self {
        let dir = world.folder().join(owner);
        fs::create_dir_all(dir.join("tmp")).expect("a workspace");
        let workspace = Self { world, owner: owner.to_owned(), dir, env: Vec::new() };
        fs::write(workspace.dir.join("versions.tf"), hcl::VERSIONS).expect("versions.tf");
        workspace.write(hcl);
        workspace
    }

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
        let mut terraform = self.world.inside(terraform());
        terraform
            .args(arguments)
            .current_dir(&self.dir)
            .env("TF_CLI_CONFIG_FILE", cli_config())
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .env("TMPDIR", self.dir.join("tmp"))
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

    /// The provider's own program, with this workspace's settings.
    pub(crate) fn program(&self) -> Command {
        let program = provider_folder().join("terraform-provider-kubesmith");
        let mut provider = self.world.inside(program.to_str().expect("UTF-8"));
        provider.current_dir(&self.dir).envs(self.settings());
        provider
    }

    /// The same program, as an admin would run it for this workspace: whether it succeeded, and all it printed.
    pub(crate) fn try_provider(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.program().args(arguments).output().expect("the provider");
        (output.status.success(), text(&output))
    }

    /// The same; it must succeed.
    pub(crate) fn provider(&self, arguments: &[&str]) -> String {
        let (ok, text) = self.try_provider(arguments);
        assert!(ok, "{}: {text}", arguments.join(" "));
        text
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

    /// Changes the attributes of the resource of this type in the state's file, as an accident would.
    pub(crate) fn edit_state(&self, kind: &str, edit: impl FnOnce(&mut Value)) {
        let path = self.dir.join("terraform.tfstate");
        let text = fs::read_to_string(&path).expect("a state");
        let mut state: Value = serde_json::from_str(&text).expect("JSON");
        let mut resources = state["resources"].as_array_mut().expect("resources").iter_mut();
        let resource = resources.find(|resource| resource["type"] == kind).expect(kind);
        edit(&mut resource["instances"][0]["attributes"]);
        fs::write(path, state.to_string()).expect("write");
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

    /// Takes all events away, so that only new ones are seen.
    pub(crate) fn forget_events(&self) {
        fs::write(self.events_file(), "").expect("the events");
    }

    /// No temporary file holds a private key.
    pub(crate) fn assert_no_key_is_left(&self) {
        let mut grep = command("grep");
        grep.args(["-rls", "PRIVATE KEY"]).arg(self.dir.join("tmp"));
        let found = text(&grep.output().expect("grep"));
        assert!(found.is_empty(), "a private key is left:\n{found}");
    }

    /// The folders of playbook runs: while one runs there is one.
    pub(crate) fn runs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.join("tmp")).expect("the temporary folder").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("ks-")).collect()
    }

    /// Starts Terraform in a process group of its own.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        use std::os::unix::process::CommandExt as _;
        let log = self.dir.join("terraform.log");
        let file = fs::File::create(&log).expect("terraform.log");
        let child = self
            .command(arguments)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("one more handle"))
            .stderr(file)
            .spawn()
            .expect("terraform starts");
        Running::new(child, log)
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
            if running.has_ended() {
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
