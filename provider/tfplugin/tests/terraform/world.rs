//! A directory with a Terraform configuration, a shelf, and the real Terraform to run in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// One root module and its shelf; gone when dropped.
pub(crate) struct World {
    directory: TempDir,
    provider: &'static str,
}

/// A process that ends with the test, however the test ends.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        kill_process(Pid::from_child(self.child()), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How a terraform command ended.
pub(crate) struct Ran {
    pub(crate) success: bool,
    /// stdout and stderr, the frames of diagnostics removed, on one line each.
    pub(crate) text: String,
}

impl World {
    /// A world whose provider block is empty. `None` where there is no terraform.
    pub(crate) fn new() -> Option<Self> {
        Self::of("shelf")
    }

    /// A world of another provider among the examples.
    pub(crate) fn of(provider: &'static str) -> Option<Self> {
        if !terraform_exists() {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let world = Self { directory, provider };
        for name in ["shelf", "plugins"] {
            std::fs::create_dir(world.path(name)).unwrap();
        }
        let plugins = world.path("plugins");
        let name = format!("terraform-provider-{provider}");
        std::os::unix::fs::symlink(provider_binary(provider), plugins.join(name)).unwrap();
        std::fs::write(
            world.path("terraformrc"),
            format!(
                "provider_installation {{\n  dev_overrides {{ \"example/{provider}\" = {:?} }}\n  direct {{}}\n}}\n",
                plugins.display().to_string()
            ),
        )
        .unwrap();
        Some(world)
    }

    /// A file or directory in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Is this box on the shelf?
    pub(crate) fn has_box(&self, name: &str) -> bool {
        self.path("shelf").join(format!("{name}.json")).exists()
    }

    /// Writes the configuration, whole.
    pub(crate) fn write(&self, hcl: &str) {
        let name = self.provider;
        let head = format!(
            "terraform {{\n  required_providers {{\n    {name} = {{ source = \"example/{name}\" }}\n  }}\n}}"
        );
        std::fs::write(self.path("main.tf"), format!("{head}\n{hcl}\n")).unwrap();
    }

    /// Writes a configuration with one box, `shelf_box.it`, and these attributes.
    pub(crate) fn write_box(&self, attributes: &str) {
        self.write(&format!("resource \"shelf_box\" \"it\" {{\n{attributes}\n}}"));
    }

    /// Writes a configuration with one resource, `TYPE.it`; JSON literals are literals of HCL.
    pub(crate) fn write_resource(&self, type_name: &str, attributes: &Value) {
        let attributes = attributes.as_object().unwrap().iter();
        let lines = attributes.map(|(name, value)| format!("  {name} = {value}\n"));
        let lines: String = lines.collect();
        self.write(&format!("resource \"{type_name}\" \"it\" {{\n{lines}}}"));
    }

    /// A terraform command in this world.
    #[expect(clippy::disallowed_methods, reason = "this crate knows nothing of Kubesmith's own")]
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("terraform");
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env("TF_CLI_CONFIG_FILE", self.path("terraformrc"))
            .env("SHELF_DIRECTORY", self.path("shelf"))
            .env("TMPDIR", self.directory.path())
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .env_remove("TF_LOG")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs terraform to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    /// Starts terraform.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::start(&mut self.command(arguments))
    }

    /// Applies; everything must go well.
    pub(crate) fn apply(&self) {
        let ran = self.run(&["apply", "-auto-approve", "-no-color"]);
        assert!(ran.success, "{}", ran.text);
    }

    /// Applies; something must go wrong.
    pub(crate) fn apply_fails(&self) -> String {
        let ran = self.run(&["apply", "-auto-approve", "-no-color"]);
        assert!(!ran.success, "{}", ran.text);
        ran.text
    }

    /// The plan: what happens to `shelf_box.it`, or "" if nothing happens.
    pub(crate) fn planned_actions(&self) -> String {
        let plan = self.plan();
        let change = plan["resource_changes"].as_array().and_then(|changes| {
            changes.iter().find(|change| change["address"] == "shelf_box.it").cloned()
        });
        let actions = change.map(|change| change["change"]["actions"].clone()).unwrap_or_default();
        let actions = actions.as_array().cloned().unwrap_or_default();
        let actions: Vec<_> = actions.iter().map(|action| action.as_str().unwrap()).collect();
        actions.join("+").replace("no-op", "")
    }

    /// The plan as Terraform shows it to programs.
    pub(crate) fn plan(&self) -> Value {
        let ran = self.run(&["plan", "-no-color", "-out=plan"]);
        assert!(ran.success, "{}", ran.text);
        self.show(&["show", "-json", "plan"])
    }

    /// The attributes of `shelf_box.it` in the state, with `tainted` among them; null if it is
    /// not there.
    pub(crate) fn state(&self) -> Value {
        self.stored("shelf_box.it")
    }

    /// The same of any object.
    pub(crate) fn stored(&self, address: &str) -> Value {
        let state = self.show(&["show", "-json"]);
        let resources = state["values"]["root_module"]["resources"].as_array().cloned();
        let found = resources.unwrap_or_default().into_iter();
        let Some(it) = found.into_iter().find(|one| one["address"] == address) else {
            return Value::Null;
        };
        let mut values = it["values"].clone();
        values["tainted"] = it["tainted"].clone();
        values
    }

    /// The value of an output.
    pub(crate) fn output(&self, name: &str) -> Value {
        self.show(&["output", "-json", name])
    }

    /// What lies on the shelf under this name; null if nothing does.
    pub(crate) fn on_shelf(&self, name: &str) -> Value {
        let file = self.path("shelf").join(format!("{name}.json"));
        std::fs::read(file).map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap())
    }

    fn show(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", Ran::of(&output).text);
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
        let lines = text.lines().map(|line| line.trim_start_matches(['│', '╷', '╵', ' ']));
        Self { success: output.status.success(), text: lines.collect::<Vec<_>>().join("\n") }
    }
}

/// Cargo builds examples beside the tests.
pub(crate) fn provider_binary(provider: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap();
    let binary = binary.join(format!("examples/terraform-provider-{provider}"));
    assert!(binary.exists(), "build it first: cargo build --examples -p kubesmith-tfplugin");
    binary
}

#[expect(clippy::disallowed_methods, reason = "this crate knows nothing of Kubesmith's own")]
#[expect(clippy::print_stderr, reason = "a skip must be seen")]
fn terraform_exists() -> bool {
    let exists = Command::new("terraform")
        .arg("-version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !exists {
        assert!(std::env::var_os("CI").is_none(), "terraform is missing, and CI must have it");
        eprintln!("SKIPPED: there is no terraform on the PATH");
    }
    exists
}
