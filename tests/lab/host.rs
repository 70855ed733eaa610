//! What the lab needs from the machine it runs on, and how to get it.
//!
//! As root on Debian or Ubuntu missing programs are installed; elsewhere they are named with the
//! reason why they are needed. Ansible comes from Python's package index into the lab's cache, because distributions
//! carry versions too far apart.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use crate::command;

/// The Ansible that the roles are written for; the newest that Python 3.11 can run.
const ANSIBLE_CORE: &str = "ansible-core==2.19.*";
/// What holds the portal's API to its own description.
const SCHEMATHESIS: &str = "schemathesis==4.32.*";
/// Written when a virtual environment is complete.
const COMPLETE: &str = "complete";

/// A program, the package it is in, and what for.
struct Program(&'static str, &'static str, &'static str);

const PROGRAMS: [Program; 13] = [
    Program("mmdebstrap", "mmdebstrap", "builds the root that guests boot from"),
    Program("ip", "iproute2", "makes the lab's network"),
    Program("nsenter", "util-linux", "runs programs in the lab's network"),
    Program("unshare", "util-linux", "gives each guest its namespaces"),
    Program("setpriv", "util-linux", "keeps guests from setting the host's clock"),
    Program("mount", "mount", "lays a guest's disk over its image"),
    Program("kill", "procps", "asks a guest to power off"),
    Program("ssh", "openssh-client", "logs in to guests"),
    Program("ssh-keygen", "openssh-client", "makes keys for guests"),
    Program("gpg", "gpg", "signs the lab's package repository"),
    Program("dpkg-deb", "dpkg", "makes the lab's packages"),
    Program("curl", "curl", "asks the lab's addresses from inside its network"),
    Program("python3", "python3-venv", "runs Ansible"),
];

/// The lab's cache: images, the Ansible environment. `$XDG_CACHE_HOME/kubesmith-lab` or under `~/.cache`.
pub fn cache_dir() -> PathBuf {
    let base =
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("kubesmith-lab")
}

/// Why light guests cannot run here (not Linux, not root), or nothing.
pub fn why_no_guests() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("light guests are Linux namespaces: this is another system".to_owned());
    }
    if !rustix::process::geteuid().is_root() {
        return Some("light guests need root: run this with sudo".to_owned());
    }
    if !Path::new("/sys/fs/cgroup").exists() {
        return Some(
            "light guests need control groups: none are mounted under /sys/fs/cgroup".to_owned(),
        );
    }
    None
}

/// Installs the programs that light guests need and that are missing (Debian and Ubuntu, as root).
pub async fn prepare() -> Result<()> {
    let missing: Vec<&Program> =
        PROGRAMS.iter().filter(|program| find(program.0).is_none()).collect();
    install(&missing).await?;
    // Guests cannot load modules into the host's kernel, so what Kubernetes wants of it is loaded here.
    // Where that is built in, or there is no modprobe, nothing happens.
    for module in ["overlay", "br_netfilter"] {
        let _ = command::run("modprobe", ["--quiet", module]).await;
    }
    Ok(())
}

/// The path of an `ansible-playbook` that works, from a virtual environment in the cache.
pub async fn ansible_playbook(cache: &Path) -> Result<PathBuf> {
    Ok(ansible(cache).await?.join("bin/ansible-playbook"))
}

/// The path of `ansible-lint`, installed into the same environment on the first request.
pub async fn ansible_lint(cache: &Path) -> Result<PathBuf> {
    let environment = ansible(cache).await?;
    let lint = environment.join("bin/ansible-lint");
    if !lint.exists() {
        pip_install(&environment, &["ansible-lint", ANSIBLE_CORE]).await?;
    }
    Ok(lint)
}

/// The path of `schemathesis`, from a virtual environment in the cache.
pub async fn schemathesis(cache: &Path) -> Result<PathBuf> {
    Ok(environment(cache, "schemathesis", SCHEMATHESIS).await?.join("bin/schemathesis"))
}

/// The path of `kubectl`, installed from the distribution when there is none.
pub async fn kubectl() -> Result<PathBuf> {
    from_distribution(Program("kubectl", "kubernetes-client", "shows the cluster")).await
}

/// The path of `packer`, installed from the distribution when there is none. Debian's is old, and knows the language.
pub async fn packer() -> Result<PathBuf> {
    from_distribution(Program("packer", "packer", "checks the definitions of images")).await
}

/// The path of Chromium, installed from the distribution when there is none.
pub async fn chromium() -> Result<PathBuf> {
    from_distribution(Program("chromium", "chromium", "shows the portal's pages to tests")).await
}

/// The path of what drives Chromium.
pub async fn chromedriver() -> Result<PathBuf> {
    from_distribution(Program("chromedriver", "chromium-driver", "drives Chromium in tests")).await
}

async fn from_distribution(program: Program) -> Result<PathBuf> {
    if find(program.0).is_none() {
        install(&[&program]).await?;
    }
    find(program.0).with_context(|| {
        format!("{} is still not on PATH after its package was installed", program.0)
    })
}

/// Where a program is: on PATH, or where administrators' programs lie.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

async fn install(missing: &[&Program]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|program| program.1).collect();
    packages.sort_unstable();
    packages.dedup();
    let list = missing
        .iter()
        .map(|Program(name, _, reason)| format!("  {name}: {reason}"))
        .collect::<Vec<_>>()
        .join("\n");
    let by_hand = format!(
        "programs are missing:\n{list}\ninstall them: apt-get install {}",
        packages.join(" ")
    );
    ensure!(find("apt-get").is_some() && rustix::process::geteuid().is_root(), "{by_hand}");
    tracing::info!("installing {}", packages.join(" "));
    if apt_get(&packages).await.is_err() {
        // The package lists may be old, or not there at all.
        command::run("apt-get", ["update", "--quiet"]).await.with_context(|| by_hand.clone())?;
        apt_get(&packages).await.context(by_hand)?;
    }
    Ok(())
}

async fn apt_get(packages: &[&str]) -> Result<()> {
    let mut apt = command::command("apt-get");
    apt.args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(packages);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    command::output(&mut apt).await.map(drop)
}

/// The virtual environment with Ansible.
async fn ansible(cache: &Path) -> Result<PathBuf> {
    environment(cache, "ansible-2.19", ANSIBLE_CORE).await
}

/// A virtual environment with what was asked for. It cannot be moved once made, so it is built in place and
/// counts when its last file is there; a lock keeps two processes from building it at once.
async fn environment(cache: &Path, name: &str, requirement: &str) -> Result<PathBuf> {
    let (python, version) = python().await?;
    let folder = cache.join(format!("{name}-python-{version}"));
    if folder.join(COMPLETE).exists() {
        return Ok(folder);
    }
    fs::create_dir_all(cache).with_context(|| format!("failed to make {}", cache.display()))?;
    let lock = File::create(cache.join("ansible.lock"))?;
    let _lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    if folder.join(COMPLETE).exists() {
        return Ok(folder);
    }
    tracing::info!("installing {requirement} into {}", folder.display());
    let mut venv = command::command(&python);
    venv.args(["-m", "venv", "--clear"]).arg(&folder);
    if command::output(&mut venv).await.is_err() {
        // Debian and Ubuntu keep a part of Python's own library in a package of its own.
        install(&[&Program(
            "python3 -m venv",
            "python3-venv",
            "keeps Python programs apart from the system's",
        )])
        .await?;
        command::output(&mut venv).await?;
    }
    pip_install(&folder, &[requirement]).await?;
    File::create(folder.join(COMPLETE))?;
    Ok(folder)
}

async fn pip_install(environment: &Path, requirements: &[&str]) -> Result<()> {
    let mut pip = command::command(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(requirements);
    command::output(&mut pip)
        .await
        .with_context(|| format!("failed to install {}", requirements.join(" ")))?;
    Ok(())
}

/// A Python that this Ansible runs on, with its version.
async fn python() -> Result<(PathBuf, String)> {
    let mut seen = Vec::new();
    for name in ["python3", "python3.13", "python3.12", "python3.11"] {
        let Some(path) = find(name) else { continue };
        let mut ask = command::command(&path);
        ask.args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
        let Ok(output) = command::output(&mut ask).await else { continue };
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let minor = version.strip_prefix("3.").and_then(|minor| minor.parse::<u32>().ok());
        if minor.is_some_and(|minor| minor >= 11) {
            return Ok((path, version));
        }
        seen.push(version);
    }
    bail!(
        "Python 3.11 or newer is needed; found: {}",
        if seen.is_empty() { "none".to_owned() } else { seen.join(", ") }
    )
}
