//! The portal as a server.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::{App, routes};

/// Serves until the process is asked to end.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let app = App::open(config).await?;
    let listener = TcpListener::bind(app.config.listen)
        .await
        .with_context(|| format!("could not listen on {}", app.config.listen))?;
    tracing::info!(address = %listener.local_addr()?, url = %app.config.public_url, "serving");
    let service = router(&app).into_make_service_with_connect_info::<SocketAddr>();
    let stopping = app.stopping.clone();
    axum::serve(listener, service)
        .with_graceful_shutdown(async move { stopping.cancelled().await })
        .await?;
    app.store.close().await;
    Ok(())
}

/// All routes with everything around them.
pub fn router(app: &App) -> Router {
    routes::router(app)
}
