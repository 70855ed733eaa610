//! The process around a provider: from `main` to the last call, the way Terraform's plugin host
//! wants it.

mod connection;
mod handshake;
mod host;
mod lifetime;
mod logging;
mod tls;

use std::io::Write as _;
use std::process::ExitCode;

use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;

use crate::provider::Provider;
use crate::service::Service;
use crate::wire::plugin::grpc_controller_server::GrpcControllerServer;
use crate::wire::plugin::grpc_stdio_server::GrpcStdioServer;
use crate::wire::tfplugin6::provider_server::{Provider as ProviderRpc, ProviderServer};
use handshake::{Mode, Socket};

/// The message limit of Terraform's own providers.
const MAX_MESSAGE: usize = 256 << 20;

/// Serves the provider to Terraform until Terraform is done with it: the whole of `main`.
///
/// `address` is the provider's, for instance `registry.terraform.io/example/wall`. With the
/// argument `--debug` the process serves one or more commands that are run with the
/// `TF_REATTACH_PROVIDERS` that it prints, until it is interrupted.
pub fn serve(address: &str, provider: impl Provider) -> ExitCode {
    let service = Service::new(provider);
    let (tasks, cancel) = (service.tasks(), service.canceller());
    host(address, service, tasks, cancel)
}

/// Serves any implementation of the calls; `tasks` are waited for at the end, after `cancel`.
pub(crate) fn host(
    address: &str,
    service: impl ProviderRpc,
    tasks: TaskTracker,
    cancel: impl Fn() + Send + Sync + 'static,
) -> ExitCode {
    logging::start(address);
    let mode = match Mode::from_environment(std::env::args().any(|word| word == "--debug")) {
        Ok(mode) => mode,
        Err(sentence) => {
            let _ = writeln!(std::io::stderr(), "{sentence}");
            return ExitCode::FAILURE;
        }
    };
    // Two threads: the second answers StopProvider while author code keeps the first one busy.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime needs nothing but threads and a poller");
    let outcome = runtime.block_on(run(address, mode, service, tasks, cancel));
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            let _ = writeln!(std::io::stderr(), "The provider cannot serve Terraform: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run(
    address: &str,
    mode: Mode,
    service: impl ProviderRpc,
    tasks: TaskTracker,
    cancel: impl Fn() + Send + Sync + 'static,
) -> Result<(), Box<dyn std::error::Error>> {
    let stop = CancellationToken::new();
    let socket = Socket::bind()?;
    lifetime::watch(&mode, stop.clone(), cancel, socket.directory())?;

    let (tls, certificate) = match mode.client_certificate() {
        Some(client) => {
            let (acceptor, certificate) = tls::acceptor(client)?;
            (Some(acceptor), Some(certificate))
        }
        None => (None, None),
    };
    let (connections, incoming) = tokio::sync::mpsc::channel(16);
    let listening = connection::accept(socket.listener()?, tls, connections, stop.clone());
    let listening = tokio::spawn(listening);
    handshake::announce(&mode, address, &socket.path(), certificate.as_deref())?;

    Server::builder()
        .add_service(
            ProviderServer::new(service)
                .max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE),
        )
        .add_service(GrpcControllerServer::new(host::Controller(stop.clone())))
        .add_service(GrpcStdioServer::new(host::Stdio(stop.clone())))
        .serve_with_incoming_shutdown(ReceiverStream::new(incoming), stop.cancelled_owned())
        .await?;
    listening.abort();
    // They have been cancelled, and the backstop limits how long they may take.
    tasks.close();
    tasks.wait().await;
    Ok(())
}
