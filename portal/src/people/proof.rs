//! From a request's headers to who asks: a session's cookie, an API key, or Terraform of one of our runs.

use axum_extra::extract::CookieJar;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};
use jiff::SignedDuration;
use zeroize::Zeroizing;

use crate::App;
use crate::error::{Error, Result};
use crate::people::secrets::{self, ApiKey};
use crate::rights::{Actor, Via};
use crate::store::sessions::Live;
use crate::time::Time;

/// How often uses of sessions and keys are written down.
const NOTED_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// The name of the cookie: over https a browser binds it to this host and never sends it in clear.
pub fn cookie_name(app: &App) -> &'static str {
    if app.config.is_https() { "__Host-ks" } else { "ks" }
}

/// Who asks; `None` if nothing was shown. What was shown and is not good is an error: it is never ignored.
pub async fn actor(app: &App, headers: &HeaderMap) -> Result<Option<Actor>> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let value = value.to_str().map_err(|_| bad_key())?;
        return authorized(app, value).await.map(Some);
    }
    let jar = CookieJar::from_headers(headers);
    let Some(cookie) = jar.get(cookie_name(app)) else { return Ok(None) };
    by_session(app, &secrets::hash(cookie.value())).await
}

/// The same actor a while later, as they are now; `None` if the session, key or person is gone.
pub async fn again(app: &App, actor: &Actor) -> Result<Option<Actor>> {
    match &actor.via {
        Via::Session(id) => {
            let live = app.store.live_session_by_id(id, idle_since(app)).await?;
            Ok(live.map(of_session))
        }
        Via::Key { id, .. } => match app.store.presented_key(id).await? {
            Some(key) => Ok(Some(of_key(id, key)?)),
            None => Ok(None),
        },
        Via::Run { .. } => Ok(Some(actor.clone())),
    }
}

/// Sessions whose last request is before this have ended.
pub fn idle_since(app: &App) -> Time {
    Time::now().plus(-app.config.people.session_idle)
}

async fn authorized(app: &App, value: &str) -> Result<Actor> {
    let (scheme, rest) = value.split_once(' ').ok_or_else(bad_key)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return by_key(app, rest.trim()).await;
    }
    if scheme.eq_ignore_ascii_case("basic") {
        // Terraform's HTTP backend knows no other way: the key, or a run's token, is the password.
        let decoded = STANDARD.decode(rest.trim()).map_err(|_| bad_key())?;
        let pair = Zeroizing::new(String::from_utf8(decoded).map_err(|_| bad_key())?);
        let (_, password) = pair.split_once(':').ok_or_else(bad_key)?;
        return if password.starts_with("ks_") {
            by_key(app, password).await
        } else {
            by_run(app, password).await
        };
    }
    Err(bad_key())
}

async fn by_session(app: &App, hash: &str) -> Result<Option<Actor>> {
    let Some(live) = app.store.live_session(hash, idle_since(app)).await? else { return Ok(None) };
    if Time::now().since(live.seen_at) > NOTED_EVERY {
        app.store.touch_session(&live.session).await?;
    }
    Ok(Some(of_session(live)))
}

fn of_session(live: Live) -> Actor {
    let Live { session, person, login, name, role, auditor, seen_at: _ } = live;
    Actor { person, login, name, role, auditor, via: Via::Session(session) }
}

async fn by_key(app: &App, text: &str) -> Result<Actor> {
    let (id, secret) = ApiKey::split(text).ok_or_else(bad_key)?;
    let key = app.store.presented_key(id).await?.ok_or_else(bad_key)?;
    if !secrets::matches(secret, &key.hash) {
        return Err(bad_key());
    }
    if key.last_used_at.is_none_or(|last| Time::now().since(last) > NOTED_EVERY) {
        app.store.touch_key(id).await?;
    }
    of_key(id, key)
}

fn of_key(id: &str, key: crate::store::keys::Presented) -> Result<Actor> {
    let scopes =
        key.scopes.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>();
    Ok(Actor {
        person: key.person,
        login: key.login,
        name: key.name,
        role: key.role,
        auditor: key.auditor,
        via: Via::Key {
            id: id.to_owned(),
            scopes: scopes.map_err(Error::internal)?,
            cluster: key.cluster,
        },
    })
}

async fn by_run(app: &App, token: &str) -> Result<Actor> {
    let found = app.store.run_by_token(&secrets::hash(token)).await?;
    let (run, cluster, person, login, name, role) = found.ok_or_else(bad_key)?;
    Ok(Actor { person, login, name, role, auditor: false, via: Via::Run { run, cluster } })
}

/// The same for every way of being wrong.
fn bad_key() -> Error {
    Error::new(
        StatusCode::UNAUTHORIZED,
        "bad_key",
        "This key is unknown, expired or revoked. Make another on your profile page.",
    )
}
