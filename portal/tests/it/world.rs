//! A portal with nobody in it yet, and how tests talk to it.

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use kubesmith_portal::config::Config;
use kubesmith_portal::{App, serve};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// A portal in a folder of its own.
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) folder: TempDir,
    router: Router,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

/// A valid configuration whose folder is this one.
pub(crate) fn config(folder: &TempDir) -> Config {
    let mut config = Config::parse(kubesmith_portal::config::COMMENTED).expect("valid");
    config.data = folder.path().join("data");
    config
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let app = App::open(config(&folder)).await.expect("opened");
        let router = serve::router(&app);
        Self { app, folder, router }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).expect("a request")).await
    }
}
