//! AMQP on each connection, at once or through a WebSocket, told apart by what the peer
//! says first.

use std::io::Cursor;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;

use crate::sandbox::accept::{HANDSHAKE, Protocol, Stream};
use crate::sandbox::event_hub::connection;
use crate::sandbox::event_hub::hub::Hub;
use crate::sandbox::event_hub::websocket;

const AMQP: [u8; 4] = *b"AMQP";

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
