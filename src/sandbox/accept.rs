//! Connections of a listener: TLS or plain, until dropped, whatever is spoken on them.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause after a failed accept: usually file descriptors have run out.
const PAUSE: Duration = Duration::from_millis(50);

/// A connection's way, whatever it goes through.
pub(super) trait Stream: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Unpin> Stream for S {}

/// What is spoken on a connection.
pub(super) trait Protocol: Clone + Send + 'static {
    fn converse(self, stream: impl Stream + 'static) -> impl Future<Output = ()> + Send;
}

/// A listener, and where it listens.
pub(super) async fn bind(
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), (SocketAddr, io::Error)> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bound.await.map_err(|error| (address, error))
}

/// Serves for as long as the future is polled; open connections end with it.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    protocol: impl Protocol,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (tls, protocol) = (tls.clone(), protocol.clone());
        connections.spawn(async move {
            // Nagle would hold back the last packet of every answer.
            let _latency_only = stream.set_nodelay(true);
            match tls {
                None => protocol.converse(stream).await,
                Some(tls) => {
                    let shaken = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await;
                    if let Ok(Ok(stream)) = shaken {
                        protocol.converse(stream).await;
                    }
                }
            }
        });
    }
}
