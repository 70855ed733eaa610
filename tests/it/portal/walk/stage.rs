//! The lab's portal, as it is started for somebody who wants to click through, and what stands behind it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
};

use serde_json::Value;

use crate::{
    portal::portal_program,
    world::{Needs, able, command, text},
};

/// `kubesmith-lab portal`, as somebody runs it who wants to click through.
pub(super) struct Stage {
    lab: Child,
    about: Value,
    pub(super) folder: tempfile::TempDir,
}

impl Stage {
    pub(super) fn open() -> Option<Self> {
        if !able(Needs::Guests) {
            return None;
        }
        portal_program();
        let folder = tempfile::tempdir().expect("a folder");
        let id = format!("walk-{}", std::process::id());
        let mut lab = command(env!("CARGO_BIN_EXE_kubesmith-lab"))
            .args(["portal", "--json", "--built", "--port", "0", "--id", &id])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join("log")).expect("a log"))
            .spawn()
            .expect("kubesmith-lab starts");
        let mut line = String::new();
        let stdout = lab.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let about = serde_json::from_str(&line).unwrap_or_else(|error| {
            let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            panic!("the portal did not start ({error}): {line}\n{log}")
        });
        Some(Self { lab, about, folder })
    }

    pub(super) fn about(&self, key: &str) -> &str {
        self.about[key].as_str().or(self.about["lab"][key].as_str()).expect(key)
    }

    /// What a program says inside the lab's network, and whether it succeeded.
    pub(super) fn inside(&self, program: &str, arguments: &[&str]) -> (bool, String) {
        let mut nsenter = command("nsenter");
        nsenter.arg(format!("--net={}", self.about("netns"))).arg("--").arg(program);
        let output = nsenter.args(arguments).output().expect(program);
        (output.status.success(), text(&output))
    }

    /// What the simulated Proxmox answers.
    pub(super) fn proxmox(&self, path: &str) -> Value {
        let token = format!("Authorization: PVEAPIToken={}", self.about("token"));
        let lab = self.about["lab"]["url"].as_str().expect("its address");
        let url = format!("{lab}/api2/json{path}");
        let (_, said) =
            self.inside("curl", &["-sS", "--cacert", self.about("ca_file"), "-H", &token, &url]);
        serde_json::from_str::<Value>(&said).unwrap_or_else(|error| panic!("{error}: {said}"))["data"].clone()
    }

    /// The rows of the address pool, as they stand in Proxmox.
    pub(super) fn ledger(&self) -> String {
        self.proxmox("/nodes/pve1/qemu/9990/firewall/ipset/lab").to_string()
    }

    /// Closes standard input, at which it takes everything away; it fails if something was left.
    pub(super) fn close(mut self) {
        drop(self.lab.stdin.take());
        let status = self.lab.wait().expect("it ends");
        let mut log = String::new();
        let _ = fs::File::open(self.folder.path().join("log"))
            .and_then(|mut file| file.read_to_string(&mut log));
        assert!(status.success(), "{status}: {log}");
    }
}
