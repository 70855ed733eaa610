//! Signing in and out with a browser.

use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use zeroize::Zeroizing;

use crate::App;
use crate::error::{Error, Result};
use crate::ids::PersonId;
use crate::people::proof;
use crate::people::secrets::{self, Secret};
use crate::time::Time;

/// Checks login and password. Every way of being wrong gives the same answer after the same work.
pub async fn check(
    app: &App,
    login: &str,
    password: Zeroizing<String>,
    from: &str,
) -> Result<PersonId> {
    if let Some(wait) = app.attempts.wait(login, from) {
        let seconds = wait.as_secs().max(1);
        return Err(Error::too_many(
            format!("Too many attempts. Try again in {}.", spoken(seconds)),
            seconds,
        ));
    }
    let known = app.store.sign_in_data(login).await?;
    let (person, stored) = known.map_or((None, None), |(person, hash)| (Some(person), hash));
    let long = password.chars().count() > super::passwords::LONGEST;
    let password = if long { Zeroizing::default() } else { password };
    if app.passwords.verify(password, stored).await?
        && let Some(person) = person
    {
        app.attempts.succeeded(login);
        return Ok(person);
    }
    app.attempts.failed(login, from);
    Err(Error::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "bad_sign_in",
        "This login and password do not belong together.",
    ))
}

fn spoken(seconds: u64) -> String {
    match seconds {
        1 => "a second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// A new session for somebody who has just proved who they are; the one that the browser had ends. Returns the cookie.
pub async fn start(
    app: &App,
    person: &PersonId,
    headers: &HeaderMap,
    from: &str,
) -> Result<HeaderValue> {
    if let Some(old) = CookieJar::from_headers(headers).get(proof::cookie_name(app)) {
        app.store.end_session_by_hash(&secrets::hash(old.value())).await?;
    }
    let secret = Secret::new();
    let agent =
        headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let agent: String = agent.chars().take(200).collect();
    let expires_at = Time::now().plus(app.config.people.session_absolute);
    app.store.add_session(person, &secret.hash(), expires_at, from, &agent).await?;
    let cookie = cookie(app, secret.reveal().to_owned());
    HeaderValue::from_str(&cookie.to_string()).map_err(Error::internal)
}

/// The cookie that takes the session away from the browser.
pub fn forget(app: &App) -> Result<HeaderValue> {
    let mut cookie = cookie(app, String::new());
    cookie.make_removal();
    HeaderValue::from_str(&cookie.to_string()).map_err(Error::internal)
}

fn cookie(app: &App, value: String) -> Cookie<'static> {
    Cookie::build((proof::cookie_name(app), value))
        .path("/")
        .http_only(true)
        .secure(app.config.is_https())
        .same_site(SameSite::Lax)
        .build()
}

/// What a browser calls itself, as people know it.
pub fn spoken_agent(agent: &str) -> String {
    let find = |names: &[(&str, &str)]| {
        names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| (*name).to_owned())
    };
    let browser = find(&[
        ("Firefox/", "Firefox"),
        ("Edg/", "Edge"),
        ("Chrom", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = find(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "unknown browser".to_owned(),
    }
}
