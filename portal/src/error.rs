//! The one error of handlers: a status, a stable code for programs, a sentence for people.
//!
//! A handler returns it; [`crate::gate`] makes a page or a problem document of it, whichever was asked for. What went wrong
//! inside is logged and never sent.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use crate::rights::WhyNot;

/// What handlers return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request was not served.
#[derive(Debug, Clone)]
pub struct Error(Box<Problem>);

/// What the answer says.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// The HTTP status.
    #[serde(skip)]
    pub status: StatusCode,
    /// Stable, for programs: `name_taken`.
    pub code: &'static str,
    /// For people, with the next step.
    pub detail: String,
    /// What is wrong with single fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// When to ask again, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name in the form or the document.
    pub field: String,
    /// The sentence beside it.
    pub detail: String,
}

impl Field {
    /// A field and what is wrong with it.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }
}

impl Error {
    /// Any status with a code and a sentence.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem {
            status,
            code,
            detail: detail.into(),
            fields: Vec::new(),
            retry_after: None,
        }))
    }

    /// 404: it isn't there, or the actor may not know.
    pub fn not_found() -> Self {
        WhyNot::NotVisible.into()
    }

    /// 409: it can't be done as things stand.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422: fields are wrong.
    pub fn invalid(fields: Vec<Field>) -> Self {
        let detail = match fields.as_slice() {
            [one] => format!("{}: {}", one.field, one.detail),
            several => format!("{} fields need another look.", several.len()),
        };
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail);
        error.0.fields = fields;
        error
    }

    /// 429: too often.
    pub fn too_many(detail: impl Into<String>, retry_after: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", detail).again_in(retry_after)
    }

    /// The same, with when to ask again, in seconds.
    #[must_use]
    pub fn again_in(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// 500: our fault. The cause goes to the log only.
    pub fn internal(cause: impl std::fmt::Debug) -> Self {
        tracing::error!(?cause, "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong in the portal. Try again; if it stays, give the request's number to an administrator.",
        )
    }

    /// What the answer says.
    pub fn problem(&self) -> &Problem {
        &self.0
    }

    /// The same as problems of a form, if it is one.
    pub fn fields(&self) -> &[Field] {
        &self.0.fields
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl From<WhyNot> for Error {
    fn from(why: WhyNot) -> Self {
        let (status, code) = match &why {
            WhyNot::NotSignedIn => (StatusCode::UNAUTHORIZED, "not_signed_in"),
            WhyNot::NotVisible => (StatusCode::NOT_FOUND, "not_found"),
            WhyNot::KeyScope(_) | WhyNot::NoKey => (StatusCode::FORBIDDEN, "key_scope"),
            WhyNot::Role { .. }
            | WhyNot::Member { .. }
            | WhyNot::AdminOnly
            | WhyNot::Level { .. } => (StatusCode::FORBIDDEN, "not_allowed"),
        };
        Self::new(status, code, why.to_string())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::RowNotFound => Self::not_found(),
            other => Self::internal(other),
        }
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::internal(error)
    }
}

impl From<minijinja::Error> for Error {
    fn from(error: minijinja::Error) -> Self {
        Self::internal(error)
    }
}

impl IntoResponse for Error {
    /// Bare: the gate, which knows who asked and for what, fills in the body.
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
