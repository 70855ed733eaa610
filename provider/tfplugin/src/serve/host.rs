//! The two services of the plugin host beside the provider.

use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use crate::wire::plugin::{Empty, StdioData, grpc_controller_server, grpc_stdio_server};

/// Ends the process when the host says so.
pub(super) struct Controller(pub(super) CancellationToken);

#[tonic::async_trait]
impl grpc_controller_server::GrpcController for Controller {
    async fn shutdown(&self, _request: Request<Empty>) -> Result<Response<Empty>, Status> {
        tracing::trace!("the host asks for shutdown");
        self.0.cancel();
        Ok(Response::new(Empty {}))
    }
}

/// A stream that says nothing until the end: it only keeps the host's connection from idling.
pub(super) struct Stdio(pub(super) CancellationToken);

#[tonic::async_trait]
impl grpc_stdio_server::GrpcStdio for Stdio {
    async fn stream_stdio(
        &self,
        _request: Request<()>,
    ) -> Result<Response<BoxStream<StdioData>>, Status> {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let stop = self.0.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sender.closed() => {}
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
