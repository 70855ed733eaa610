//! The simulation held to what a real Proxmox VE answered: recorded requests are made again, and status, reason, errors,
//! the shape of bodies and the ends of tasks are compared.
//!
//! So are copies in which everything that a client chooses has other names, and in which sections that do not build on
//! each other come in another order: answers follow from the state, not from the recording.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::seq::SliceRandom as _;
use rand::{SeedableRng as _, rngs::StdRng};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::asker::Asker;
use crate::pve::{Seed, Version};

/// A recorded request and its answer.
#[derive(Debug, Clone, Deserialize)]
struct Row {
    n: u32,
    section: String,
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

impl Asker {
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

/// The machine that the recorder had locked by hand when it made a request.
fn locked_by_hand(row: &Row) -> Option<u32> {
    let task = row.task["exitstatus"].as_str().unwrap_or_default();
    let says = [row.reason.as_str(), task].contains(&"VM is locked (backup)");
    row.path.split('/').nth(4)?.split('?').next()?.parse().ok().filter(|_| says)
}

async fn replay(version: Version, rows: &[Row]) {
    let mut asker = Asker::new(version, Seed::Conformance).await;
    let mut differences = Vec::new();
    for row in rows {
        let locked = locked_by_hand(row);
        if let Some(vmid) = locked {
            asker.pve.set_lock(vmid, Some("backup")).unwrap();
        }
        // The recorder's status daemon had made its round, ours makes it now.
        asker.pve.world.broadcast();
        let found = asker.replay(row).await;
        let found = found.into_iter().filter(|difference| !is_of_the_recorder(row.n, difference));
        differences.extend(
            found.map(|difference| format!("{} {} {}: {difference}", row.n, row.method, row.path)),
        );
        if let Some(vmid) = locked {
            asker.pve.set_lock(vmid, None).unwrap();
        }
    }
    let all = differences.join("\n");
    assert!(differences.is_empty(), "{} differences:\n{all}", differences.len());
}

fn recorded(text: &str) -> Vec<Row> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The five recordings, each with the version that it is of.
fn recordings() -> [(Version, Vec<Row>); 5] {
    [
        (Version::V8_4, recorded(include_str!("../../../fixtures/conformance/pve-8.4.21.jsonl"))),
        (Version::V9_1, recorded(include_str!("../../../fixtures/conformance/pve-9.1.8.jsonl"))),
        (
            Version::V8_4,
            recorded(include_str!("../../../fixtures/conformance/ledger-8.4.21.jsonl")),
        ),
        (
            Version::V8_4,
            recorded(include_str!("../../../fixtures/conformance/tenant-8.4.21.jsonl")),
        ),
        (Version::V9_1, recorded(include_str!("../../../fixtures/conformance/tenant-9.1.8.jsonl"))),
    ]
}

#[tokio::test]
async fn answers_as_recorded() {
    for (version, rows) in recordings() {
        replay(version, &rows).await;
    }
}

/// What a client chose as it stands in texts, and what it is called in the copy.
type Names = Vec<(Regex, String)>;

/// Everything that the requests of a recording create successfully.
fn chosen(rows: &[Row]) -> Names {
    let mut names = BTreeMap::new();
    for row in rows.iter().filter(|row| row.status == 200 && row.method == "POST") {
        let path = row.path.trim_start_matches("/nodes/pve");
        let keys: &[&str] = match path {
            "/pools" => &["poolid"],
            "/access/users" => &["userid"],
            "/access/roles" => &["roleid"],
            "/qemu" => &["vmid", "name"],
            _ if path.ends_with("/clone") => &["newid", "name"],
            _ if path.ends_with("/firewall/ipset") => &["name"],
            _ => &[],
        };
        for old in keys.iter().filter_map(|key| row.params.get(*key)?.as_str()) {
            let new = match old.parse::<u32>() {
                Ok(vmid) => (vmid + 31_007).to_string(),
                Err(_) => format!("other-{old}"),
            };
            names.insert(old.to_owned(), new);
        }
    }
    names.into_iter().map(|(old, new)| (word(&old), format!("${{1}}{new}${{2}}"))).collect()
}

/// A whole word; of numbers also those between letters, as in `tap170i0`.
fn word(text: &str) -> Regex {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let edge = if is_number { "[^0-9]" } else { "[^A-Za-z0-9_-]" };
    Regex::new(&format!("(^|{edge}){}({edge}|$)", regex::escape(text))).unwrap()
}

fn rename(names: &Names, text: &str) -> String {
    let mut renamed = text.to_owned();
    for (word, new) in names {
        // Twice, because neighbours share the character between them.
        for _ in 0..2 {
            renamed = word.replace_all(&renamed, new).into_owned();
        }
    }
    renamed
}

fn rename_value(names: &Names, value: &Value) -> Value {
    match value {
        Value::String(text) => rename(names, text).into(),
        Value::Array(items) => items.iter().map(|item| rename_value(names, item)).collect(),
        Value::Object(object) => {
            let renamed = object.iter().map(|(key, value)| {
                let value = match (key.as_str(), value.as_u64()) {
                    ("vmid", Some(vmid)) => {
                        rename(names, &vmid.to_string()).parse::<u64>().unwrap().into()
                    }
                    _ => rename_value(names, value),
                };
                (rename(names, key), value)
            });
            Value::Object(renamed.collect())
        }
        other => other.clone(),
    }
}

fn renamed(names: &Names, row: &Row) -> Row {
    // Sizes may look like an id of a machine.
    let sizes = ["memory", "size", "cores", "digest", "comment"];
    let params = row.params.iter().map(|(key, value)| {
        let keep = sizes.contains(&key.as_str());
        (key.clone(), if keep { value.clone() } else { rename_value(names, value) })
    });
    Row {
        who: rename(names, &row.who),
        path: rename(names, &row.path),
        params: params.collect(),
        reason: rename(names, &row.reason),
        body: rename_value(names, &row.body),
        task: rename_value(names, &row.task),
        ..row.clone()
    }
}

#[tokio::test]
async fn answers_as_recorded_under_other_names() {
    for (version, rows) in recordings() {
        let names = chosen(&rows);
        assert!(names.len() > 2, "what was chosen is not found: {names:?}");
        let rows: Vec<_> = rows.iter().map(|row| renamed(&names, row)).collect();
        replay(version, &rows).await;
    }
}

/// The sections that must come before one: users before who asks as them, and all of that before they are deleted.
fn builds_on(section: &str) -> &'static [&'static str] {
    match section {
        "PERMS" => &["ACCESS"],
        "LIFECYCLE" => &["ACCESS", "PERMS"],
        _ => &[],
    }
}

/// The sections in a random order that respects what builds on what.
fn reordered(rows: &[Row], random: &mut StdRng) -> Vec<Row> {
    let mut left: Vec<_> = rows.iter().map(|row| row.section.as_str()).collect();
    left.dedup();
    left.shuffle(random);
    let mut order: Vec<&str> = Vec::new();
    while !left.is_empty() {
        let is_ready = |section: &&str| builds_on(section).iter().all(|it| order.contains(it));
        let next = left.iter().position(is_ready).expect("the sections build on each other");
        order.push(left.remove(next));
    }
    let of = |section| rows.iter().filter(move |row| row.section == section).cloned();
    order.into_iter().flat_map(of).collect()
}

#[tokio::test]
async fn answers_as_recorded_in_another_order() {
    let mut random = StdRng::seed_from_u64(19);
    let [first, second, ..] = recordings();
    for (version, rows) in [first, second] {
        let names = chosen(&rows);
        for round in 0..6 {
            let mut rows = reordered(&rows, &mut random);
            if round % 2 == 1 {
                rows = rows.iter().map(|row| renamed(&names, row)).collect();
            }
            replay(version, &rows).await;
        }
    }
}
