//! The portal's API as people and programs use it: keys, requests, answers.

use std::{fs, process::Command};

use serde_json::{Value, json};

use super::site::{ADDRESS, Site};
use crate::world::text;

/// Everybody's in these tests.
const PASSWORD: &str = "correct horse battery";
/// Every scope that a key can have.
const SCOPES: [&str; 9] = [
    "clusters:read",
    "clusters:write",
    "clusters:destroy",
    "namespaces:write",
    "kubeconfigs:issue",
    "state:write",
    "sharing:write",
    "audit:read",
    "site:admin",
];

/// What came back.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) text: String,
}

/// Somebody's key: how they ask the API.
#[derive(Debug, Clone)]
pub(super) struct Key(pub(super) String);

impl Site {
    /// One request of whoever holds this key.
    pub(super) fn api(&self, key: &Key, method: &str, path: &str, body: &Value) -> Answer {
        let mut curl = self.curl(method, path);
        curl.arg("-H").arg(format!("Authorization: Bearer {}", key.0));
        if !body.is_null() {
            curl.args(["-H", "Content-Type: application/json", "-d"]).arg(body.to_string());
        }
        answer(&mut curl)
    }

    /// The same, which must be answered with this status.
    pub(super) fn must(
        &self,
        key: &Key,
        method: &str,
        path: &str,
        body: &Value,
        status: u16,
    ) -> Value {
        let answer = self.api(key, method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        answer.body
    }

    /// What a GET answers, which must succeed.
    pub(super) fn get(&self, key: &Key, path: &str) -> Value {
        self.must(key, "GET", path, &Value::Null, 200)
    }

    pub(super) fn curl(&self, method: &str, path: &str) -> Command {
        let mut curl = self.world.inside("curl");
        curl.args(["-sS", "-m", "60", "-X", method, "-w", "\n%{http_code}"]);
        curl.arg(format!("{ADDRESS}{path}"));
        curl
    }

    /// Follows the link that the first start has printed: the first administrator, and a key that may do everything.
    pub(super) fn bootstrap(&self) -> Key {
        let printed = fs::read_to_string(self.folder().join("stdout")).expect("what it printed");
        let link = printed.split_whitespace().find(|word| word.contains("/link/")).expect("a link");
        self.key_through(link, &[("login", "root"), ("name", "Rosa Root")])
    }

    /// Somebody new of this role, with a key that may do everything that they may.
    pub(super) fn person(&self, admin: &Key, login: &str, role: &str) -> (String, Key) {
        let wish = json!({"login": login, "name": login, "role": role});
        let made = self.must(admin, "POST", "/api/v1/users", &wish, 201);
        let key = self.key_through(made["link"]["url"].as_str().expect("a link"), &[]);
        (made["user"]["id"].as_str().expect("an id").to_owned(), key)
    }

    /// Sets a password through a link, signs in with it and makes a key: what one does in a browser.
    fn key_through(&self, link: &str, fields: &[(&str, &str)]) -> Key {
        let path = link.strip_prefix(ADDRESS).expect("a link to this portal");
        let cookies = tempfile::NamedTempFile::new().expect("a file");
        let mut accept = self.curl("POST", path);
        accept.arg("-c").arg(cookies.path());
        for (name, value) in fields.iter().chain(&[("password", PASSWORD), ("again", PASSWORD)]) {
            accept.arg("--data-urlencode").arg(format!("{name}={value}"));
        }
        let accepted = answer(&mut accept);
        assert_eq!(accepted.status, 303, "{}", accepted.text);
        let wish = json!({"label": "tests", "scopes": SCOPES});
        let mut make = self.curl("POST", "/api/v1/keys");
        make.arg("-b").arg(cookies.path()).args(["-H", "Content-Type: application/json", "-d"]);
        let made = answer(make.arg(wish.to_string()));
        assert_eq!(made.status, 201, "{}", made.text);
        Key(made.body["key"].as_str().expect("a key").to_owned())
    }
}

fn answer(curl: &mut Command) -> Answer {
    let output = curl.output().expect("curl");
    let all = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = all.rsplit_once('\n').unwrap_or_else(|| panic!("{}", text(&output)));
    let status = status.parse().expect("a status");
    assert_ne!(status, 0, "{}", text(&output));
    Answer {
        status,
        body: serde_json::from_str(body).unwrap_or(Value::Null),
        text: body.to_owned(),
    }
}
