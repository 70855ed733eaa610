//! A portal in a lab, from its start to its end.
//!
//! The portal runs inside the lab's network, as it would on a host beside Proxmox. Dropping a [`Site`] ends it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::{
    hcl,
    world::{Needs, World, command, lab_tool, provider_folder, root, world},
};

/// Where it listens, inside the lab's network.
pub(super) const ADDRESS: &str = "http://127.0.0.1:8080";

/// A lab with an address pool and a portal.
pub(super) struct Site {
    pub(super) world: World,
    config: PathBuf,
    pub(super) running: Option<Child>,
}

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

    pub(super) fn folder(&self) -> &Path {
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
