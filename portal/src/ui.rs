//! How a page is made: a template, what the handler gives it, and what every page shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::{FromRequestParts, Request};
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use include_dir::{Dir, include_dir};
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;

use crate::error::{Problem, Result};
use crate::rights::{Action, Actor, Scope, can};
use crate::{App, Error};

static TEMPLATES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The templates, parsed once.
pub struct Templates(Environment<'static>);

impl Templates {
    /// Those in `templates/`, by their path there.
    pub fn embedded() -> anyhow::Result<Self> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.add_filter("when", filters::when);
        environment.add_filter("clock", filters::clock);
        environment.add_filter("gib", filters::gib);
        environment.add_global("style", crate::pages::assets::address("style.css"));
        environment.add_global("htmx", crate::pages::assets::address("htmx.js"));
        environment.add_global("htmx_sse", crate::pages::assets::address("htmx-sse.js"));
        environment.add_global("icon", crate::pages::assets::address("icon.svg"));
        add(&mut environment, &TEMPLATES)?;
        Ok(Self(environment))
    }

    fn render(&self, name: &str, context: Value) -> Result<String> {
        Ok(self.0.get_template(name)?.render(context)?)
    }
}

fn add(environment: &mut Environment<'static>, dir: &Dir<'static>) -> anyhow::Result<()> {
    for file in dir.files() {
        let name = file.path().to_str().context("template names are UTF-8")?;
        let text = file.contents_utf8().context("templates are UTF-8")?;
        environment.add_template_owned(name, text)?;
    }
    dir.dirs().try_for_each(|inner| add(environment, inner))
}

mod filters {
    //! What templates need beside minijinja's own.

    use jiff::Timestamp;

    /// `2026-11-25 10:20 UTC`; the exact time stands in the element's title.
    pub(super) fn when(time: &str) -> String {
        match time.parse::<Timestamp>() {
            Ok(time) => time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            Err(_) => time.to_owned(),
        }
    }

    /// `10:20:03`, for lines that are read one below the other.
    pub(super) fn clock(time: &str) -> String {
        match time.parse::<Timestamp>() {
            Ok(time) => time.strftime("%H:%M:%S").to_string(),
            Err(_) => time.to_owned(),
        }
    }

    /// Mebibytes as people say them.
    pub(super) fn gib(mebibytes: u64) -> String {
        if mebibytes.is_multiple_of(1024) {
            format!("{} GiB", mebibytes / 1024)
        } else {
            #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
            let gib = mebibytes as f64 / 1024.0;
            format!("{gib:.1} GiB")
        }
    }
}

/// The page that a handler is about to make.
pub struct Ui {
    app: App,
    actor: Option<Arc<Actor>>,
    path: String,
    fragment: bool,
    notice: Option<String>,
}

/// The cookie that carries one sentence over a redirect.
const NOTICE: &str = "notice";

impl Ui {
    /// For a request, before it is taken apart.
    pub fn of(app: &App, request: &Request) -> Self {
        Self::new(app, request.uri().path(), request.headers(), request.extensions().get().cloned())
    }

    pub(crate) fn new(
        app: &App,
        path: &str,
        headers: &HeaderMap,
        actor: Option<Arc<Actor>>,
    ) -> Self {
        Self {
            app: app.clone(),
            actor,
            path: path.to_owned(),
            fragment: headers.contains_key("hx-request"),
            notice: axum_extra::extract::CookieJar::from_headers(headers)
                .get(NOTICE)
                .and_then(|cookie| percent_decode(cookie.value())),
        }
    }

    /// Whether htmx asks for a part of a page only.
    pub fn is_fragment(&self) -> bool {
        self.fragment
    }

    /// A whole page.
    pub fn page(&self, template: &str, with: impl Serialize) -> Result<Response> {
        self.answer(StatusCode::OK, template, with)
    }

    /// A page with another status: 422 for a form that has to be looked at again.
    pub fn answer(
        &self,
        status: StatusCode,
        template: &str,
        with: impl Serialize,
    ) -> Result<Response> {
        let html = self.app.templates.render(template, self.context(with))?;
        let mut response = (status, Html(html)).into_response();
        if self.notice.is_some() {
            let gone =
                HeaderValue::from_static("notice=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
            response.headers_mut().append(header::SET_COOKIE, gone);
        }
        Ok(response)
    }

    /// A template as text, for a stream. What htmx swaps alone is a template of its own, included by its page.
    pub fn text(&self, template: &str, with: impl Serialize) -> Result<String> {
        self.app.templates.render(template, self.context(with))
    }

    /// Why the actor may not do this there; `None` if they may. For the sentence beside a button that is off.
    pub fn why_not(&self, action: Action, scope: &Scope) -> Option<String> {
        can(self.actor.as_deref(), action, scope).err().map(|why| why.to_string())
    }

    fn context(&self, with: impl Serialize) -> Value {
        let may = |action| can(self.actor.as_deref(), action, &Scope::Site).is_ok();
        let me = self.actor.as_deref().map(|actor| {
            context! {
                login => actor.login.clone(),
                name => actor.name.clone(),
                role => actor.role.to_string(),
                see_people => may(Action::SeePeople),
                change_people => may(Action::ChangePeople),
                see_audit => may(Action::SeeAudit),
                create_environment => may(Action::CreateEnvironment),
                change_limits => may(Action::ChangeLimits),
            }
        });
        context! {
            me => me,
            path => self.path.clone(),
            notice => self.notice.clone(),
            ..Value::from(Serde(with))
        }
    }

    /// The answer to a request that was refused or failed.
    pub fn problem(&self, problem: &Problem, request: &str) -> Result<Response> {
        let title = match problem.status {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::FORBIDDEN => "Not allowed",
            StatusCode::UNAUTHORIZED => "Not signed in",
            StatusCode::TOO_MANY_REQUESTS => "Too often",
            StatusCode::CONFLICT => "Not possible now",
            StatusCode::SERVICE_UNAVAILABLE => "Busy",
            status if status.is_server_error() => "Something went wrong",
            _ => "That didn't work",
        };
        self.answer(
            problem.status,
            "problem.html",
            serde_json::json!({ "title": title, "problem": problem, "request": request }),
        )
    }
}

/// What is wrong with each field, for the form that is shown again.
pub fn errors(error: &Error) -> BTreeMap<&str, &str> {
    error.fields().iter().map(|field| (field.field.as_str(), field.detail.as_str())).collect()
}

/// On to another page after a change, with a sentence to show there.
pub fn done(to: &str, sentence: &str) -> Response {
    let value = url::form_urlencoded::byte_serialize(sentence.as_bytes()).collect::<String>();
    let cookie = format!("{NOTICE}={value}; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
    let mut response = Redirect::to(to).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn percent_decode(text: &str) -> Option<String> {
    url::form_urlencoded::parse(text.as_bytes()).next().map(|(sentence, _)| sentence.into_owned())
}

impl FromRequestParts<App> for Ui {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        Ok(Self::new(app, parts.uri.path(), &parts.headers, parts.extensions.get().cloned()))
    }
}
