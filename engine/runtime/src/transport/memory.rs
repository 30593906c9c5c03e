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

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};

    use super::*;

    #[tokio::test]
    async fn each_direction_holds_what_it_may() {
        let (mut transport, mut peer) = memory(1);
        transport.send(WireMessage::text("out")).await.unwrap();
        let mut full = transport.send(WireMessage::text("waits"));
        assert_eq!((&mut full).now_or_never().map(|sent| sent.is_ok()), None);
        assert_eq!(peer.recv().await, Some(WireMessage::text("out")));
        full.await.unwrap();

        peer.send(WireMessage::binary(vec![1])).await.unwrap();
        assert!(
            peer.send(WireMessage::text("waits"))
                .now_or_never()
                .is_none()
        );
        let received = transport.next().await.unwrap().unwrap();
        assert_eq!(received, WireMessage::binary(vec![1]));
    }

    #[tokio::test]
    async fn both_ends_learn_of_the_other_one_closing() {
        let (mut transport, mut peer) = memory(2);
        transport.send(WireMessage::text("bye")).await.unwrap();
        transport.close().await.unwrap();
        assert_eq!(peer.recv().await, Some(WireMessage::text("bye")));
        assert_eq!(peer.recv().await, None);
        peer.send(WireMessage::text("bye")).await.unwrap();
        drop(peer);
        assert!(transport.next().await.unwrap().is_ok());
        assert!(transport.next().await.is_none());

        let (transport, peer) = memory(2);
        drop(transport);
        assert!(peer.send(WireMessage::text("?")).await.is_err());
    }

    #[tokio::test]
    async fn a_reset_arrives_after_what_was_sent() {
        let (mut transport, peer) = memory(2);
        peer.send(WireMessage::text("mid-")).await.unwrap();
        peer.reset(TransportError::TooLong { size: 2, max: 1 })
            .await;
        assert!(transport.next().await.unwrap().is_ok());
        let error = transport.next().await.unwrap().unwrap_err();
        assert!(matches!(error, TransportError::TooLong { size: 2, max: 1 }));
        assert!(transport.next().await.is_none());
    }
}
