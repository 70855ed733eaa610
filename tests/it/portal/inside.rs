//! Inside a cluster, over real SSH: namespaces, health and kubeconfigs, tried with the real kubectl.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use super::{api::Key, site::Site};
use crate::world::text;

/// A cluster with a student who may use it, and no more.
struct Class {
    site: Site,
    admin: Key,
    student: Key,
    /// The student's id.
    sam: String,
    /// The path of the cluster in the API.
    cluster: String,
}

impl Class {
    fn open() -> Option<Self> {
        let site = Site::open()?;
        let admin = site.bootstrap();
        let course = site.course(&admin, "algorithms");
        let cluster = site.cluster(&admin, &course, "small");
        let (sam, student) = site.person(&admin, "sam", "developer");
        let member = format!("/api/v1/environments/{course}/members/{sam}");
        site.must(&admin, "PUT", &member, &json!({"role": "developer"}), 204);
        let class =
            Self { site, admin, student, sam, cluster: format!("/api/v1/clusters/{cluster}") };
        class.grant("use");
        Some(class)
    }

    fn grant(&self, level: &str) {
        let grant = format!("{}/grants/{}", self.cluster, self.sam);
        self.site.must(&self.admin, "PUT", &grant, &json!({"level": level}), 204);
    }

    fn path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.cluster)
    }

    /// What the answer to this is refused with.
    fn refused(&self, key: &Key, method: &str, rest: &str, body: &Value) -> (u16, String) {
        let answer = self.site.api(key, method, &self.path(rest), body);
        let code = answer.body["code"].as_str().unwrap_or_default().to_owned();
        (answer.status, code)
    }

    /// Names of the namespaces that somebody is shown.
    fn namespaces(&self, key: &Key) -> Vec<String> {
        let list = self.site.get(key, &self.path("namespaces"));
        let items = list["items"].as_array().expect("a list").iter();
        items.map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
    }

    fn make_namespace(&self, key: &Key, name: &str) {
        let wish = json!({"name": name, "limits": {"cores": 1, "memory_gib": 2, "pods": 7, "storage_gib": 0}});
        let made = self.site.must(key, "POST", &self.path("namespaces"), &wish, 201);
        assert_eq!(made["name"], name);
    }

    /// A kubeconfig, as a file on somebody's laptop.
    fn kubeconfig(&self, key: &Key, kind: &str, wish: &Value) -> (String, PathBuf) {
        let made = self.site.must(key, "POST", &self.path(kind), wish, 201);
        let id = made["id"].as_str().expect("an id").to_owned();
        let file = self.site.lab().folder().join(&id);
        fs::write(&file, made["kubeconfig"].as_str().expect("a file")).expect("written");
        (id, file)
    }

    /// The real kubectl: whether it succeeded, and what it said.
    fn kubectl(&self, kubeconfig: &PathBuf, arguments: &[&str]) -> (bool, String) {
        let mut kubectl = self.site.lab().inside("kubectl");
        kubectl.arg("--kubeconfig").arg(kubeconfig).args(arguments);
        let output = kubectl.output().expect("kubectl");
        (output.status.success(), text(&output))
    }

    fn may(&self, kubeconfig: &PathBuf, arguments: &[&str]) -> String {
        let (ok, said) = self.kubectl(kubeconfig, arguments);
        assert!(ok, "kubectl {}: {said}", arguments.join(" "));
        said
    }

    fn may_not(&self, kubeconfig: &PathBuf, arguments: &[&str], why: &str) {
        let (ok, said) = self.kubectl(kubeconfig, arguments);
        assert!(!ok && said.contains(why), "kubectl {}: {said}", arguments.join(" "));
    }

    /// A program on the control plane's machine, as root.
    fn on_the_machine(&self, script: &str) {
        let argv = json!({"argv": ["/bin/sh", "-ec", script]});
        let ended = self.site.lab().control("POST", "/lab/guests/19201/exec", &argv);
        assert_eq!(ended["status"], 0, "{script}: {ended}");
    }
}

#[test]
fn a_kubeconfig_opens_ones_own_namespace_and_nothing_else_until_it_is_taken_back() {
    let Some(class) = Class::open() else { return };
    let Class { site, admin, student, .. } = &class;

    let health = site.get(student, &class.path("health"));
    assert_eq!(health["api_ready"], true, "{health}");
    let ready =
        health["nodes"].as_array().expect("nodes").iter().filter(|node| node["ready"] == true);
    assert_eq!(ready.count(), 2, "{health}");

    // Names that are the cluster's own, or that no shell should see, go nowhere.
    for name in ["kube-system", "default", "kubesmith-x", "-f", "a;id", "$(id)", "Team", ""] {
        let (status, code) = class.refused(student, "POST", "namespaces", &json!({"name": name}));
        assert_eq!((status, code.as_str()), (422, "invalid"), "{name:?}");
    }
    let (status, _) = class.refused(student, "DELETE", "namespaces/kube-system", &Value::Null);
    assert_eq!(status, 404);

    // A namespace comes with its quota, its defaults and its wall, and is seen by whom it belongs to.
    class.make_namespace(student, "team-blue");
    class.make_namespace(admin, "team-red");
    let again = class.refused(admin, "POST", "namespaces", &json!({"name": "team-blue"}));
    assert_eq!(again, (409, "name_taken".to_owned()));
    assert_eq!(class.namespaces(student), ["team-blue"]);
    assert_eq!(class.namespaces(admin), ["team-blue", "team-red"]);
    let list = site.get(student, &class.path("namespaces"));
    assert_eq!(list["items"][0]["usage"]["pods"]["limit"], "7", "{list}");
    for (method, rest) in [("GET", "namespaces/team-red"), ("DELETE", "namespaces/team-red")] {
        assert_eq!(class.refused(student, method, rest, &Value::Null).0, 404, "{method} {rest}");
    }
    let foreign = json!({"namespace": "team-red"});
    assert_eq!(class.refused(student, "POST", "kubeconfigs", &foreign).0, 404);

    // The student's own file: their namespace, by default and at all.
    let wish = json!({"namespace": "team-blue", "power": "edit", "hours": 1});
    let (id, own) = class.kubeconfig(student, "kubeconfigs", &wish);
    class.may(&own, &["create", "configmap", "hello", "--from-literal=a=b"]);
    assert!(class.may(&own, &["get", "configmaps", "-o", "name"]).contains("configmap/hello"));
    class.may(&own, &["get", "resourcequotas,limitranges,networkpolicies"]);
    let wall = class.may(&own, &["get", "networkpolicies", "-o", "name"]);
    assert!(wall.contains("kubesmith-own-namespace-only"), "{wall}");
    for foreign in [
        &["get", "pods", "--namespace", "team-red"][..],
        &["get", "secrets", "--namespace", "kube-system"],
        &["get", "pods", "--all-namespaces"],
        &["get", "nodes"],
        &["get", "namespaces"],
        &["delete", "resourcequota", "kubesmith"],
        &["create", "namespace", "mine"],
        &["create", "clusterrolebinding", "x", "--clusterrole=cluster-admin", "--user=sam"],
    ] {
        class.may_not(&own, foreign, "forbidden");
    }
    let looking = json!({"namespace": "team-blue", "power": "view", "hours": 1});
    let (_, view) = class.kubeconfig(student, "kubeconfigs", &looking);
    class.may(&view, &["get", "pods"]);
    class.may_not(&view, &["delete", "configmap", "hello"], "forbidden");

    // Listed with an end; taken back by whoever has it.
    let listed = site.get(student, &class.path("kubeconfigs"));
    let listed: Vec<_> =
        listed["items"].as_array().expect("a list").iter().map(|row| row["kind"].clone()).collect();
    assert_eq!(listed, [json!("view"), json!("edit")]);
    site.must(student, "DELETE", &class.path(&format!("kubeconfigs/{id}")), &Value::Null, 204);
    class.may_not(&own, &["get", "pods"], "Unauthorized");
    class.may(&view, &["get", "pods"]);

    // For the whole cluster: a certificate of its own, for owners, with a reason, for hours.
    let wish = json!({"reason": "look at the nodes", "hours": 1});
    assert_eq!(class.refused(student, "POST", "admin-kubeconfigs", &wish).0, 403);
    let long = json!({"reason": "for ever", "hours": 25});
    assert_eq!(class.refused(admin, "POST", "admin-kubeconfigs", &long).0, 422);
    let (id, whole) = class.kubeconfig(admin, "admin-kubeconfigs", &wish);
    let file = fs::read_to_string(&whole).expect("a file");
    assert!(
        file.contains("client-certificate-data") && !file.contains("kubernetes-admin"),
        "{file}"
    );
    class.may(&whole, &["get", "nodes"]);

    // What is over is swept when the next one is made, whatever the portal remembers.
    let expired = "kubesmith.io/expires=2020-01-01T00:00:00Z";
    let accounts = [
        "--namespace",
        "team-blue",
        "serviceaccounts",
        "-l",
        "app.kubernetes.io/managed-by=kubesmith-portal",
    ];
    let account = class.may(&whole, &[&["get"][..], &accounts, &["-o", "name"]].concat());
    class.may(
        &whole,
        &["--namespace", "team-blue", "annotate", "--overwrite", account.trim(), expired],
    );
    let (_, second) = class.kubeconfig(student, "kubeconfigs", &looking);
    class.may_not(&view, &["get", "pods"], "Unauthorized");
    class.may(&second, &["get", "pods"]);

    site.must(admin, "DELETE", &class.path(&format!("kubeconfigs/{id}")), &Value::Null, 204);
    class.may_not(&whole, &["get", "nodes"], "forbidden");

    // Who may edit the cluster gets a file for anybody's namespace, and keeps it for as long as they may.
    class.grant("edit");
    let (_, foreign) = class.kubeconfig(student, "kubeconfigs", &json!({"namespace": "team-red"}));
    class.may(&foreign, &["get", "pods"]);
    class.grant("use");
    class.wait_until_refused(&foreign);
    class.may(&second, &["get", "pods"]);

    // Who may only look at the cluster from now on holds nothing in it any more.
    class.grant("view");
    class.wait_until_refused(&second);
    class.grant("use");

    site.must(student, "DELETE", &class.path("namespaces/team-blue"), &Value::Null, 202);
    assert!(!class.namespaces(admin).contains(&"team-blue".to_owned()));
    let audit = site.get(admin, "/api/v1/audit").to_string();
    assert!(audit.contains("look at the nodes") && !audit.contains("client-key-data"));
    class.end();
}

#[test]
fn a_cluster_that_does_not_behave_is_named_and_the_portal_goes_on() {
    let Some(mut class) = Class::open() else { return };
    let said = |class: &Class| class.refused(&class.student, "GET", "health", &Value::Null);

    // More than anybody reads, and no end of it.
    class.on_the_machine("mv /usr/bin/kubectl /usr/bin/kubectl.real");
    class.on_the_machine(r"printf '#!/bin/sh\nyes | head -c 3000000\n' > /usr/bin/kubectl; chmod +x /usr/bin/kubectl");
    assert_eq!(said(&class), (502, "cluster_answer".to_owned()));
    class.on_the_machine(r"printf '#!/bin/sh\nexec sleep 600\n' > /usr/bin/kubectl");
    assert_eq!(said(&class), (504, "cluster_timed_out".to_owned()));
    class.on_the_machine("mv /usr/bin/kubectl.real /usr/bin/kubectl");
    assert_eq!(class.site.get(&class.student, &class.path("health"))["api_ready"], true);

    // Another machine answers under the address: nothing is sent to it. Connections that stand were checked before.
    class.on_the_machine(
        "rm -f /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; systemctl restart ssh",
    );
    class.site.stop();
    class.site.start();
    assert_eq!(said(&class), (502, "host_key_changed".to_owned()));
    class.on_the_machine("systemctl stop ssh ssh.socket || systemctl stop ssh");
    assert_eq!(said(&class), (502, "cluster_unreachable".to_owned()));
    class.end();
}

impl Class {
    fn wait_until_refused(&self, kubeconfig: &PathBuf) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while self.kubectl(kubeconfig, &["get", "pods"]).0 {
            assert!(std::time::Instant::now() < deadline, "it still opens the cluster");
            // Not a synchronisation: it is tried again until it is refused.
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    }

    /// The cluster goes, and nothing of it stays.
    fn end(self) {
        let cluster = self.cluster.rsplit('/').next().expect("an id").to_owned();
        let run = self.site.ask_to_destroy(&self.admin, &cluster);
        self.site.carry_out(&self.admin, &run);
        self.site.assert_empty();
    }
}
