//! A call's socket, with what waits to be sent on it.

use std::{
    collections::VecDeque,
    error::Error as _,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use sidetone_core::dialect::{Dialect, Outbound};
use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::transport::{Transport, TransportError, WireMessage};

/// What a leg may cost while it does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LegLimits {
    /// A socket that takes nothing for this long, although there is something to send, has
    /// stalled. Default: 5 s.
    pub stall: Duration,
    /// A socket that leaves more than this unsent has stalled, in bytes. Default: 256 KiB, about
    /// 20 s of audio.
    pub queued_bytes: usize,
    /// How long a closed call waits for its leg to say goodbye. Default: 1 s.
    pub close: Duration,
}

impl Default for LegLimits {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(5),
            queued_bytes: 256 * 1024,
            close: Duration::from_secs(1),
        }
    }
}

/// A call's socket.
///
/// Messages wait in a bounded queue while the socket is busy, and only when everything handed to
/// it has left is the next batch handed over: until then a clear can still overtake them.
pub(crate) struct Leg {
    transport: Pin<Box<dyn Transport>>,
    limits: LegLimits,
    queue: VecDeque<WireMessage>,
    queued_bytes: usize,
    /// The socket holds messages that it has not sent yet.
    flushing: bool,
    /// Since when the socket has taken nothing although something is to be sent.
    blocked_since: Option<Instant>,
    /// Sending failed. What the leg said before may still be unread.
    send_failed: bool,
    /// The leg said goodbye or its socket broke.
    gone: bool,
    scratch: Vec<u8>,
}

impl Leg {
    pub(crate) fn new(transport: impl Transport, limits: LegLimits) -> Self {
        Self {
            transport: Box::pin(transport),
            limits,
            queue: VecDeque::new(),
            queued_bytes: 0,
            flushing: false,
            blocked_since: None,
            send_failed: false,
            gone: false,
            scratch: Vec::new(),
        }
    }

    /// Queues a message. A clear takes the place of everything that still waits: what it would
    /// make the leg forget need not be sent.
    pub(crate) fn push(&mut self, dialect: &mut dyn Dialect, message: &Outbound) {
        if matches!(message, Outbound::Clear) {
            self.queue.clear();
            self.queued_bytes = 0;
        }
        self.scratch.clear();
        let kind = dialect.write(message, &mut self.scratch);
        self.queued_bytes += self.scratch.len();
        let payload = Bytes::copy_from_slice(&self.scratch);
        self.queue.push_back(WireMessage { kind, payload });
    }

    /// When the leg has stalled, unless it takes something before.
    pub(crate) fn stall_deadline(&self) -> Option<Instant> {
        let since = self.blocked_since?;
        let overflowed = self.queued_bytes > self.limits.queued_bytes;
        Some(if overflowed {
            since
        } else {
            since + self.limits.stall
        })
    }

    /// Sends what waits; ready once nothing is left to send.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.send_failed || self.gone {
            return Poll::Ready(());
        }
        match self.poll_send_batches(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(error)) => {
                log_failure(&error);
                self.send_failed = true;
                Poll::Ready(())
            }
            Poll::Pending => {
                self.blocked_since.get_or_insert_with(Instant::now);
                Poll::Pending
            }
        }
    }

    fn poll_send_batches(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        loop {
            if self.flushing {
                ready!(self.transport.as_mut().poll_flush(cx))?;
                self.flushing = false;
                self.blocked_since = None;
            }
            if self.queue.is_empty() {
                return Poll::Ready(Ok(()));
            }
            while !self.queue.is_empty() {
                ready!(self.transport.as_mut().poll_ready(cx))?;
                self.blocked_since = None;
                if let Some(message) = self.queue.pop_front() {
                    self.queued_bytes -= message.payload.len();
                    self.transport.as_mut().start_send(message)?;
                }
            }
            self.flushing = true;
        }
    }

    /// Receives the next message; `None` once, when the leg said goodbye or went away. What it
    /// said before a failure to send is received first.
    pub(crate) fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<WireMessage, TransportError>>> {
        if self.gone {
            return Poll::Pending;
        }
        let received = match self.transport.as_mut().poll_next(cx) {
            Poll::Pending if self.send_failed => None,
            polled => ready!(polled),
        };
        if let Some(Err(error)) = &received {
            log_failure(error);
        }
        self.gone = !matches!(received, Some(Ok(_)));
        Poll::Ready(received)
    }

    /// Sends what waits, says goodbye and waits for the leg to do the same: a socket closed with
    /// something unread in it would be reset, and the leg could lose the end of what was said.
    /// Gives up after [`LegLimits::close`].
    pub(crate) async fn close(mut self) {
        let limit = self.limits.close;
        let goodbye = async {
            poll_fn(|cx| self.poll_send(cx)).await;
            poll_fn(|cx| self.transport.as_mut().poll_close(cx)).await?;
            while !self.gone {
                poll_fn(|cx| self.poll_recv(cx)).await.transpose()?;
            }
            Ok::<(), TransportError>(())
        };
        // The call is over: how its socket went down no longer matters.
        let _ = timeout(limit, goodbye).await;
    }
}

fn log_failure(error: &TransportError) {
    debug!(%error, source = error.source(), "leg failed");
}

#[cfg(test)]
mod tests {
    use std::{task::Waker, time::Duration};

    use sidetone_core::dialect::{DialectError, FrameKind, LegMessage};

    use super::*;
    use crate::transport::{MemoryPeer, memory};

    /// Writes what a message is, and nothing else.
    struct Plain;

    impl Dialect for Plain {
        fn parse<'a>(&'a mut self, _: &'a [u8]) -> Result<LegMessage<'a>, DialectError> {
            unreachable!("a leg does not parse")
        }

        fn write(&mut self, message: &Outbound, out: &mut Vec<u8>) -> FrameKind {
            match message {
                Outbound::Media { payload } => out.extend_from_slice(payload),
                Outbound::Mark { name } => out.extend_from_slice(name.as_bytes()),
                _ => out.extend_from_slice(b"clear"),
            }
            FrameKind::Text
        }
    }

    fn leg(capacity: usize, limits: LegLimits) -> (Leg, MemoryPeer) {
        let (transport, peer) = memory(capacity);
        (Leg::new(transport, limits), peer)
    }

    fn media(leg: &mut Leg, payload: &str) {
        let payload = payload.into();
        leg.push(&mut Plain, &Outbound::Media { payload });
    }

    fn send(leg: &mut Leg) -> Poll<()> {
        leg.poll_send(&mut Context::from_waker(Waker::noop()))
    }

    fn recv(leg: &mut Leg) -> Poll<Option<Result<WireMessage, TransportError>>> {
        leg.poll_recv(&mut Context::from_waker(Waker::noop()))
    }

    async fn read(peer: &mut MemoryPeer) -> String {
        let message = peer.recv().await.unwrap();
        String::from_utf8(message.payload.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn messages_leave_in_order() {
        let (mut leg, mut peer) = leg(4, LegLimits::default());
        media(&mut leg, "one");
        let name = "two".to_owned();
        leg.push(&mut Plain, &Outbound::Mark { name });
        assert_eq!(send(&mut leg), Poll::Ready(()));
        assert_eq!(read(&mut peer).await, "one");
        assert_eq!(read(&mut peer).await, "two");
        assert_eq!(leg.stall_deadline(), None);
    }

    #[tokio::test]
    async fn a_clear_overtakes_what_waits() {
        let (mut leg, mut peer) = leg(1, LegLimits::default());
        media(&mut leg, "sent");
        media(&mut leg, "waits");
        assert_eq!(send(&mut leg), Poll::Pending);
        leg.push(&mut Plain, &Outbound::Clear);
        media(&mut leg, "after");
        assert_eq!(read(&mut peer).await, "sent");
        assert_eq!(send(&mut leg), Poll::Pending);
        assert_eq!(read(&mut peer).await, "clear");
        assert_eq!(send(&mut leg), Poll::Ready(()));
        assert_eq!(read(&mut peer).await, "after");
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_takes_nothing_stalls_until_it_does() {
        let limits = LegLimits::default();
        let (mut leg, mut peer) = leg(1, limits);
        for payload in ["one", "two", "three"] {
            media(&mut leg, payload);
        }
        let blocked = Instant::now();
        assert_eq!(send(&mut leg), Poll::Pending);
        assert_eq!(leg.stall_deadline(), Some(blocked + limits.stall));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(send(&mut leg), Poll::Pending);
        assert_eq!(leg.stall_deadline(), Some(blocked + limits.stall));
        assert_eq!(read(&mut peer).await, "one");
        assert_eq!(send(&mut leg), Poll::Pending);
        assert_eq!(leg.stall_deadline(), Some(Instant::now() + limits.stall));
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_may_wait_stalls_at_once() {
        let limits = LegLimits {
            queued_bytes: 10,
            ..LegLimits::default()
        };
        let (mut leg, _peer) = leg(1, limits);
        media(&mut leg, "more than ten bytes for a socket that takes them");
        assert_eq!(send(&mut leg), Poll::Ready(()));
        media(&mut leg, "ten bytes.");
        assert_eq!(send(&mut leg), Poll::Pending);
        assert_eq!(leg.stall_deadline(), Some(Instant::now() + limits.stall));
        media(&mut leg, "!");
        assert_eq!(leg.stall_deadline(), Some(Instant::now()));
    }

    #[tokio::test]
    async fn last_words_are_heard_before_a_failure_to_send() {
        let (mut leg, peer) = leg(4, LegLimits::default());
        peer.send(WireMessage::text("stop")).await.unwrap();
        drop(peer);
        media(&mut leg, "into the void");
        assert_eq!(send(&mut leg), Poll::Ready(()));
        let Poll::Ready(Some(Ok(message))) = recv(&mut leg) else {
            panic!("what the leg said is lost");
        };
        assert_eq!(message, WireMessage::text("stop"));
        assert!(matches!(recv(&mut leg), Poll::Ready(None)));
        assert!(recv(&mut leg).is_pending(), "the end is told once");
    }

    #[tokio::test(start_paused = true)]
    async fn closing_sends_the_rest_and_waits_for_the_goodbye() {
        let (mut leg, mut peer) = leg(1, LegLimits::default());
        media(&mut leg, "one");
        media(&mut leg, "two");
        let reader = async {
            assert_eq!(read(&mut peer).await, "one");
            assert_eq!(read(&mut peer).await, "two");
            assert_eq!(peer.recv().await, None);
            drop(peer);
        };
        let began = Instant::now();
        tokio::join!(leg.close(), reader);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_gives_up_on_a_leg_that_does_not_read() {
        let limits = LegLimits::default();
        let (mut leg, _peer) = leg(1, limits);
        media(&mut leg, "one");
        media(&mut leg, "two");
        let began = Instant::now();
        leg.close().await;
        assert_eq!(began.elapsed(), limits.close);
    }
}
