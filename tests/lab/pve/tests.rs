//! The simulation held to what a real Proxmox VE answered: recorded requests are made again, and status, reason, errors,
//! the shape of bodies and the ends of tasks are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use hyper::ext::ReasonPhrase;
use reqwest::{Client, Method};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Fault, Options, Pve, Seed, Version};

#[derive(Deserialize)]
struct Row {
    n: u32,
    #[serde(rename = "as")]
    who: String,
    method: String,
    path: String,
    params: Map<String, Value>,
    status: u16,
    reason: String,
    body: Value,
    #[serde(default)]
    sent: Option<String>,
    #[serde(default)]
    task: Value,
}

/// Somebody who asks; knows the secrets of the tokens that were made.
struct Asker {
    pve: Pve,
    client: Client,
    secrets: BTreeMap<String, String>,
}

struct Seen {
    status: u16,
    reason: String,
    body: Value,
}

impl Asker {
    async fn new(version: Version, seed: Seed) -> Self {
        let pve = Pve::start(Options { version, seed, ..Options::default() }).await.unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pve.ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let client = Client::builder().tls_backend_preconfigured(config).build().unwrap();
        let secrets = BTreeMap::from([(
            "root@pam!tf".to_owned(),
            pve.token.rsplit('=').next().unwrap().to_owned(),
        )]);
        Self { pve, client, secrets }
    }

    async fn ask(&self, who: &str, method: &str, path: &str, params: &[(&str, &str)]) -> Seen {
        let authorization =
            self.secrets.get(who).map(|secret| format!("PVEAPIToken={who}={secret}"));
        self.send(authorization, method, path, params, method == "POST" || method == "PUT")
            .await
            .unwrap()
    }

    async fn root(&self, method: &str, path: &str, params: &[(&str, &str)]) -> Seen {
        self.ask("root@pam!tf", method, path, params).await
    }

    async fn send(
        &self,
        authorization: Option<String>,
        method: &str,
        path: &str,
        params: &[(&str, &str)],
        in_body: bool,
    ) -> reqwest::Result<Seen> {
        let url = format!("{}/api2/json{path}", self.pve.url);
        let request = self.client.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        let request = if in_body { request.form(params) } else { request.query(params) };
        let request = match authorization {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        };
        let response = request.send().await?;
        let status = response.status();
        let reason = response.extensions().get::<ReasonPhrase>();
        let reason = reason.map_or_else(
            || status.canonical_reason().unwrap_or_default().to_owned(),
            |reason| String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        );
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Seen { status: status.as_u16(), reason, body })
    }

    /// The end of the task that an answer began.
    async fn finish(&self, body: &Value) -> Option<String> {
        let upid = body["data"].as_str().filter(|data| data.starts_with("UPID:"))?;
        let node = upid.split(':').nth(1)?;
        loop {
            let task = self.root("GET", &format!("/nodes/{node}/tasks/{upid}/status"), &[]).await;
            if task.body["data"]["status"] == "stopped" {
                return task.body["data"]["exitstatus"].as_str().map(str::to_owned);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Makes a recorded request again; the answer is what differs.
    async fn replay(&mut self, row: &Row) -> Vec<String> {
        let who = row.who.split(' ').next().unwrap_or_default();
        let authorization = match row.who.as_str() {
            who if who.starts_with("nobody") => None,
            who if who.contains("wrong secret") => {
                Some("PVEAPIToken=root@pam!tf=00000000".to_owned())
            }
            who if who.contains("unknown user") => {
                Some("PVEAPIToken=nouser@pve!x1=00000000".to_owned())
            }
            who if who.contains("garbage") => Some("PVEAPIToken=garbage".to_owned()),
            _ => Some(format!(
                "PVEAPIToken={who}={}",
                self.secrets.get(who).map_or("none", String::as_str)
            )),
        };
        let params: Vec<_> = row
            .params
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let in_body =
            matches!(row.method.as_str(), "POST" | "PUT") || row.sent.as_deref() == Some("body");
        let seen = loop {
            let seen = self
                .send(authorization.clone(), &row.method, &row.path, &params, in_body)
                .await
                .unwrap();
            // The recorder waited until the guest was up.
            if row.status != 200 || !seen.reason.contains("agent is not running") {
                break seen;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        if let (Some(id), Some(secret)) =
            (seen.body["data"]["full-tokenid"].as_str(), seen.body["data"]["value"].as_str())
        {
            self.secrets.insert(id.to_owned(), secret.to_owned());
        }
        let mut differences = Vec::new();
        if (seen.status, seen.reason.as_str()) != (row.status, row.reason.as_str()) {
            differences.push(format!(
                "want {} {}, got {} {}",
                row.status, row.reason, seen.status, seen.reason
            ));
        } else if row.body["errors"] != seen.body["errors"]
            || row.body["message"] != seen.body["message"]
        {
            differences.push(format!("want {}, got {}", row.body, seen.body));
        } else {
            compare("", &row.body["data"], &seen.body["data"], &mut differences);
        }
        let end = self.finish(&seen.body).await;
        if let (Some(wanted), Some(end)) = (row.task["exitstatus"].as_str(), end)
            && wanted != end
        {
            differences.push(format!("the task was to end with {wanted}, but ended with {end}"));
        }
        differences
    }
}

/// What tells the rows of a list apart.
fn name_of(row: &Value) -> Option<String> {
    let keys = ["upid", "id", "cidr", "key", "name", "poolid", "userid", "roleid", "storage"];
    let (key, name) = keys.iter().find_map(|key| row.get(*key).map(|name| (key, name)))?;
    // UPIDs differ by nature; rows of tasks are only told from others.
    Some(if *key == "upid" { format!("task {}", row["type"]) } else { name.to_string() })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// Compares shapes: the same keys, of the same types. Lists by the names of their rows.
fn compare(at: &str, wanted: &Value, got: &Value, differences: &mut Vec<String>) {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            let keys: BTreeSet<_> = wanted.keys().chain(got.keys()).collect();
            for key in keys {
                match (wanted.get(key), got.get(key)) {
                    (Some(wanted), Some(got)) => {
                        compare(&format!("{at}.{key}"), wanted, got, differences);
                    }
                    (Some(_), None) => differences.push(format!("{at}.{key} is missing")),
                    _ => differences.push(format!("{at}.{key} is not there on the real thing")),
                }
            }
        }
        (Value::Array(wanted), Value::Array(got)) => {
            for row in wanted {
                match (name_of(row), got.first()) {
                    (Some(name), _) => match got
                        .iter()
                        .find(|row| name_of(row).as_ref() == Some(&name))
                    {
                        Some(found) => compare(&format!("{at}[{name}]"), row, found, differences),
                        None => differences.push(format!("{at}[{name}] is missing")),
                    },
                    (None, Some(first)) => compare(&format!("{at}[]"), row, first, differences),
                    (None, None) => differences.push(format!("{at}[] is missing")),
                }
            }
        }
        _ if kind(wanted) != kind(got) => {
            differences.push(format!("{at} is {got}, not like {wanted}"));
        }
        _ => {}
    }
}

/// What the recorder's own machine had besides, and answers of the first seconds after its start.
fn is_of_the_recorder(n: u32, difference: &str) -> bool {
    let guest = difference.contains("\"qemu/101\"");
    let network =
        difference.contains("ip-addresses[") || difference.contains("[\"eth0\"].ip-addresses");
    // Its status daemon had not made a round yet, or one fewer.
    let early = n == 10 || n == 11;
    guest
        || network
        || early && (difference.contains(".level") || difference.contains(".cgroup-mode"))
}

async fn replay(version: Version, text: &str) {
    let mut asker = Asker::new(version, Seed::Conformance).await;
    let mut differences = Vec::new();
    for line in text.lines() {
        let row: Row = serde_json::from_str(line).unwrap();
        // The recorder locked this machine by hand for a while.
        let is_lifecycle = row.path.starts_with("/nodes/pve/qemu/170");
        match row.n {
            113 if is_lifecycle => asker.pve.set_lock(170, Some("backup")).unwrap(),
            116 if is_lifecycle => asker.pve.set_lock(170, None).unwrap(),
            _ => {}
        }
        // The recorder's status daemon had made its round, ours makes it now.
        asker.pve.world.broadcast();
        let found = asker
            .replay(&row)
            .await
            .into_iter()
            .filter(|difference| !is_of_the_recorder(row.n, difference));
        differences.extend(
            found.map(|difference| format!("{} {} {}: {difference}", row.n, row.method, row.path)),
        );
    }
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[tokio::test]
async fn answers_as_recorded_from_8_4() {
    replay(Version::V8_4, include_str!("../../fixtures/conformance/pve-8.4.21.jsonl")).await;
}

#[tokio::test]
async fn answers_as_recorded_from_9_1() {
    replay(Version::V9_1, include_str!("../../fixtures/conformance/pve-9.1.8.jsonl")).await;
}

#[tokio::test]
async fn the_ledger_behaves_as_recorded() {
    replay(Version::V8_4, include_str!("../../fixtures/conformance/ledger-8.4.21.jsonl")).await;
}

#[tokio::test]
async fn a_tenant_gets_as_far_as_recorded() {
    replay(Version::V8_4, include_str!("../../fixtures/conformance/tenant-8.4.21.jsonl")).await;
    replay(Version::V9_1, include_str!("../../fixtures/conformance/tenant-9.1.8.jsonl")).await;
}

const SETS: &str = "/nodes/pve1/qemu/9990/firewall/ipset";

#[tokio::test]
async fn of_eight_who_want_one_address_one_gets_it() {
    let asker = Asker::new(Version::V8_4, Seed::Demo).await;
    asker.root("POST", SETS, &[("name", "lab")]).await;
    let set = format!("{SETS}/lab");
    let wants = (0..8).map(|_| asker.root("POST", &set, &[("cidr", "10.40.19.201")]));
    let mut statuses: Vec<_> =
        futures_util::future::join_all(wants).await.iter().map(|seen| seen.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400, 400, 400, 400, 400, 400]);
}

#[tokio::test]
async fn of_two_clones_onto_one_id_one_task_fails_and_nothing_of_it_stays() {
    let asker = Asker::new(Version::V8_4, Seed::Demo).await;
    let clone = "/nodes/pve1/qemu/9000/clone";
    let (one, other) = tokio::join!(
        asker.root("POST", clone, &[("newid", "19201"), ("name", "a"), ("target", "pve2")]),
        asker.root("POST", clone, &[("newid", "19201"), ("name", "b")]),
    );
    let mut ends =
        vec![asker.finish(&one.body).await.unwrap(), asker.finish(&other.body).await.unwrap()];
    ends.sort_unstable();
    assert_eq!(ends[0], "OK");
    assert!(
        ends[1].contains("File exists") || ends[1].contains("config file already exists"),
        "{ends:?}"
    );
    let volumes =
        asker.root("GET", "/nodes/pve1/storage/shared/content", &[("vmid", "19201")]).await;
    assert_eq!(volumes.body["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_clone_may_go_to_another_node_if_all_its_disks_are_shared() {
    let asker = Asker::new(Version::V8_4, Seed::Demo).await;
    let cloned = asker
        .root("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "300"), ("target", "pve3")])
        .await;
    assert_eq!(asker.finish(&cloned.body).await.as_deref(), Some("OK"));
    assert_eq!(asker.root("GET", "/nodes/pve3/qemu/300/config", &[]).await.status, 200);
    let elsewhere = asker.root("GET", "/nodes/pve1/qemu/300/config", &[]).await;
    assert_eq!(
        elsewhere.reason,
        "Configuration file 'nodes/pve1/qemu-server/300.conf' does not exist"
    );
    let create = [("vmid", "301"), ("scsi0", "local:1"), ("boot", "order=scsi0")];
    let created = asker.root("POST", "/nodes/pve1/qemu", &create).await;
    assert_eq!(asker.finish(&created.body).await.as_deref(), Some("OK"));
    let refused = asker
        .root("POST", "/nodes/pve1/qemu/301/clone", &[("newid", "302"), ("target", "pve2")])
        .await;
    assert_eq!(refused.reason, "can't clone VM to node 'pve2' (VM uses local storage)");
}

#[tokio::test]
async fn what_a_running_machine_cannot_take_waits_for_its_next_start() {
    let asker = Asker::new(Version::V8_4, Seed::Demo).await;
    let cloned = asker.root("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "300")]).await;
    asker.finish(&cloned.body).await;
    let vm = "/nodes/pve1/qemu/300";
    let cores = async |current: &str| {
        let config = asker.root("GET", &format!("{vm}/config"), &[("current", current)]).await;
        config.body["data"]["cores"].clone()
    };
    asker.finish(&asker.root("POST", &format!("{vm}/status/start"), &[]).await.body).await;
    assert_eq!(
        asker
            .root("PUT", &format!("{vm}/config"), &[("cores", "4"), ("description", "x")])
            .await
            .status,
        200
    );
    assert_eq!((cores("1").await, cores("0").await), (json!(2), json!(4)));
    for action in ["stop", "start"] {
        asker.finish(&asker.root("POST", &format!("{vm}/status/{action}"), &[]).await.body).await;
    }
    assert_eq!(cores("1").await, 4);
}

#[tokio::test]
async fn faults_do_what_they_say() {
    let asker = Asker::new(Version::V8_4, Seed::Demo).await;
    let clone = "/nodes/pve1/qemu/9000/clone";
    asker.pve.add_fault(Fault::CloneFails { times: 1 }).unwrap();
    let end =
        asker.finish(&asker.root("POST", clone, &[("newid", "300")]).await.body).await.unwrap();
    assert!(end.starts_with("clone failed: "), "{end}");
    assert_eq!(asker.root("GET", "/cluster/nextid", &[("vmid", "300")]).await.status, 200);

    let (method, path_regex) = ("POST".to_owned(), "/clone$".to_owned());
    asker.pve.add_fault(Fault::DropReply { method, path_regex, times: 1 }).unwrap();
    let authorization = Some(format!("PVEAPIToken={}", asker.pve.token));
    let cut = asker.send(authorization, "POST", clone, &[("newid", "301")], true).await;
    assert!(cut.is_err(), "the answer came");
    let claimed =
        async || asker.root("GET", "/cluster/nextid", &[("vmid", "301")]).await.status == 400;
    while !claimed().await {
        tokio::task::yield_now().await;
    }

    asker.pve.add_fault(Fault::NodeDown { node: "pve2".to_owned() }).unwrap();
    let down = asker.root("GET", "/nodes/pve2/qemu", &[]).await;
    assert_eq!(
        (down.status, down.reason.as_str(), down.body),
        (595, "Connection refused", json!(""))
    );
    asker.pve.clear_faults();
    assert_eq!(asker.root("GET", "/nodes/pve2/qemu", &[]).await.status, 200);
}

#[tokio::test]
async fn keys_of_cloud_init_are_checked_and_stay_encoded() {
    let asker = Asker::new(Version::V8_4, Seed::Demo).await;
    let key = base64::engine::general_purpose::STANDARD.encode([0, 0, 0, 11].repeat(13));
    let good = format!("ssh-ed25519%20{key}%20me%0A")
        .replace("%20AAAA", "%20AAAA")
        .replace('=', "%3D")
        .replace('+', "%2B")
        .replace('/', "%2F");
    let vm = "/nodes/pve1/qemu/9000/config";
    assert_eq!(asker.root("PUT", vm, &[("sshkeys", &good)]).await.status, 200);
    assert_eq!(asker.root("GET", vm, &[]).await.body["data"]["sshkeys"], good);
    let bad = asker.root("PUT", vm, &[("sshkeys", "not%20a%20key")]).await;
    assert_eq!(bad.reason, "SSH public key validation error");
    let bare = asker.root("PUT", vm, &[("sshkeys", "ssh-ed25519 AAAA")]).await;
    assert_eq!(bare.status, 400);
}
