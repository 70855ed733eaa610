//! One request: who asks, may they, what is done, how it is answered.

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{
    Server, access,
    authentication::{User, authenticate},
    certificates,
    clients::Peer,
    defaults, discovery, patch, protobuf,
    reply::{Refusal, Reply, deleted, json_reply, ok, text},
    resources::Resource,
    route::{self, Query, Target},
    select::Selector,
    table, watch,
};

/// Answers one request.
pub(super) async fn handle(server: &Server, peer: &Peer, request: Request<Incoming>) -> Reply {
    match answer(server, peer, request).await {
        Ok(reply) => reply,
        Err(refusal) => refusal.into(),
    }
}

async fn answer(
    server: &Server,
    peer: &Peer,
    request: Request<Incoming>,
) -> Result<Reply, Refusal> {
    let (head, body) = request.into_parts();
    let user = access::impersonate(
        &server.store,
        authenticate(&server.store, peer, &head.headers)?,
        &head.headers,
    )?;
    let path = head.uri.path();
    let query = route::query(head.uri.query());
    let accept = header(&head.headers, "accept");
    let Some(target) = route::target(path) else {
        access::check_path(&server.store, &user, &head.method, path)?;
        if let Some(reply) = discovery::answer(path, &server.version, &accept) {
            return Ok(reply);
        }
        let body = read(body, &header(&head.headers, "content-type")).await?;
        return access::review(&server.store, &user, path, &body)
            .map(|review| json_reply(StatusCode::CREATED, &review));
    };
    access::check(&server.store, &user, &verb(&head.method, &target, &query), &target)?;
    let body = match head.method {
        Method::POST | Method::PUT | Method::PATCH => {
            read(body, &header(&head.headers, "content-type")).await?
        }
        _ => Value::Null,
    };
    let exchange =
        Exchange { server, user: &user, target: &target, query: &query, accept: &accept };
    match (head.method.as_str(), target.name.is_some()) {
        ("GET", _) if is_watch(&query) => watch::start(&server.store, &target, &query, &accept),
        ("GET", true) => exchange.get(),
        ("GET", false) => exchange.list(),
        ("POST", false) => exchange.create(body),
        ("POST", true) => exchange.create_subresource(&body),
        ("PUT", true) => exchange.replace(body),
        ("PATCH", true) => exchange.patch(&body, &header(&head.headers, "content-type")),
        ("DELETE", true) => exchange.delete(),
        ("DELETE", false) => exchange.delete_collection(),
        _ => Err(Refusal::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )),
    }
}

fn header(headers: &http::HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn is_watch(query: &Query) -> bool {
    query.get("watch").is_some_and(|value| value != "0" && value != "false")
}

fn verb(method: &Method, target: &Target, query: &Query) -> String {
    match (method.as_str(), target.name.is_some()) {
        ("GET", _) if is_watch(query) => "watch",
        ("GET", true) => "get",
        ("GET", false) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", false) => "deletecollection",
        _ => "delete",
    }
    .to_owned()
}

/// A request's body; an apply patch is YAML.
async fn read(body: Incoming, kind: &str) -> Result<Value, Refusal> {
    let bytes = body
        .collect()
        .await
        .map_err(|_| Refusal::bad_request("the request's body ended early"))?
        .to_bytes();
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    if kind.contains("yaml") {
        let text = String::from_utf8_lossy(&bytes);
        return crate::kube::yaml::document(&text)
            .map_err(|error| Refusal::bad_request(format!("{error:#}")));
    }
    let unknown = || {
        let message = "the body of the request was in an unknown format - accepted media types include: application/json";
        Refusal::new(415, "UnsupportedMediaType", message)
    };
    if kind.contains("protobuf") {
        return protobuf::decode(&bytes).ok_or_else(unknown);
    }
    if kind.contains("cbor") {
        return Err(unknown());
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::bad_request(format!("the body is not JSON: {error}")))
}

/// One authorized request for an object or a collection.
struct Exchange<'a> {
    server: &'a Server,
    user: &'a User,
    target: &'a Target,
    query: &'a Query,
    accept: &'a str,
}

impl Exchange<'_> {
    fn resource(&self) -> &'static Resource {
        self.target.resource
    }

    fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or_default()
    }

    fn key(&self) -> String {
        self.resource().key(&self.target.namespace, self.name())
    }

    /// Whether the request only wants to know what would happen.
    fn dry_run(&self) -> bool {
        self.query.contains_key("dryRun")
    }

    fn found(&self) -> Result<std::sync::Arc<Value>, Refusal> {
        self.server
            .store
            .get(&self.key())
            .ok_or_else(|| Refusal::not_found(self.resource(), self.name()))
    }

    fn get(&self) -> Result<Reply, Refusal> {
        let object = self.found()?;
        if table::wanted(self.accept) {
            return Ok(ok(&table::render(self.resource(), &[object], None)));
        }
        match self.target.subresource.as_deref() {
            Some("log") => Ok(text(StatusCode::OK, "")),
            Some("scale") => Ok(ok(&scale(&object))),
            _ => Ok(ok(&object)),
        }
    }

    fn list(&self) -> Result<Reply, Refusal> {
        let selector = Selector::of(self.query, None)?;
        let (mut objects, version) =
            self.server.store.list(&self.resource().prefix(&self.target.namespace));
        objects.retain(|object| selector.matches(object));
        if table::wanted(self.accept) {
            return Ok(ok(&table::render(self.resource(), &objects, Some(version))));
        }
        let items: Vec<&Value> = objects.iter().map(|object| &**object).collect();
        Ok(ok(&json!({
            "kind": format!("{}List", self.resource().kind),
            "apiVersion": self.resource().api_version(),
            "metadata": {"resourceVersion": version.to_string()},
            "items": items,
        })))
    }

    fn create(&self, mut object: Value) -> Result<Reply, Refusal> {
        let resource = self.resource();
        defaults::on_create(&self.server.store, resource, &self.target.namespace, &mut object)?;
        if resource.kind == "CertificateSigningRequest" {
            certificates::on_create(self.server, self.user, &mut object)?;
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let key = resource.key(&self.target.namespace, &name);
        if self.dry_run() {
            return match self.server.store.get(&key) {
                Some(_) => Err(Refusal::already_exists(resource, &name)),
                None => Ok(json_reply(StatusCode::CREATED, &object)),
            };
        }
        let stored = self.server.store.change(&key, |existing| match existing {
            Some(_) => Err(Refusal::already_exists(resource, &name)),
            None => Ok(Some(object)),
        })?;
        Ok(json_reply(StatusCode::CREATED, stored.as_deref().unwrap_or(&Value::Null)))
    }

    /// `pods/eviction`, `pods/binding`, `serviceaccounts/token` and such.
    fn create_subresource(&self, body: &Value) -> Result<Reply, Refusal> {
        let object = self.found()?;
        match self.target.subresource.as_deref() {
            Some("eviction") => {
                if !self.dry_run() {
                    self.server.store.remove(&self.key());
                }
                Ok(json_reply(
                    StatusCode::CREATED,
                    &json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201}),
                ))
            }
            Some("binding") => {
                self.modify(|pod| pod["spec"]["nodeName"] = body["target"]["name"].clone())?;
                Ok(json_reply(
                    StatusCode::CREATED,
                    &json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201}),
                ))
            }
            Some("token") => {
                let token = super::authentication::service_account_token(&object, body)?;
                Ok(json_reply(StatusCode::CREATED, &token))
            }
            _ => Err(Refusal::no_such_path()),
        }
    }

    fn replace(&self, object: Value) -> Result<Reply, Refusal> {
        let named = object["metadata"]["name"].as_str();
        if named.is_some_and(|name| name != self.name()) {
            return Err(Refusal::bad_request(
                "the name of the object does not match the name on the URL",
            ));
        }
        self.update(move |_| Ok(object))
    }

    fn patch(&self, body: &Value, kind: &str) -> Result<Reply, Refusal> {
        let applying = kind.contains("apply-patch");
        if applying
            && self.server.store.get(&self.key()).is_none()
            && self.target.subresource.is_none()
        {
            return self.create(body.clone());
        }
        self.update(|current| patch::apply(current, body, kind))
    }

    /// Reads, changes and writes in one go; a stale `resourceVersion` in the result is a conflict.
    fn update(
        &self,
        change: impl FnOnce(&Value) -> Result<Value, Refusal>,
    ) -> Result<Reply, Refusal> {
        let resource = self.resource();
        let subresource = self.target.subresource.as_deref();
        if self.dry_run() {
            return Ok(ok(&change(&*self.found()?)?));
        }
        let stored = self.server.store.change(&self.key(), |existing| {
            let existing = existing.ok_or_else(|| Refusal::not_found(resource, self.name()))?;
            let base =
                if subresource == Some("scale") { scale(existing) } else { existing.clone() };
            let mut next = change(&base)?;
            let expected =
                next["metadata"]["resourceVersion"].as_str().filter(|version| !version.is_empty());
            if expected.is_some_and(|version| existing["metadata"]["resourceVersion"] != version) {
                return Err(Refusal::conflict(resource, self.name()));
            }
            let mut object = existing.clone();
            match subresource {
                Some("status") => object["status"] = next["status"].take(),
                Some("scale") => object["spec"]["replicas"] = next["spec"]["replicas"].take(),
                Some("approval") => {
                    object["status"]["conditions"] = next["status"]["conditions"].take();
                    certificates::issue_if_approved(self.server, &mut object)?;
                }
                Some("finalize") | None => {
                    defaults::on_update(resource, existing, next, &mut object);
                }
                Some(_) => return Err(Refusal::no_such_path()),
            }
            Ok(Some(object))
        })?;
        let stored = stored.as_deref().unwrap_or(&Value::Null);
        Ok(if subresource == Some("scale") { ok(&scale(stored)) } else { ok(stored) })
    }

    fn modify(&self, change: impl FnOnce(&mut Value)) -> Result<(), Refusal> {
        self.server.store.change(&self.key(), |existing| {
            let mut object = existing
                .cloned()
                .ok_or_else(|| Refusal::not_found(self.resource(), self.name()))?;
            change(&mut object);
            Ok(Some(object))
        })?;
        Ok(())
    }

    fn delete(&self) -> Result<Reply, Refusal> {
        let object = self.found()?;
        if !self.dry_run() {
            if self.resource().kind == "Namespace" {
                if ["default", "kube-system", "kube-public", "kube-node-lease"]
                    .contains(&self.name())
                {
                    let message = format!(
                        "namespaces \"{}\" is forbidden: this namespace may not be deleted",
                        self.name()
                    );
                    return Err(Refusal::new(403, "Forbidden", message));
                }
                defaults::empty_namespace(&self.server.store, self.name());
            }
            self.server.store.remove(&self.key());
        }
        Ok(ok(&deleted(self.resource(), &object)))
    }

    fn delete_collection(&self) -> Result<Reply, Refusal> {
        let selector = Selector::of(self.query, None)?;
        let (objects, _) = self.server.store.list(&self.resource().prefix(&self.target.namespace));
        for object in objects.iter().filter(|object| selector.matches(object)) {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
            self.server.store.remove(&self.resource().key(text("namespace"), text("name")));
        }
        Ok(ok(&json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})))
    }
}

fn scale(object: &Value) -> Value {
    let metadata = &object["metadata"];
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {"replicas": object["spec"]["replicas"]},
        "status": {"replicas": object["status"]["replicas"].as_i64().unwrap_or(0)},
    })
}
