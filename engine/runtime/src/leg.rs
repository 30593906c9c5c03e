//! A call's socket, with what waits to be sent on it.

use std::{
    collections::VecDeque,
    error::Error as _,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use sidetone_core::dialect::{Dialect, Outbound};
use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::{
    engine::LegLimits,
    transport::{Transport, TransportError, WireMessage},
};

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
        if !self.overflowed() {
            let payload = Bytes::copy_from_slice(&self.scratch);
            self.queue.push_back(WireMessage { kind, payload });
        }
    }

    /// When the leg has stalled, unless it takes something before.
    pub(crate) fn stall_deadline(&self) -> Option<Instant> {
        let since = self.blocked_since?;
        Some(if self.overflowed() {
            since
        } else {
            since + self.limits.stall
        })
    }

    fn overflowed(&self) -> bool {
        self.queued_bytes > self.limits.queued_bytes
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
