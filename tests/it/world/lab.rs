//! The lab: a simulated datacentre, its controls, and what an administrator sees in it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::MutexGuard,
    time::{Duration, Instant},
};

use kubesmith_lab::components;
use serde_json::{Value, json};

use super::{
    Needs, Workspace,
    programs::{LAB, command, provider_folder, text},
    wait_until,
};

/// A running lab and a folder for workspaces.
pub(crate) struct World {
    dir: tempfile::TempDir,
    lab: Child,
    stdin: Option<ChildStdin>,
    about: Value,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl World {
    /// `version` is that of Proxmox VE; none leaves it to the lab.
    pub(super) fn start(
        needs: Needs,
        version: Option<&str>,
        turn: Option<MutexGuard<'static, ()>>,
    ) -> Self {
        provider_folder();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut serve = command(LAB);
        serve.arg("serve").args(["--seed", "demo"]);
        serve.args(version.map(|version| format!("--pve-version={version}")));
        if needs == Needs::Terraform {
            serve.arg("--pve-only");
        }
        if needs != Needs::Kubernetes {
            serve.env_remove(components::FOLDER);
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

    /// Holds requests back until [`Self::heal`].
    pub(crate) fn hold(&self, method: &str, path_regex: &str) {
        self.fault(&json!({"kind": "hold", "method": method, "path_regex": path_regex}));
    }

    /// Waits until a request is held back.
    pub(crate) fn wait_for_held_request(&self) {
        wait_until("a request is held back", || {
            let held = self.control("GET", "/lab/held", &Value::Null);
            held.as_array().is_some_and(|held| !held.is_empty())
        });
    }

    /// Waits until nobody is held back: whoever was killed has hung up, so that healing lets nothing of theirs through.
    pub(crate) fn wait_for_no_held_request(&self) {
        wait_until("no request is held back", || {
            let held = self.control("GET", "/lab/held", &Value::Null);
            held.as_array().is_some_and(Vec::is_empty)
        });
    }

    /// Stops a machine as its administrator would, and waits for the task's end.
    pub(crate) fn stop(&self, node: &str, vmid: u64) {
        let upid = self.proxmox("POST", &format!("/nodes/{node}/qemu/{vmid}/status/stop"), &[]);
        self.wait_for_task(node, upid.as_str().expect("a UPID"));
    }

    /// Runs a program in a guest; it must succeed.
    pub(crate) fn in_guest(&self, vmid: u32, argv: &[&str]) {
        let path = format!("/lab/guests/{vmid}/exec");
        let done = self.control("POST", &path, &json!({"argv": argv}));
        assert_eq!(done["status"], 0, "{argv:?} in {vmid}: {done}");
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
        self.proxmox_as(self.about("token"), method, path, form)
    }

    /// The same with another token.
    pub(crate) fn proxmox_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> (u16, Value) {
        let mut curl = self.inside("curl");
        curl.args(["-sS", "-X", method, "--cacert", self.about("ca_file"), "-w", "\n%{http_code}"]);
        curl.arg("-H").arg(format!("Authorization: PVEAPIToken={token}"));
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

    /// Waits until a task has ended well.
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
        Workspace::new(self, owner, hcl)
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
