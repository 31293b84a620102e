//! Sockets, and on each AMQP at once or through a WebSocket, told apart by what the
//! peer says first.

use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::sandbox::accept::{HANDSHAKE, Protocol, Stream};
use crate::sandbox::event_hub::connection;
use crate::sandbox::event_hub::hub::Hub;
use crate::sandbox::event_hub::websocket;

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

impl Protocol for Arc<Hub> {
    async fn converse(self, mut stream: impl Stream + 'static) {
        let mut first = [0; 4];
        let read = tokio::time::timeout(HANDSHAKE, stream.read_exact(&mut first)).await;
        if !matches!(read, Ok(Ok(_))) {
            return;
        }
        let (reader, writer) = tokio::io::split(stream);
        let stream = tokio::io::join(Cursor::new(first).chain(reader), writer);
        if first == AMQP {
            return connection::serve(self, stream).await;
        }
        let shaken = tokio::time::timeout(HANDSHAKE, websocket::accept(stream)).await;
        if let Ok(Ok(through)) = shaken {
            connection::serve(self, through).await;
        }
    }
}
