//! People for a portal that is there to be shown: a course with an instructor and two students, and an administrator.

use anyhow::{Context as _, Result, bail};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

/// Login, name and role, on the site and in the course.
const PEOPLE: [(&str, &str, &str); 3] = [
    ("ida", "Ida Instructor", "team_lead"),
    ("sam", "Sam Student", "developer"),
    ("kim", "Kim Student", "developer"),
];

/// Somebody, and the link through which they set a password.
pub(crate) struct Person {
    pub(crate) login: String,
    pub(crate) role: String,
    pub(crate) link: String,
}

/// Does at `url` what its first administrator does, who enters through `link`: makes the course on the lab's network,
/// invites people to it, and asks for a link to set a password of their own.
pub(crate) async fn invite(url: &str, link: &str) -> Result<Vec<Person>> {
    let mut browser = Browser {
        http: Client::builder(TokioExecutor::new()).build_http(),
        url: url.to_owned(),
        cookie: String::new(),
    };
    let path = link.strip_prefix(url).context("a link of this portal")?;
    browser.enter(path, "rosa", "Rosa+Root").await?;
    let course = json!({"name": "k8s-101", "title": "Kubernetes 101", "kind": "course",
        "bridge": "vmbr0", "vlan": "119", "address_pool": "lab"});
    let course = browser.api(Method::POST, "/environments", &course).await?;
    let mut people = Vec::new();
    for (login, name, role) in PEOPLE {
        let wish = json!({"login": login, "name": name, "role": role});
        let made = browser.api(Method::POST, "/users", &wish).await?;
        let member = format!("/environments/{}/members/{}", id(&course), id(&made["user"]));
        browser.api(Method::PUT, &member, &json!({"role": role})).await?;
        people.push(Person::of(login, role, &made["link"]));
    }
    let users = browser.api(Method::GET, "/users", &Value::Null).await?;
    let mut users = users.as_array().into_iter().flatten();
    let rosa = users.find(|user| user["login"] == "rosa").context("who was just made")?;
    let link = format!("/users/{}/link", id(rosa));
    let link = browser.api(Method::POST, &link, &Value::Null).await?;
    people.insert(0, Person::of("rosa", "admin", &link));
    Ok(people)
}

impl Person {
    fn of(login: &str, role: &str, link: &Value) -> Self {
        let link = link["url"].as_str().unwrap_or_default();
        Self { login: login.to_owned(), role: role.to_owned(), link: link.to_owned() }
    }
}

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap_or_default()
}

/// As much of a browser as that takes.
struct Browser {
    http: Client<HttpConnector, Full<Bytes>>,
    url: String,
    cookie: String,
}

impl Browser {
    /// Sets a password that nobody gets to know, and keeps the session.
    async fn enter(&mut self, path: &str, login: &str, name: &str) -> Result<()> {
        let password = hex::encode(rand::random::<[u8; 16]>());
        let form = format!("login={login}&name={name}&password={password}&again={password}");
        let kind = "application/x-www-form-urlencoded";
        let answer = self.send(Method::POST, path, kind, form).await?;
        let cookie = answer.headers().get(header::SET_COOKIE).context("no session")?;
        let cookie = cookie.to_str()?.split(';').next().unwrap_or_default();
        cookie.clone_into(&mut self.cookie);
        Ok(())
    }

    async fn api(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.send(method, &format!("/api/v1{path}"), "application/json", body).await?;
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: String,
    ) -> Result<http::Response<hyper::body::Incoming>> {
        let request = Request::builder()
            .method(&method)
            .uri(format!("{}{path}", self.url))
            .header(header::CONTENT_TYPE, kind)
            .header(header::COOKIE, &self.cookie)
            .body(Full::from(body))?;
        let answer = self.http.request(request).await?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::SEE_OTHER {
            return Ok(answer);
        }
        let said = answer.into_body().collect().await?.to_bytes();
        bail!("the portal answers {status} to {method}: {}", String::from_utf8_lossy(&said))
    }
}
