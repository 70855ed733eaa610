//! One call of the API, from its path to its answer's data.

use reqwest::Method;

use crate::wire;

/// A call: method, path, parameters. They travel in the query for GET and DELETE and in a form otherwise.
pub(crate) struct Request {
    pub(super) method: Method,
    /// Encoded segments below `/api2/json`.
    pub(super) path: Vec<String>,
    pub(super) parameters: Vec<(String, String)>,
}

pub(crate) struct Answer<T> {
    pub(crate) data: T,
    /// The server's clock, in seconds since 1970.
    pub(crate) server_time: Option<i64>,
}

pub(crate) fn get(path: &[&str]) -> Request {
    Request::new(Method::GET, path)
}

pub(crate) fn post(path: &[&str]) -> Request {
    Request::new(Method::POST, path)
}

pub(crate) fn put(path: &[&str]) -> Request {
    Request::new(Method::PUT, path)
}

pub(crate) fn delete(path: &[&str]) -> Request {
    Request::new(Method::DELETE, path)
}

impl Request {
    fn new(method: Method, path: &[&str]) -> Self {
        Self {
            method,
            path: path.iter().map(|segment| wire::encode(segment)).collect(),
            parameters: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn with_all(mut self, parameters: Vec<(String, String)>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// The node that has to do the work, or nothing if any of them does it.
    pub(super) fn node(&self) -> &str {
        match &self.path[..] {
            [nodes, node, ..] if nodes == "nodes" => node,
            _ => "",
        }
    }

    pub(super) fn shown_path(&self) -> String {
        format!(
            "/{}",
            self.path.iter().map(|segment| wire::decode(segment)).collect::<Vec<_>>().join("/")
        )
    }
}
