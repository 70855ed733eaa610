//! The life of a cluster as the API's callers lead it: asked for, approved, taken along, ended.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    api::Key,
    site::{ADDRESS, Site},
};
use crate::world::{Workspace, command};

/// A run that moves comes to its next rest within this time, or something is stuck.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);

impl Site {
    /// A course whose machines stand in the lab's network.
    pub(super) fn course(&self, admin: &Key, name: &str) -> String {
        let wish = json!({
            "name": name, "title": format!("Course {name}"), "kind": "course",
            "bridge": "vmbr0", "vlan": "119", "address_pool": "lab",
        });
        let made = self.must(admin, "POST", "/api/v1/environments", &wish, 201);
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Asks for a cluster named `demo` of this size, `small` (one worker) or `single` (none): its id and its first run's.
    pub(super) fn ask_for(&self, key: &Key, course: &str, size: &str) -> (String, String) {
        let form = json!({"name": "demo", "template": "ubuntu", "size": size});
        let path = format!("/api/v1/environments/{course}/clusters");
        let made = self.must(key, "POST", &path, &form, 201);
        let id = |of: &str| made[of].as_str().expect("an id").to_owned();
        (id("cluster"), id("run"))
    }

    /// A run when it has come to one of these states; any other end, or no end, fails the test.
    pub(super) fn wait_for(&self, key: &Key, run: &str, states: &[&str]) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.get(key, &format!("/api/v1/runs/{run}"));
            let state = now["state"].as_str().expect("a state");
            if states.contains(&state) {
                return now;
            }
            let ended = ["succeeded", "failed", "cancelled", "needs_attention"].contains(&state);
            if ended || Instant::now() > deadline {
                let told = self.told(key, run);
                panic!("run {run} is {state}: {}\n{told}\n{}", now["failure"], self.log());
            }
            // Not a synchronisation: it is looked at again until it has moved.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What a run has told so far, a JSON object a line.
    pub(super) fn told(&self, key: &Key, run: &str) -> String {
        self.api(key, "GET", &format!("/api/v1/runs/{run}/log"), &Value::Null).text
    }

    /// Waits for the plan of a run and approves it: the plan as it was shown.
    pub(super) fn approve(&self, key: &Key, run: &str) -> Value {
        let planned = self.wait_for(key, run, &["awaiting_approval"]);
        let approval = json!({"plan_hash": planned["plan_hash"]});
        self.must(key, "POST", &format!("/api/v1/runs/{run}/approve"), &approval, 200);
        planned["plan"].clone()
    }

    /// Approves a run and waits until it has succeeded.
    pub(super) fn carry_out(&self, key: &Key, run: &str) -> Value {
        self.approve(key, run);
        self.wait_for(key, run, &["succeeded"])
    }

    /// A cluster as the API shows it.
    pub(super) fn show(&self, key: &Key, cluster: &str) -> Value {
        self.get(key, &format!("/api/v1/clusters/{cluster}"))
    }

    /// Asks for the end of a cluster: the run.
    pub(super) fn ask_to_destroy(&self, key: &Key, cluster: &str) -> String {
        let path = format!("/api/v1/clusters/{cluster}");
        let asked = self.must(key, "DELETE", &path, &json!({"name": "demo"}), 202);
        asked["run"].as_str().expect("a run").to_owned()
    }

    /// The exported files of a cluster on somebody's laptop, ready to be used.
    pub(super) fn laptop(&self, key: &Key, cluster: &str) -> Workspace<'_> {
        let archive = self.world.folder().join("demo.tar");
        let mut curl = self.world.inside("curl");
        curl.args(["-sSf", "-H"]).arg(format!("Authorization: Bearer {}", key.0));
        curl.arg("-o").arg(&archive).arg(format!("{ADDRESS}/api/v1/clusters/{cluster}/export"));
        assert!(curl.status().expect("curl").success(), "no export");
        // The owner that the machines are stamped with is the cluster's id.
        let mut laptop = self.world.workspace(&cluster.to_lowercase(), "");
        fs::remove_file(laptop.dir().join("versions.tf")).expect("versions.tf");
        let mut tar = command("tar");
        tar.arg("-xf").arg(&archive).args(["--strip-components=1", "-C"]).arg(laptop.dir());
        assert!(tar.status().expect("tar").success());
        let settings = self.data().join("terraform.rc");
        laptop.set_env("TF_CLI_CONFIG_FILE", settings.to_str().expect("UTF-8"));
        laptop.set_env("TF_HTTP_USERNAME", "key");
        laptop.set_env("TF_HTTP_PASSWORD", &key.0);
        laptop.must(&["init", "-no-color", "-input=false"]);
        laptop
    }
}
