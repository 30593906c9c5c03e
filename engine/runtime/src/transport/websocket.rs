//! WebSockets of axum and of tokio-tungstenite.

use std::{
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio_tungstenite::tungstenite as ts;

use super::{FrameKind, Transport, TransportError, WireMessage};

/// A transport over axum's WebSocket. Set the longest message the socket takes on the upgrade
/// (`WebSocketUpgrade::max_message_size`): a longer one ends the call.
#[cfg(feature = "axum")]
#[must_use]
pub fn axum(socket: axum::extract::ws::WebSocket) -> impl Transport {
    MessageSocket::<_, axum::extract::ws::Message> {
        socket,
        message: PhantomData,
    }
}

/// A transport over tokio-tungstenite's WebSocket. Set the longest message the socket takes in
/// its `WebSocketConfig`: a longer one ends the call.
#[cfg(feature = "tungstenite")]
#[must_use]
pub fn tungstenite<S>(socket: tokio_tungstenite::WebSocketStream<S>) -> impl Transport
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    MessageSocket::<_, ts::Message> {
        socket,
        message: PhantomData,
    }
}

/// A WebSocket that speaks `M`, as a transport.
struct MessageSocket<S, M> {
    socket: S,
    message: PhantomData<fn(M) -> M>,
}

/// A WebSocket library's message.
trait SocketMessage: Sized {
    type Error;

    fn receive(self) -> Received;
    fn text(payload: Bytes) -> Result<Self, TransportError>;
    fn binary(payload: Bytes) -> Self;
    fn failure(error: Self::Error) -> TransportError;
}

/// What a received message means to the engine.
enum Received {
    Message(WireMessage),
    /// The socket's own business: pings and pongs.
    Control,
    Close,
}

impl<S, M> Stream for MessageSocket<S, M>
where
    S: Stream<Item = Result<M, M::Error>> + Unpin,
    M: SocketMessage,
{
    type Item = Result<WireMessage, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(self.socket.poll_next_unpin(cx)) {
                Some(Ok(message)) => match message.receive() {
                    Received::Message(message) => return Poll::Ready(Some(Ok(message))),
                    Received::Control => {}
                    Received::Close => return Poll::Ready(None),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(M::failure(error)))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<S, M> Sink<WireMessage> for MessageSocket<S, M>
where
    S: Sink<M, Error = M::Error> + Unpin,
    M: SocketMessage,
{
    type Error = TransportError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.socket.poll_ready_unpin(cx).map_err(M::failure)
    }

    fn start_send(mut self: Pin<&mut Self>, message: WireMessage) -> Result<(), Self::Error> {
        let message = match message.kind {
            FrameKind::Text => M::text(message.payload)?,
            FrameKind::Binary => M::binary(message.payload),
        };
        self.socket.start_send_unpin(message).map_err(M::failure)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.socket.poll_flush_unpin(cx).map_err(M::failure)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.socket.poll_close_unpin(cx).map_err(M::failure)
    }
}

impl SocketMessage for ts::Message {
    type Error = ts::Error;

    fn receive(self) -> Received {
        match self {
            Self::Text(text) => received(FrameKind::Text, text.into()),
            Self::Binary(bytes) => received(FrameKind::Binary, bytes),
            Self::Close(_) => Received::Close,
            Self::Ping(_) | Self::Pong(_) | Self::Frame(_) => Received::Control,
        }
    }

    fn text(payload: Bytes) -> Result<Self, TransportError> {
        let text = payload.try_into().map_err(TransportError::broken)?;
        Ok(Self::Text(text))
    }

    fn binary(payload: Bytes) -> Self {
        Self::Binary(payload)
    }

    fn failure(error: Self::Error) -> TransportError {
        match error {
            ts::Error::Capacity(ts::error::CapacityError::MessageTooLong { size, max_size }) => {
                TransportError::TooLong {
                    size,
                    max: max_size,
                }
            }
            error => TransportError::broken(error),
        }
    }
}

#[cfg(feature = "axum")]
impl SocketMessage for axum::extract::ws::Message {
    type Error = axum::Error;

    fn receive(self) -> Received {
        match self {
            Self::Text(text) => received(FrameKind::Text, text.into()),
            Self::Binary(bytes) => received(FrameKind::Binary, bytes),
            Self::Close(_) => Received::Close,
            Self::Ping(_) | Self::Pong(_) => Received::Control,
        }
    }

    fn text(payload: Bytes) -> Result<Self, TransportError> {
        let text = payload.try_into().map_err(TransportError::broken)?;
        Ok(Self::Text(text))
    }

    fn binary(payload: Bytes) -> Self {
        Self::Binary(payload)
    }

    fn failure(error: Self::Error) -> TransportError {
        // axum wraps the error of the tungstenite it is built on.
        match error.into_inner().downcast::<ts::Error>() {
            Ok(error) => ts::Message::failure(*error),
            Err(error) => TransportError::broken(error),
        }
    }
}

fn received(kind: FrameKind, payload: Bytes) -> Received {
    Received::Message(WireMessage { kind, payload })
}
