//! The yardstick for the benchmark: the same three machines booted in parallel and the same playbook, by hand.
//!
//! Like an admin with curl, ssh-keyscan and ansible-playbook who makes no mistake and never waits for himself.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::{command, session::Session};

/// Name, group, last byte of the address, VMID.
const MACHINES: [(&str, &str, u8, u32); 3] = [
    ("hand-cp-1", "control_plane", 231, 19231),
    ("hand-worker-1", "worker", 232, 19232),
    ("hand-worker-2", "worker", 233, 19233),
];

/// Makes the three machines and the cluster on them, takes the time, and removes them again.
pub(crate) async fn create(session: &Session, ansible_playbook: &Path) -> Result<Duration> {
    let dir = tempfile::tempdir()?;
    let key = dir.path().join("key");
    let mut keygen = command::command("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
    command::output(&mut keygen).await?;
    let public = std::fs::read_to_string(key.with_extension("pub"))?;

    let began = Instant::now();
    let host_keys =
        try_join_all(MACHINES.map(|machine| boot(session, machine, public.trim()))).await?;
    let run = Run::prepare(dir.path(), &key, &host_keys.concat())?;
    let mut ansible = session.inside(ansible_playbook);
    ansible.arg("-i").arg(&run.inventory).arg("-e").arg(format!("@{}", run.variables.display()));
    ansible.arg("site.yml").current_dir(playbooks()).env("ANSIBLE_HOME", dir.path());
    command::output(&mut ansible).await?;
    let took = began.elapsed();

    try_join_all(MACHINES.map(|(.., vmid)| remove(session, vmid))).await?;
    Ok(took)
}

/// One machine from the template until it answers over SSH; its host key as a line for `known_hosts`.
async fn boot(
    session: &Session,
    (name, _, last, vmid): (&str, &str, u8, u32),
    public_key: &str,
) -> Result<String> {
    let new = vmid.to_string();
    task(session, "POST", "/nodes/pve1/qemu/9000/clone", &[("newid", &new), ("name", name)])
        .await?;
    let address = format!("10.40.19.{last}");
    let path = format!("/nodes/pve1/qemu/{vmid}");
    let form = [
        ("cores", "2"),
        ("memory", "4096"),
        ("net0", "virtio,bridge=vmbr0,tag=119"),
        ("ciuser", "kubesmith"),
        ("ciupgrade", "0"),
        (
            "sshkeys",
            &percent_encoding::utf8_percent_encode(public_key, percent_encoding::NON_ALPHANUMERIC)
                .to_string(),
        ),
        ("ipconfig0", &format!("ip={address}/24,gw=10.40.19.254")),
        ("nameserver", "10.40.2.1"),
    ];
    session.proxmox("PUT", &format!("{path}/config"), &form).await?;
    task(session, "PUT", &format!("{path}/resize"), &[("disk", "scsi0"), ("size", "20G")]).await?;
    task(session, "POST", &format!("{path}/status/start"), &[]).await?;
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let mut scan = session.inside("ssh-keyscan");
        let output = scan.args(["-T", "2", "-t", "ed25519", &address]).output().await?;
        if output.status.success() && !output.stdout.is_empty() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        ensure!(Instant::now() < deadline, "{name} does not answer over SSH");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn remove(session: &Session, vmid: u32) -> Result<()> {
    let path = format!("/nodes/pve1/qemu/{vmid}");
    task(session, "POST", &format!("{path}/status/stop"), &[]).await?;
    task(session, "DELETE", &path, &[]).await
}

/// A request that starts a task, and the task's end.
async fn task(session: &Session, method: &str, path: &str, form: &[(&str, &str)]) -> Result<()> {
    let upid = session.proxmox(method, path, form).await?;
    let upid = upid.as_str().context("a task's id")?.to_owned();
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let status =
            session.proxmox("GET", &format!("/nodes/pve1/tasks/{upid}/status"), &[]).await?;
        match (status["status"].as_str(), status["exitstatus"].as_str()) {
            (Some("stopped"), Some("OK")) => return Ok(()),
            (Some("stopped"), outcome) => bail!("{method} {path}: {outcome:?}"),
            _ => ensure!(Instant::now() < deadline, "{upid} does not end"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The files of one run of the playbook.
struct Run {
    inventory: PathBuf,
    variables: PathBuf,
}

impl Run {
    fn prepare(dir: &Path, key: &Path, known_hosts: &str) -> Result<Self> {
        let known = dir.join("known_hosts");
        std::fs::write(&known, known_hosts)?;
        let artifacts = dir.join("artifacts");
        std::fs::create_dir(&artifacts)?;
        std::fs::set_permissions(&artifacts, std::fs::Permissions::from_mode(0o700))?;
        let host = |last: u8| {
            json!({
                "ansible_host": format!("10.40.19.{last}"),
                "ansible_user": "kubesmith",
                "ansible_python_interpreter": "/usr/bin/python3",
                "ansible_ssh_private_key_file": key,
                "ansible_ssh_common_args": format!("-o UserKnownHostsFile={} -o StrictHostKeyChecking=yes", known.display()),
                "node_address": format!("10.40.19.{last}"),
            })
        };
        let group = |wanted: &str| -> Value {
            let members = MACHINES.iter().filter(|(_, group, ..)| *group == wanted);
            let hosts: serde_json::Map<_, _> =
                members.map(|(name, _, last, _)| ((*name).to_owned(), host(*last))).collect();
            json!({ "hosts": hosts })
        };
        let inventory = json!({"all": {"children": {"control_plane": group("control_plane"), "worker": group("worker")}}});
        let variables = json!({
            "cluster_name": "hand",
            "kubernetes_version": "1.36.4",
            "kubernetes_package_mirror": "http://10.40.19.254",
            "api_endpoint": "10.40.19.231:6443",
            "pod_cidr": "10.244.0.0/16",
            "service_cidr": "10.96.0.0/16",
            "artifacts_dir": artifacts,
            "remove_nodes": [],
        });
        let run = Self { inventory: dir.join("inventory.json"), variables: dir.join("vars.json") };
        std::fs::write(&run.inventory, inventory.to_string())?;
        std::fs::write(&run.variables, variables.to_string())?;
        Ok(run)
    }
}

/// The playbooks of this repository.
fn playbooks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ansible")
}
