//! Signing in and out, and the link that sets a password.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::App;
use crate::audit::Note;
use crate::error::Result;
use crate::extract::{Form, Path, Query};
use crate::gate::From;
use crate::people::accounts::{self, Acceptance};
use crate::people::sessions;
use crate::rights::{Actor, Via};
use crate::ui::{Ui, errors};

/// Where to go afterwards.
#[derive(Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

/// The form.
pub async fn show(ui: Ui, Query(Next { next }): Query<Next>) -> Result<Response> {
    ui.page("sign_in.html", json!({ "login": "", "next": local(&next), "problem": null }))
}

/// What it sends.
#[derive(Deserialize)]
pub struct SignIn {
    login: String,
    password: Zeroizing<String>,
    #[serde(default)]
    next: String,
}

/// Starts a session.
pub async fn sign_in(
    State(app): State<App>,
    ui: Ui,
    note: Note,
    From(from): From,
    headers: HeaderMap,
    Form(form): Form<SignIn>,
) -> Result<Response> {
    let SignIn { login, password, next } = form;
    let login = login.trim().to_lowercase();
    // Somebody may have typed the password into the wrong field: what is no login of ours is not written down.
    let known = app.store.person_by_login(&login).await?;
    match &known {
        Some(person) => note.who(&login, Some(person.id.to_string()), "sign-in"),
        None => note.who("(unknown)", None, "sign-in"),
    }
    match sessions::check(&app, &login, password, &from).await {
        Ok(person) => into_session(&app, &person, &headers, &from, local(&next)).await,
        Err(error) => {
            let problem = error.problem();
            let with = json!({ "login": login, "next": local(&next), "problem": problem.detail });
            let mut response = ui.answer(problem.status, "sign_in.html", with)?;
            if let Some(seconds) = problem.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            Ok(response)
        }
    }
}

async fn into_session(
    app: &App,
    person: &crate::ids::PersonId,
    headers: &HeaderMap,
    from: &str,
    next: &str,
) -> Result<Response> {
    let cookie = sessions::start(app, person, headers, from).await?;
    let mut response = Redirect::to(next).into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Ends the session.
pub async fn sign_out(State(app): State<App>, actor: Actor) -> Result<Response> {
    if let Via::Session(session) = &actor.via {
        app.store.end_session(&actor.person, session).await?;
    }
    let mut response = Redirect::to("/sign-in").into_response();
    response.headers_mut().append(header::SET_COOKIE, sessions::forget(&app)?);
    // What the browser still keeps of our pages goes with the session.
    response
        .headers_mut()
        .insert("clear-site-data", HeaderValue::from_static("\"cache\", \"storage\""));
    Ok(response)
}

/// The page behind a link. Looking at it does not use it up: mail scanners look at links.
pub async fn link(State(app): State<App>, ui: Ui, Path(secret): Path<String>) -> Result<Response> {
    let link = accounts::find_link(&app, &secret).await?;
    let login = match &link.person {
        Some(person) => app.store.person(person).await?.login,
        None => String::new(),
    };
    let with = json!({ "first": link.person.is_none(), "login": login, "name": "", "errors": {} });
    ui.page("link.html", with)
}

/// Sets the password and signs in.
pub async fn accept(
    State(app): State<App>,
    ui: Ui,
    note: Note,
    From(from): From,
    headers: HeaderMap,
    Path(secret): Path<String>,
    Form(form): Form<Acceptance>,
) -> Result<Response> {
    let link = accounts::find_link(&app, &secret).await?;
    let first = link.person.is_none();
    let (typed_login, typed_name) = (form.login.clone(), form.name.clone());
    match accounts::accept(&app, &secret, form).await {
        Ok(person) => {
            let found = app.store.person(&person).await?;
            note.who(&found.login, Some(person.to_string()), "link");
            note.target("person", &person, &found.login);
            into_session(&app, &person, &headers, &from, "/").await
        }
        Err(error) if error.problem().status == StatusCode::UNPROCESSABLE_ENTITY => {
            let login = match &link.person {
                Some(person) => app.store.person(person).await?.login,
                None => typed_login,
            };
            let with = json!({ "first": first, "login": login, "name": typed_name, "errors": errors(&error) });
            ui.answer(StatusCode::UNPROCESSABLE_ENTITY, "link.html", with)
        }
        Err(error) => Err(error),
    }
}

/// A path on this site and nothing else: `//evil.example` and `/\evil.example` are other sites.
fn local(next: &str) -> &str {
    let inside = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains(['\\', '\n', '\r', '\t']);
    if inside { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn the_way_back_stays_on_this_site() {
        for (next, expected) in [
            ("/clusters?mine=1", "/clusters?mine=1"),
            ("", "/"),
            ("https://evil.example/", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("javascript:alert(1)", "/"),
            ("/\tevil", "/"),
        ] {
            assert_eq!(local(next), expected, "{next:?}");
        }
    }
}
