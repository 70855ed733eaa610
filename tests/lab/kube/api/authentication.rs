//! Who asks: a client certificate, a bootstrap token, a service account's token, or nobody.

use base64::{
    Engine as _, engine::general_purpose::STANDARD as BASE64,
    engine::general_purpose::URL_SAFE_NO_PAD,
};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{Store, clients::Peer, reply::Refusal, resources::kind};
use crate::kube::{paths, pki};

/// An authenticated (or anonymous) user.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) groups: Vec<String>,
}

impl User {
    pub(super) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|candidate| candidate == group)
    }

    fn authenticated(name: String, mut groups: Vec<String>) -> Self {
        groups.push("system:authenticated".to_owned());
        Self { name, groups }
    }
}

/// A certificate wins over a token, as in the real server; a token that is unknown or expired is refused.
pub(super) fn authenticate(
    store: &Store,
    peer: &Peer,
    headers: &HeaderMap,
) -> Result<User, Refusal> {
    let refused = || Refusal::new(401, "Unauthorized", "Unauthorized");
    match peer {
        Peer::User(name, groups) => {
            return Ok(User::authenticated(name.clone(), groups.clone()));
        }
        Peer::Unknown => return Err(refused()),
        Peer::Nobody => {}
    }
    let bearer = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let Some(token) = bearer else {
        return Ok(User {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
        });
    };
    bootstrap_token(store, token).or_else(|| service_account(store, token)).ok_or_else(refused)
}

fn bootstrap_token(store: &Store, token: &str) -> Option<User> {
    let (id, secret) = token.split_once('.')?;
    let stored =
        store.get(&kind("secrets").key("kube-system", &format!("bootstrap-token-{id}")))?;
    let live = stored["type"] == "bootstrap.kubernetes.io/token"
        && data(&stored, "token-secret").as_deref() == Some(secret)
        && data(&stored, "usage-bootstrap-authentication").as_deref() == Some("true")
        && !expired(&stored);
    let mut groups = vec!["system:bootstrappers".to_owned()];
    let extra = data(&stored, "auth-extra-groups").unwrap_or_default();
    groups.extend(extra.split(',').filter(|group| !group.is_empty()).map(str::to_owned));
    live.then(|| User::authenticated(format!("system:bootstrap:{id}"), groups))
}

/// One field of a Secret, decoded.
pub(crate) fn data(secret: &Value, field: &str) -> Option<String> {
    String::from_utf8(BASE64.decode(secret["data"][field].as_str()?).ok()?).ok()
}

/// Whether a bootstrap token's time is over; one without an expiration lives for ever.
pub(super) fn expired(secret: &Value) -> bool {
    let expiration =
        data(secret, "expiration").and_then(|text| text.parse::<jiff::Timestamp>().ok());
    expiration.is_some_and(|expiration| expiration <= jiff::Timestamp::now())
}

/// The key that tokens are made with: it must survive a restart and differ between clusters.
fn token_key() -> Option<ring::hmac::Key> {
    let key = paths::read(&format!("{}/sa.key", paths::PKI)).ok()?;
    Some(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_bytes()))
}

/// A `TokenRequest`'s answer. The token is shaped as a JWT, signed in a way that only this server checks.
pub(super) fn service_account_token(account: &Value, request: &Value) -> Result<Value, Refusal> {
    let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
    if !(600..=1 << 32).contains(&seconds) {
        let name = account["metadata"]["name"].as_str().unwrap_or_default();
        let problem = if seconds < 600 {
            "may not specify a duration less than 10 minutes"
        } else {
            "may not specify a duration larger than 2^32 seconds"
        };
        return Err(Refusal::new(
            422,
            "Invalid",
            format!(
                "TokenRequest.authentication.k8s.io \"{name}\" is invalid: spec.expirationSeconds: Invalid value: {seconds}: {problem}"
            ),
        ));
    }
    let until = jiff::Timestamp::now().as_second() + seconds;
    let (namespace, name) = (&account["metadata"]["namespace"], &account["metadata"]["name"]);
    let claims = json!({
        "iss": "https://kubernetes.default.svc.cluster.local", "exp": until,
        "sub": format!("system:serviceaccount:{}:{}", namespace.as_str().unwrap_or_default(), name.as_str().unwrap_or_default()),
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": account["metadata"]["uid"]}},
    });
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "typ": "JWT"}).to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let key = token_key().ok_or_else(|| {
        Refusal::new(500, "InternalError", "the cluster has no service account key")
    })?;
    let signature = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, signed.as_bytes()));
    let mut answer = json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace}, "spec": request["spec"],
    });
    answer["status"] = json!({
        "token": format!("{signed}.{signature}"),
        "expirationTimestamp": jiff::Timestamp::from_second(until).map(|time| time.to_string()).unwrap_or_default(),
    });
    Ok(answer)
}

fn service_account(store: &Store, token: &str) -> Option<User> {
    let (signed, signature) = token.rsplit_once('.')?;
    ring::hmac::verify(&token_key()?, signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?)
        .ok()?;
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?).ok()?;
    if claims["exp"].as_i64()? <= jiff::Timestamp::now().as_second() {
        return None;
    }
    let bound = &claims["kubernetes.io"];
    let namespace = bound["namespace"].as_str()?;
    let account = store
        .get(&kind("serviceaccounts").key(namespace, bound["serviceaccount"]["name"].as_str()?))?;
    // A token dies with its account, even when another of the same name is made.
    (account["metadata"]["uid"] == bound["serviceaccount"]["uid"]).then(|| {
        let groups = vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
        ];
        User::authenticated(claims["sub"].as_str().unwrap_or_default().to_owned(), groups)
    })
}

/// Whether a signing request asks for a node's identity, and only for that.
pub(super) fn asks_for_node(request: &str) -> bool {
    pki::request_subject(request)
        .is_ok_and(|(user, groups)| user.starts_with("system:node:") && groups == ["system:nodes"])
}
