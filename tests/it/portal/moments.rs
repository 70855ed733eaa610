//! What is seen of a portal while its runs work, and how it ends: processes, events, streams, signals.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    api::Key,
    clusters::PATIENCE,
    site::{ADDRESS, Site},
};
use crate::world::text;

impl Site {
    /// SIGKILL to the portal, and to nothing that it has started.
    pub(super) fn kill(&mut self) {
        let mut child = self.running.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("ended");
    }

    /// SIGTERM, as a service manager does: it must end well.
    pub(super) fn stop(&mut self) {
        let mut child = self.running.take().expect("it runs");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("sent");
        let status = child.wait().expect("ended");
        assert!(status.success(), "the portal ended with {status}: {}", self.log());
    }

    /// A run's stream to its end, from an event on: the id and the data of each event.
    pub(super) fn stream(&self, key: &Key, run: &str, after: &str) -> Vec<(String, String)> {
        let mut curl = self.world.inside("curl");
        curl.args(["-sSN", "-m", "60", "-H"]).arg(format!("Authorization: Bearer {}", key.0));
        curl.arg("-H").arg(format!("Last-Event-ID: {after}"));
        let output =
            curl.arg(format!("{ADDRESS}/api/v1/runs/{run}/events")).output().expect("curl");
        assert!(output.status.success(), "{}", text(&output));
        let all = String::from_utf8(output.stdout).expect("UTF-8");
        let field = |event: &str, name: &str| {
            event.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
        };
        let events = all.split("\n\n").filter(|event| field(event, "event:").is_none());
        events.filter_map(|event| Some((field(event, "id:")?, field(event, "data:")?))).collect()
    }

    /// What the provider has told of a run.
    pub(super) fn events(&self, cluster: &str, run: &str) -> Vec<Value> {
        self.lines(cluster, run, "events.jsonl")
    }

    /// The last state that a run's log tells of.
    pub(super) fn last_state(&self, cluster: &str, run: &str) -> String {
        let log = self.lines(cluster, run, "log.jsonl");
        let state = log.iter().rev().find_map(|line| line["state"].as_str());
        state.unwrap_or_default().to_owned()
    }

    /// A file of a run, without asking the portal.
    fn lines(&self, cluster: &str, run: &str, file: &str) -> Vec<Value> {
        let folder = self.data().join("workspaces").join(cluster).join("runs").join(run);
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        // The last line may still be in the making.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The processes that runs of this portal have started, or one run of it: number and name.
    pub(super) fn processes(&self, run: Option<&str>) -> Vec<(i32, String)> {
        let mark = format!("KUBESMITH_RUN={}", run.unwrap_or_default());
        let ours = self.data().display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            let environment = String::from_utf8_lossy(&environment);
            if environment.contains(&mark) && environment.contains(&ours) {
                let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                found.push((pid, name.trim().to_owned()));
            }
        }
        found
    }

    /// Waits until a run's provider has begun a step of this phase.
    pub(super) fn wait_for_phase(&self, key: &Key, cluster: &str, run: &str, phase: &str) {
        let begun = |event: &Value| event["phase"] == phase && event["status"] == "started";
        let deadline = Instant::now() + PATIENCE;
        while !self.events(cluster, run).iter().any(begun) {
            assert!(Instant::now() < deadline, "no {phase}: {}", self.told(key, run));
            // Not a synchronisation: the file is looked at again until the event stands in it.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A cluster that stands.
    pub(super) fn cluster(&self, key: &Key, course: &str, size: &str) -> String {
        let (cluster, run) = self.ask_for(key, course, size);
        self.carry_out(key, &run);
        cluster
    }
}
