//! Sockets: TLS or plain, and on either AMQP at once or through a WebSocket,
//! told apart by what the peer says first.

use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::sandbox::event_hub::connection;
use crate::sandbox::event_hub::hub::Hub;
use crate::sandbox::event_hub::websocket;
use crate::sandbox::event_hub::wire::Stream;

const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause after a failed accept: usually file descriptors have run out.
const PAUSE: Duration = Duration::from_millis(50);
const AMQP: [u8; 4] = *b"AMQP";

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
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, hub: Arc<Hub>) {
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
        let (tls, hub) = (tls.clone(), hub.clone());
        connections.spawn(async move {
            let _latency_only = stream.set_nodelay(true);
            match tls {
                None => converse(stream, hub).await,
                Some(tls) => {
                    let shaken = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await;
                    if let Ok(Ok(stream)) = shaken {
                        converse(stream, hub).await;
                    }
                }
            }
        });
    }
}

async fn converse<S: Stream + 'static>(mut stream: S, hub: Arc<Hub>) {
    let mut first = [0; 4];
    let read = tokio::time::timeout(HANDSHAKE, stream.read_exact(&mut first)).await;
    if !matches!(read, Ok(Ok(_))) {
        return;
    }
    let (reader, writer) = tokio::io::split(stream);
    let stream = tokio::io::join(Cursor::new(first).chain(reader), writer);
    if first == AMQP {
        return connection::serve(hub, stream).await;
    }
    let shaken = tokio::time::timeout(HANDSHAKE, websocket::accept(stream)).await;
    if let Ok(Ok(through)) = shaken {
        connection::serve(hub, through).await;
    }
}
