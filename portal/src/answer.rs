//! How refusals and failures are said: a page for people, a problem document for programs; and what every answer carries.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::json;

use crate::error::Problem;
use crate::gate::RequestId;
use crate::rights::Actor;
use crate::ui::Ui;
use crate::{App, Error};

/// What of a request decides how it is answered.
pub struct Asked {
    path: String,
    target: String,
    method: Method,
    headers: http::HeaderMap,
}

impl Asked {
    /// To be taken before the request is handed on.
    pub fn of(request: &Request) -> Self {
        Self {
            path: request.uri().path().to_owned(),
            target: request
                .uri()
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
            method: request.method().clone(),
            headers: request.headers().clone(),
        }
    }

    fn is_program(&self) -> bool {
        self.path.starts_with("/api/")
    }
}

/// Puts words to an error, if the response is one.
pub fn finish(
    app: &App,
    asked: &Asked,
    actor: Option<Arc<Actor>>,
    id: &RequestId,
    mut response: Response,
) -> Response {
    if let Some(error) = response.extensions_mut().remove::<Error>() {
        response = explain(app, asked, actor, error.problem(), &id.0);
    }
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

fn explain(
    app: &App,
    asked: &Asked,
    actor: Option<Arc<Actor>>,
    problem: &Problem,
    id: &str,
) -> Response {
    if asked.is_program() {
        return document(problem, id);
    }
    let ui = Ui::new(app, &asked.path, &asked.headers, actor);
    if problem.status == StatusCode::UNAUTHORIZED {
        return to_sign_in(asked, &ui);
    }
    let mut response = ui
        .problem(problem, id)
        .unwrap_or_else(|_| (problem.status, problem.detail.clone()).into_response());
    retry_after(problem, &mut response);
    response
}

/// RFC 9457.
fn document(problem: &Problem, id: &str) -> Response {
    let mut body = json!({
        "type": format!("urn:kubesmith:problem:{}", problem.code),
        "title": problem.status.canonical_reason().unwrap_or("Problem"),
        "status": problem.status.as_u16(),
        "code": problem.code,
        "detail": problem.detail,
        "request": id,
    });
    if !problem.fields.is_empty() {
        body["fields"] = json!(problem.fields);
    }
    let mut response = (problem.status, axum::Json(body)).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if problem.status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    retry_after(problem, &mut response);
    response
}

fn retry_after(problem: &Problem, response: &mut Response) {
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
}

/// Where a page goes when nobody is signed in. What was asked for is asked for again afterwards, if it was a page.
fn to_sign_in(asked: &Asked, ui: &Ui) -> Response {
    let back =
        if asked.method == Method::GET && !ui.is_fragment() { asked.target.as_str() } else { "/" };
    let query =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("next", back).finish();
    let to = if back == "/" { "/sign-in".to_owned() } else { format!("/sign-in?{query}") };
    if ui.is_fragment() {
        // A redirect would be followed and put into the middle of the page.
        let header = [(HeaderName::from_static("hx-redirect"), to)];
        return (StatusCode::UNAUTHORIZED, header).into_response();
    }
    Redirect::to(&to).into_response()
}

/// The answer where no route matches.
pub async fn nothing_here(
    axum::extract::State(app): axum::extract::State<App>,
    request: Request,
) -> Response {
    let id = RequestId(ulid::Ulid::generate().to_string());
    finish(&app, &Asked::of(&request), None, &id, Error::not_found().into_response())
}

/// The answer where the path is known and the method is not.
pub async fn other_method(
    axum::extract::State(app): axum::extract::State<App>,
    request: Request,
) -> Response {
    let id = RequestId(ulid::Ulid::generate().to_string());
    let error = Error::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method",
        "This address does not take that method.",
    );
    finish(&app, &Asked::of(&request), None, &id, error.into_response())
}
