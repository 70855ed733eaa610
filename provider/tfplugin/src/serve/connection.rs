//! Connections from the host: accepted, authenticated, handed to the gRPC server.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::Sender;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

/// How long a peer may take to authenticate.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that may be used.
pub(super) struct Connection(BufWriter<Either<TlsStream<UnixStream>, UnixStream>>);

/// What is written at once. An answer comes in several frames, which the host would take notice of one by one.
const BUFFER: usize = 16 << 10;

impl Connection {
    fn new(stream: Either<TlsStream<UnixStream>, UnixStream>) -> Self {
        Self(BufWriter::with_capacity(BUFFER, stream))
    }
}

/// Accepts until told to stop. With an acceptor, who does not authenticate gets no answer.
pub(super) async fn accept(
    listener: UnixListener,
    tls: Option<TlsAcceptor>,
    connections: Sender<io::Result<Connection>>,
    stop: CancellationToken,
) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(fault) => {
                    tracing::warn!("cannot accept a connection: {fault}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let (tls, connections) = (tls.clone(), connections.clone());
        tokio::spawn(async move {
            let Some(tls) = tls else {
                let _ = connections.send(Ok(Connection::new(Either::Right(stream)))).await;
                return;
            };
            match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let _ = connections.send(Ok(Connection::new(Either::Left(stream)))).await;
                }
                Ok(Err(fault)) => tracing::warn!("refused a connection: {fault}"),
                Err(_) => tracing::warn!("refused a connection: it did not authenticate in time"),
            }
        });
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
