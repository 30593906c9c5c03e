//! Watching all calls.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};

use super::Feed;
use crate::store::{StoreError, StoredEvent};

/// How many events are read from the store at once.
pub(super) const PAGE: u32 = 500;

/// What other servers write to the same database is seen this late at most.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The events of all calls in the order in which they were written down, each once.
#[derive(Debug)]
pub(crate) struct AllEvents {
    feed: Feed,
    /// The id of the last one that was given, or read.
    after: i64,
    ready: VecDeque<Arc<StoredEvent>>,
    written: watch::Receiver<u64>,
}

impl AllEvents {
    pub(super) async fn new(feed: Feed, after: Option<i64>) -> Result<Self, StoreError> {
        let after = match after {
            Some(after) => after,
            None => feed.store.last_event_id().await?,
        };
        Ok(Self {
            after,
            ready: VecDeque::new(),
            // From now on everything is written at once.
            written: feed.shared.written.subscribe(),
            feed,
        })
    }

    /// The next event; `None` when the server goes down. May be dropped and called again without
    /// losing any.
    ///
    /// # Errors
    ///
    /// Those of the store: then nothing more comes, and whoever watches may begin again after the
    /// last that came.
    pub(crate) async fn next(&mut self) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let written = *self.written.borrow_and_update();
            let Feed { shared, store, .. } = &self.feed;
            let newer = shared.tail.beyond(self.after, written, store).await?;
            if let Some(last) = newer.back() {
                self.after = last.id;
                self.ready = newer;
                continue;
            }
            tokio::select! {
                _ = timeout(LOOK_EVERY, self.written.changed()) => {}
                () = self.feed.shared.closing.cancelled() => return Ok(None),
            }
        }
    }
}
