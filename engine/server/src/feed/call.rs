//! Watching one call.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use sidetone::{CallId, EventRecord};
use sidetone_core::event::CallEvent;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::sleep,
};

use super::{Feed, Heard};
use crate::store::{StoreError, writer::is_kept};

/// How many events are read from the store at once.
const PAGE: u32 = 500;

/// A call that the engine no longer has may have told its end a moment ago, or never will: its
/// server went down with it.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// The events of a call, in order, each once: first those in the store, then those that happen.
/// Partial transcripts come only as they happen.
#[derive(Debug)]
pub(crate) struct CallEvents {
    feed: Feed,
    id: CallId,
    /// The number of the last one that was given.
    after: u64,
    /// The store has all of them.
    is_complete: bool,
    ready: VecDeque<Arc<EventRecord>>,
    from: From,
}

/// Where events come from.
#[derive(Debug)]
enum From {
    /// Nothing is known yet.
    Start,
    /// The store, until it has no more; then what was kept, and what happened meanwhile.
    Store {
        kept: VecDeque<Arc<EventRecord>>,
        live: broadcast::Receiver<Heard>,
        /// The call went on before these were asked for.
        goes_on: bool,
    },
    /// The engine.
    Engine {
        live: broadcast::Receiver<Heard>,
        /// Whether its end is still to come; if not, it may at most be on its way here.
        goes_on: bool,
    },
    /// The call is over.
    End,
}

impl CallEvents {
    pub(super) fn new(feed: Feed, id: CallId, after: u64, is_complete: bool) -> Self {
        Self {
            feed,
            id,
            after,
            is_complete,
            ready: VecDeque::new(),
            from: From::Start,
        }
    }

    /// Reads what there is in the store, so that it is known whether that can be done.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        if matches!(self.from, From::Start) {
            let goes_on = self.feed.engine.call(&self.id).is_some();
            let (kept, live) = self.feed.watch(&self.id);
            self.from = From::Store {
                kept,
                live,
                goes_on,
            };
            self.read_page().await?;
        }
        Ok(())
    }

    /// Whether there is nothing more than what is ready.
    pub(crate) fn is_over(&self) -> bool {
        self.ready.is_empty() && matches!(self.from, From::End)
    }

    /// The next event; `None` after `call.ended`, for a call that is over, and when the server goes
    /// down. May be dropped and called again without losing any.
    ///
    /// # Errors
    ///
    /// Those of the store: then nothing more comes, and whoever watches may begin again after the
    /// last that came.
    pub(crate) async fn next(&mut self) -> Result<Option<Arc<EventRecord>>, StoreError> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(Some(record));
            }
            match &mut self.from {
                From::Start => self.begin().await?,
                From::Store { .. } => self.read_page().await?,
                From::Engine { live, goes_on } => {
                    let closing = &self.feed.shared.closing;
                    let heard = tokio::select! {
                        heard = live.recv() => heard,
                        () = closing.cancelled() => Err(RecvError::Closed),
                        () = sleep(ON_ITS_WAY), if !*goes_on => Err(RecvError::Closed),
                    };
                    match heard {
                        Ok(Heard::Event(record)) => self.take(record),
                        Ok(Heard::Gap) | Err(RecvError::Lagged(_)) => {
                            self.from = From::Start;
                        }
                        Err(RecvError::Closed) => self.from = From::End,
                    }
                }
                From::End => return Ok(None),
            }
        }
    }

    async fn read_page(&mut self) -> Result<(), StoreError> {
        let page = self
            .feed
            .store
            .events(self.id.as_str(), self.after, PAGE)
            .await?;
        let is_last = page.len() < PAGE as usize;
        for event in page {
            // What cannot be read is of a newer version.
            self.after = event.seq;
            if let Ok(record) = serde_json::from_str::<EventRecord>(&event.json) {
                self.take_unseen(Arc::new(record));
            }
        }
        if !is_last {
            return Ok(());
        }
        // The end of the call may have been on the page.
        if let From::Store {
            kept,
            live,
            goes_on,
        } = std::mem::replace(&mut self.from, From::End)
        {
            self.from = From::Engine { live, goes_on };
            for record in kept {
                self.take(record);
            }
        }
        if self.is_complete {
            self.from = From::End;
        }
        Ok(())
    }

    /// Takes an event unless it was given before.
    fn take(&mut self, record: Arc<EventRecord>) {
        if record.seq > self.after {
            if is_kept(&record.event) {
                self.after = record.seq;
            }
            self.take_unseen(record);
        }
    }

    fn take_unseen(&mut self, record: Arc<EventRecord>) {
        if matches!(record.event, CallEvent::CallEnded { .. }) {
            self.from = From::End;
        }
        self.ready.push_back(record);
    }
}
