//! A socket within the process, for tests and for callers that live beside the engine.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Sink, Stream};
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

use super::{TransportError, WireMessage};

/// A connected pair: the engine's end and the leg's. Each direction holds at most `capacity`
/// messages; then its sender waits, as on a socket whose peer does not read.
///
/// # Panics
///
/// If `capacity` is 0.
#[must_use]
pub fn memory(capacity: usize) -> (MemoryTransport, MemoryPeer) {
    let (to_engine, from_peer) = mpsc::channel(capacity);
    let (to_peer, from_engine) = mpsc::channel(capacity);
    let transport = MemoryTransport {
        incoming: from_peer,
        outgoing: PollSender::new(to_peer),
    };
    let peer = MemoryPeer {
        incoming: from_engine,
        outgoing: to_engine,
    };
    (transport, peer)
}

/// The engine's end of a [`memory`] pair.
#[derive(Debug)]
pub struct MemoryTransport {
    incoming: mpsc::Receiver<Result<WireMessage, TransportError>>,
    outgoing: PollSender<WireMessage>,
}

/// The leg's end of a [`memory`] pair. Dropping it closes the leg's socket.
#[derive(Debug)]
pub struct MemoryPeer {
    incoming: mpsc::Receiver<WireMessage>,
    outgoing: mpsc::Sender<Result<WireMessage, TransportError>>,
}

impl MemoryPeer {
    /// Sends to the engine; waits while `capacity` messages are unread.
    ///
    /// # Errors
    ///
    /// [`TransportError::Broken`] once the engine has closed its end.
    pub async fn send(&self, message: WireMessage) -> Result<(), TransportError> {
        self.outgoing.send(Ok(message)).await.map_err(|_| gone())
    }

    /// Receives from the engine; `None` once it has closed its end and everything was read.
    pub async fn recv(&mut self) -> Option<WireMessage> {
        self.incoming.recv().await
    }

    /// Closes the socket as a broken network does: the engine receives `error`. Messages on
    /// their way to the engine arrive first.
    pub async fn reset(self, error: TransportError) {
        // An engine that has closed its end needs no news of it.
        let _ = self.outgoing.send(Err(error)).await;
    }
}

impl Stream for MemoryTransport {
    type Item = Result<WireMessage, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll_recv(cx)
    }
}

impl Sink<WireMessage> for MemoryTransport {
    type Error = TransportError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.outgoing.poll_reserve(cx).map_err(|_| gone())
    }

    fn start_send(mut self: Pin<&mut Self>, message: WireMessage) -> Result<(), Self::Error> {
        self.outgoing.send_item(message).map_err(|_| gone())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.outgoing.close();
        Poll::Ready(Ok(()))
    }
}

fn gone() -> TransportError {
    TransportError::broken(io::Error::from(io::ErrorKind::BrokenPipe))
}
