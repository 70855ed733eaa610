//! What was asked of the API, for tests that care about the requests themselves.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// One request.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: String,
    /// Below `/api2/json`, with the query.
    pub path: String,
    /// Status of the answer.
    pub status: u16,
    /// Reason phrase of the answer, where the error texts are.
    pub reason: String,
    /// Seconds since 1970.
    pub at: u64,
}

/// All requests in the order of their answers.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Vec<Request>>);

impl Journal {
    pub(crate) fn add(&self, request: Request) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    pub(crate) fn all(&self) -> Vec<Request> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
