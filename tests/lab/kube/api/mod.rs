//! The Kubernetes API that the control plane's stand-in kubelet serves: real TLS, identities, RBAC, objects and watches.
//!
//! Enough of it for a real kubectl. Everything is JSON in one store; there is no schema, no admission and no quota.

mod access;
mod authentication;
mod certificates;
mod clients;
mod controllers;
mod defaults;
mod discovery;
mod handle;
mod nodes;
mod patch;
mod protobuf;
mod quotas;
mod reply;
mod resources;
mod route;
mod select;
mod services;
mod store;
mod table;
mod watch;
mod workloads;

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{RootCertStore, crypto::ring, server::WebPkiClientVerifier};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use tokio::net::TcpListener;

pub(super) use authentication::data as secret_field;
use clients::Clients;
pub(super) use controllers::{detached_signature, token_secret};
pub(super) use defaults::nth_address;
use store::Store;

use super::{
    paths,
    pki::{self, Pair},
};

/// What every request needs.
struct Server {
    store: Arc<Store>,
    /// Signs the certificates that nodes and users ask for.
    authority: Pair,
    version: String,
}

/// How the API is served; taken from the kube-apiserver's static pod manifest.
pub(super) struct Options {
    pub(super) address: SocketAddr,
    pub(super) service_subnet: String,
    pub(super) pod_subnet: Option<String>,
    pub(super) version: String,
}

/// Serves the API until the future is dropped.
pub(super) async fn serve(options: Options) -> anyhow::Result<()> {
    let authority = Pair {
        certificate: paths::read(&format!("{}/ca.crt", paths::PKI))?,
        key: paths::read(&format!("{}/ca.key", paths::PKI))?,
    };
    let clients = Arc::new(clients(&authority)?);
    let acceptor = acceptor(Arc::clone(&clients))?;
    let store = Arc::new(Store::open(&paths::under_root(paths::STORE))?);
    defaults::bootstrap(&store, &options);
    // All addresses, as the real one: probes come to loopback.
    let listener = TcpListener::bind(("0.0.0.0", options.address.port()))
        .await
        .with_context(|| format!("failed to listen on port {}", options.address.port()))?;
    tracing::info!(address = %options.address, "serving the API");
    let server =
        Arc::new(Server { store: Arc::clone(&store), authority, version: options.version });
    tokio::select! {
        () = accept(server, clients, acceptor, listener) => {}
        () = controllers::run(&store, options.pod_subnet.as_deref()) => {}
    }
    Ok(())
}

async fn accept(
    server: Arc<Server>,
    clients: Arc<Clients>,
    acceptor: tokio_rustls::TlsAcceptor,
    listener: TcpListener,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        while connections.try_join_next().is_some() {}
        let (server, clients) = (Arc::clone(&server), Arc::clone(&clients));
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let peer = Arc::new(clients.judge(stream.get_ref().1.peer_certificates()));
            let service = service_fn(move |request| {
                let (server, peer) = (Arc::clone(&server), Arc::clone(&peer));
                async move { Ok::<_, Infallible>(handle::handle(&server, &peer, request).await) }
            });
            let connection = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a connection to the API ended early");
            }
        });
    }
}

fn clients(authority: &Pair) -> anyhow::Result<Clients> {
    let mut roots = RootCertStore::empty();
    for certificate in pki::certificates(&authority.certificate)? {
        roots.add(certificate).context("the cluster's authority is not usable")?;
    }
    let provider = Arc::new(ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map(Clients)
        .context("failed to set up the check of client certificates")
}

fn acceptor(clients: Arc<Clients>) -> anyhow::Result<tokio_rustls::TlsAcceptor> {
    let provider = Arc::new(ring::default_provider());
    let certificate = paths::read(&format!("{}/apiserver.crt", paths::PKI))?;
    let key = paths::read(&format!("{}/apiserver.key", paths::PKI))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| anyhow::anyhow!("failed to read apiserver.key: {error}"))?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("failed to set up TLS")?
        .with_client_cert_verifier(clients)
        .with_single_cert(pki::certificates(&certificate)?, key)
        .context("the API server's certificate is not usable")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tokio_rustls::TlsAcceptor::from(Arc::new(config)))
}
