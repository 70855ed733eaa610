//! Bodies and queries, whose rejections are our [`Error`] like everything else.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::Error;

/// A JSON body, or a JSON answer.
#[derive(Debug, FromRequest)]
#[from_request(via(axum::Json), rejection(Error))]
pub struct Json<T>(pub T);

impl<T: serde::Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A submitted form; a field may come several times.
#[derive(Debug, FromRequest)]
#[from_request(via(axum_extra::extract::Form), rejection(Error))]
pub struct Form<T>(pub T);

/// The query string.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Error))]
pub struct Query<T>(pub T);

/// What stands in the path. A text that can't be an identifier names nothing.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Error))]
pub struct Path<T>(pub T);

impl From<PathRejection> for Error {
    fn from(_: PathRejection) -> Self {
        Self::not_found()
    }
}

impl From<JsonRejection> for Error {
    fn from(rejection: JsonRejection) -> Self {
        malformed(rejection.status(), &rejection.body_text())
    }
}

impl From<axum_extra::extract::FormRejection> for Error {
    fn from(rejection: axum_extra::extract::FormRejection) -> Self {
        malformed(rejection.status(), &rejection.body_text())
    }
}

impl From<QueryRejection> for Error {
    fn from(rejection: QueryRejection) -> Self {
        malformed(rejection.status(), &rejection.body_text())
    }
}

fn malformed(status: StatusCode, text: &str) -> Error {
    Error::new(status, "malformed", text)
}
