//! AMQP through a WebSocket: the handshake that clients were seen to make, and
//! a stream of bytes from its binary messages.

use bytes::{Buf as _, Bytes};
use futures::{Sink as _, Stream as _};
use std::fmt::{self, Debug};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::sandbox::accept::Stream;

/// With and without a slash at its end.
const PATH: &str = "/$servicebus/websocket";
const PROTOCOLS: [&str; 2] = ["AMQPWSB10", "amqp"];
const PROTOCOL: &str = "sec-websocket-protocol";

/// Shakes hands, or answers what is wrong.
pub(super) async fn accept<S: Stream>(stream: S) -> Result<Through<S>, Error> {
    let socket = tokio_tungstenite::accept_hdr_async(stream, answer).await?;
    Ok(Through {
        socket,
        message: Bytes::new(),
    })
}

// The crate's own type of a refusal is that large.
#[allow(clippy::result_large_err)]
fn answer(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let refused = |status: StatusCode, text: &str| {
        let mut refused = ErrorResponse::new(Some(text.to_owned()));
        *refused.status_mut() = status;
        refused
    };
    if request.uri().path().trim_end_matches('/') != PATH {
        return Err(refused(StatusCode::NOT_FOUND, "no such path"));
    }
    let offered = request.headers().get_all(PROTOCOL);
    let mut offered = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    let chosen = offered.find_map(|offer| PROTOCOLS.into_iter().find(|known| *known == offer));
    let Some(chosen) = chosen else {
        return Err(refused(StatusCode::BAD_REQUEST, "no known sub-protocol"));
    };
    response
        .headers_mut()
        .insert(PROTOCOL, HeaderValue::from_static(chosen));
    Ok(response)
}

/// The bytes of binary messages.
pub(super) struct Through<S> {
    socket: WebSocketStream<S>,
    /// What is left of the message under way.
    message: Bytes,
}

#[cfg(test)]
impl<S> Through<S> {
    pub(super) fn of(socket: WebSocketStream<S>) -> Self {
        Self {
            socket,
            message: Bytes::new(),
        }
    }
}

impl<S> Debug for Through<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Through").finish_non_exhaustive()
    }
}

fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::ConnectionAborted.into(),
        error => io::Error::other(error),
    }
}

impl<S: Stream> AsyncRead for Through<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let through = self.get_mut();
        while through.message.is_empty() {
            match ready!(Pin::new(&mut through.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => through.message = bytes,
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
            }
        }
        let count = through.message.len().min(into.remaining());
        into.put_slice(through.message.get(..count).unwrap_or_default());
        through.message.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for Through<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut socket = Pin::new(&mut self.get_mut().socket);
        ready!(socket.as_mut().poll_ready(context)).map_err(broken)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        socket.start_send(message).map_err(broken)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = Pin::new(&mut self.get_mut().socket);
        socket.poll_flush(context).map_err(broken)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = Pin::new(&mut self.get_mut().socket);
        socket.poll_close(context).map_err(broken)
    }
}
