//! A lab that runs beside this program, and Terraform workspaces in it: what the demo and the benchmark share.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{command, demo::apart};

/// A `kubesmith-lab serve` of our own; ended with [`Session::end`], or when dropped by its closed standard input.
pub struct Session {
    child: Child,
    about: Value,
    dir: tempfile::TempDir,
}

impl Session {
    /// Starts a lab with guests under this id; what an earlier one of the same id left is removed first.
    pub async fn start(id: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("kubesmith-").tempdir()?;
        let log = dir.path().join("lab.log");
        let mut serve = apart(command::command(std::env::current_exe()?));
        serve.args(["serve", "--seed", "demo", "--id", id]);
        serve.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(fs::File::create(&log)?);
        let mut child = serve.spawn().context("the lab does not start")?;
        let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let line = lines.next_line().await?;
        let Some(line) = line else {
            anyhow::bail!("the lab does not start:\n{}", fs::read_to_string(&log)?);
        };
        let about = serde_json::from_str(&line).context("the lab's first line is JSON")?;
        Ok(Self { child, about, dir })
    }

    /// What the lab said of itself when it was ready.
    pub fn all_about(&self) -> &Value {
        &self.about
    }

    /// Where files of this session may lie; removed with it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn about(&self, key: &str) -> &str {
        self.about[key].as_str().unwrap_or_default()
    }

    /// Where the simulated Proxmox answers.
    pub fn url(&self) -> &str {
        self.about("url")
    }

    /// A program as it runs on a machine inside the lab's network.
    pub fn inside(&self, program: impl AsRef<Path>) -> Command {
        let mut nsenter = command::command("nsenter");
        nsenter.arg(format!("--net={}", self.about("netns"))).arg("--").arg(program.as_ref());
        nsenter
    }

    /// A request to the lab's controls or to its Proxmox; answers the body.
    pub async fn request(&self, method: &str, url: &str) -> Result<Value> {
        let mut curl = self.inside("curl");
        curl.args(["-sS", "-X", method, "--cacert", self.about("ca_file"), "-H"]);
        curl.arg(format!("Authorization: PVEAPIToken={}", self.about("token"))).arg(url);
        Ok(serde_json::from_slice(&command::output(&mut curl).await?.stdout).unwrap_or(Value::Null))
    }

    /// A request to the simulated Proxmox; answers `data`.
    pub async fn proxmox(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Result<Value> {
        let mut curl = self.inside("curl");
        curl.args([
            "-sS",
            "--fail-with-body",
            "-X",
            method,
            "--cacert",
            self.about("ca_file"),
            "-H",
        ]);
        curl.arg(format!("Authorization: PVEAPIToken={}", self.about("token")));
        for (key, value) in form {
            curl.arg("--data-urlencode").arg(format!("{key}={value}"));
        }
        curl.arg(format!("{}/api2/json{path}", self.url()));
        let answer: Value = serde_json::from_slice(&command::output(&mut curl).await?.stdout)?;
        Ok(answer["data"].clone())
    }

    /// The lab's control address.
    pub fn control(&self) -> &str {
        self.about("control")
    }

    /// Fails when a machine or an address is left in the datacentre.
    pub async fn check_empty(&self) -> Result<()> {
        let rows = self
            .request("GET", &format!("{}/api2/json/cluster/resources?type=vm", self.url()))
            .await?;
        let rows = rows["data"].as_array().cloned().unwrap_or_default();
        let left: Vec<_> =
            rows.iter().filter(|row| row["template"] != 1).map(|row| row["vmid"].clone()).collect();
        ensure!(left.is_empty(), "VMs are left: {left:?}");
        Ok(())
    }

    /// A workspace with this configuration, the provider from a local mirror, and all settings in the environment.
    pub fn workspace(
        &self,
        name: &str,
        hcl: &str,
        provider: &Path,
        ansible_playbook: &Path,
    ) -> Result<Workspace> {
        let dir = self.dir.path().join(name);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("main.tf"), hcl)?;
        // What people copy lies beside it, so that a copy finds its modules.
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("a checkout")?;
        for folder in ["examples", "modules"] {
            let link = self.dir.path().join(folder);
            if !link.exists() {
                std::os::unix::fs::symlink(checkout.join(folder), link)?;
            }
        }
        mirror(&dir.join(".mirror"), PROVIDER, provider)?;
        let config = dir.join(".terraformrc");
        let mirror = dir.join(".mirror");
        fs::write(
            &config,
            format!(
                "provider_installation {{\n  filesystem_mirror {{\n    path = \"{}\"\n  }}\n}}\n",
                mirror.display()
            ),
        )?;
        let environment = vec![
            ("TF_CLI_CONFIG_FILE", config.into_os_string()),
            ("CHECKPOINT_DISABLE", "1".into()),
            ("KUBESMITH_ENDPOINT", self.url().into()),
            ("KUBESMITH_API_TOKEN", self.about("token").into()),
            ("KUBESMITH_CA_FILE", self.about("ca_file").into()),
            ("KUBESMITH_OWNER", "demo".into()),
            ("KUBESMITH_EVENTS", dir.join("events.jsonl").into_os_string()),
            ("KUBESMITH_ANSIBLE_PLAYBOOK", ansible_playbook.as_os_str().to_owned()),
            ("KUBECONFIG", dir.join("kubeconfig").into_os_string()),
        ];
        let workspace = Workspace { netns: self.about("netns").to_owned(), dir, environment };
        workspace.write_environment()?;
        Ok(workspace)
    }

    /// Ends the lab, which removes all that it made.
    pub async fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait().await?;
        let log = fs::read_to_string(self.dir.path().join("lab.log")).unwrap_or_default();
        ensure!(status.success(), "the lab ended with {status}:\n{log}");
        Ok(())
    }
}

/// The provider's name in configurations.
pub const PROVIDER: &str = "kubesmith/kubesmith";

/// Puts a provider into a filesystem mirror. `source` is its name in configurations, `namespace/type`.
pub fn mirror(root: &Path, source: &str, provider: &Path) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let folder = root.join("registry.terraform.io").join(source).join(version).join("linux_amd64");
    fs::create_dir_all(&folder)?;
    let name = source.rsplit('/').next().unwrap_or(source);
    let target = folder.join(format!("terraform-provider-{name}_v{version}"));
    let _ = fs::remove_file(&target);
    Ok(std::os::unix::fs::symlink(provider, target)?)
}

/// A Terraform workspace in a lab.
pub struct Workspace {
    netns: String,
    dir: PathBuf,
    environment: Vec<(&'static str, std::ffi::OsString)>,
}

impl Workspace {
    /// Where its files lie.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Terraform in this workspace, not yet started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut terraform = apart(command::command("nsenter"));
        terraform.arg(format!("--net={}", self.netns)).args(["--", "terraform"]).args(arguments);
        terraform
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .current_dir(&self.dir);
        terraform
    }

    /// Runs Terraform to its end and answers what it printed.
    pub async fn terraform(&self, arguments: &[&str]) -> Result<String> {
        let output = command::output(&mut self.command(arguments)).await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// All stage events so far.
    pub fn events(&self) -> Result<Vec<Value>> {
        let path = self.dir.join("events.jsonl");
        let text = if path.exists() { fs::read_to_string(path)? } else { String::new() };
        // The last line may still be in the making.
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Writes the kubeconfig of a cluster in the state to a file that only we can read.
    pub async fn kubeconfig(&self, address: &str) -> Result<PathBuf> {
        use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
        let state: Value = serde_json::from_str(&self.terraform(&["show", "-json"]).await?)?;
        let resources =
            state["values"]["root_module"]["resources"].as_array().cloned().unwrap_or_default();
        let cluster = resources.iter().find(|resource| resource["address"] == address);
        let text = cluster
            .and_then(|cluster| cluster["values"]["kubeconfig"].as_str())
            .context("no kubeconfig in the state")?;
        let path = self.dir.join("kubeconfig");
        let _ = fs::remove_file(&path);
        let mut file =
            fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }

    /// The settings as a file for a shell: it holds the token, so only we can read it.
    fn write_environment(&self) -> Result<()> {
        use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
        let path = self.dir.join("environment");
        let mut file = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        for (key, value) in &self.environment {
            writeln!(file, "export {key}='{}'", value.to_string_lossy().replace('\'', r"'\''"))?;
        }
        Ok(())
    }

    /// The command that opens a shell in this workspace.
    pub fn shell_hint(&self) -> String {
        let dir = self.dir.display();
        format!(
            "sudo nsenter --net={} -- sh -c 'cd {dir} && . ./environment && exec bash'",
            self.netns
        )
    }
}
