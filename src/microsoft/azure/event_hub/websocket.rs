//! AMQP over WebSockets: its bytes as binary messages.
//!
//! Path and sub-protocol as Microsoft's JavaScript client asks for them.

use futures::{Sink, Stream, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

const PATH: &str = "/$servicebus/websocket";
const SUB_PROTOCOL: &str = "AMQPWSB10";

/// Largest message taken: many times a frame of AMQP.
const MOST_MESSAGE: usize = 4 << 20;

/// A byte stream of binary messages.
#[derive(Debug)]
pub(super) struct WebSocket<S> {
    inner: WebSocketStream<S>,
    /// Of the message read last, what is not taken yet.
    rest: Bytes,
}

/// Asks for WebSockets at `origin`, over a stream that leads there.
pub(super) async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    origin: &str,
    stream: S,
) -> Result<WebSocket<S>, String> {
    let refuse = |error: Error| match error {
        Error::Http(answer) => format!("answered {} instead of a WebSocket", answer.status()),
        other => format!("no WebSocket: {other}"),
    };
    let mut request = format!("{origin}{PATH}")
        .into_client_request()
        .map_err(refuse)?;
    let protocol = HeaderValue::from_static(SUB_PROTOCOL);
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", protocol);
    let config = WebSocketConfig::default()
        .max_message_size(Some(MOST_MESSAGE))
        .max_frame_size(Some(MOST_MESSAGE));
    let upgraded = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
    let (inner, _) = upgraded.map_err(refuse)?;
    Ok(WebSocket {
        inner,
        rest: Bytes::new(),
    })
}

#[cfg(test)]
impl<S> WebSocket<S> {
    /// The other side's.
    pub(super) fn of(inner: WebSocketStream<S>) -> Self {
        Self {
            inner,
            rest: Bytes::new(),
        }
    }
}

fn fault(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::NotConnected.into(),
        other => io::Error::other(other),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.rest = bytes,
                Some(Ok(Message::Text(_))) => {
                    let why = "a text message, where AMQP has binary ones";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
                }
                // Answered by the library.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(fault(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let most = self.rest.len().min(into.remaining());
        into.put_slice(&self.rest.split_to(most));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(fault)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        let sent = Pin::new(&mut self.inner).start_send(message);
        Poll::Ready(sent.map(|()| bytes.len()).map_err(fault))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx).map_err(fault)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx).map_err(fault)
    }
}
