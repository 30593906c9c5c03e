//! The newest events of all calls, read once for everybody who watches.

use std::{collections::VecDeque, sync::Arc};

use tokio::{sync::Mutex, time::Instant};

use super::all::{LOOK_EVERY, PAGE};
use crate::store::{Store, StoreError, StoredEvent};

/// Who is not far behind reads here, and whoever comes first reads for the others.
#[derive(Debug, Default)]
pub(super) struct Tail(Mutex<Option<Newest>>);

#[derive(Debug)]
struct Newest {
    /// The id of the last event before these.
    before: i64,
    events: VecDeque<Arc<StoredEvent>>,
    /// What had been written when they were read; `None`: there may be more.
    written: Option<u64>,
    read_at: Instant,
}

impl Tail {
    /// The next events after the one with the id `after`; none where there are none yet. `written` counts
    /// what is known to be in the store.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub(super) async fn beyond(
        &self,
        after: i64,
        written: u64,
        store: &Store,
    ) -> Result<VecDeque<Arc<StoredEvent>>, StoreError> {
        let mut read = self.0.lock().await;
        let newest = match &mut *read {
            Some(newest) => newest,
            None => read.insert(Newest::after(store.last_event_id().await?)),
        };
        if after < newest.before {
            // Others need not wait for who is far behind.
            drop(read);
            let page = store.events_of_all(after, PAGE).await?;
            return Ok(page.into_iter().map(Arc::new).collect());
        }
        loop {
            let found = newest.beyond(after);
            if !found.is_empty() || !newest.is_stale(written) {
                return Ok(found);
            }
            let page = store.events_of_all(newest.last(), PAGE).await?;
            newest.take(page, written);
        }
    }
}

impl Newest {
    fn after(before: i64) -> Self {
        Self {
            before,
            events: VecDeque::new(),
            written: None,
            read_at: Instant::now(),
        }
    }

    fn last(&self) -> i64 {
        self.events.back().map_or(self.before, |event| event.id)
    }

    fn beyond(&self, after: i64) -> VecDeque<Arc<StoredEvent>> {
        let first = self.events.partition_point(|event| event.id <= after);
        self.events.range(first..).cloned().collect()
    }

    fn is_stale(&self, written: u64) -> bool {
        self.written != Some(written) || self.read_at.elapsed() >= LOOK_EVERY
    }

    /// What was read after the last.
    fn take(&mut self, page: Vec<StoredEvent>, written: u64) {
        let is_all = page.len() < PAGE as usize;
        self.written = is_all.then_some(written);
        self.read_at = Instant::now();
        self.events.extend(page.into_iter().map(Arc::new));
        while self.events.len() > PAGE as usize {
            if let Some(oldest) = self.events.pop_front() {
                self.before = oldest.id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: i64) -> StoredEvent {
        StoredEvent {
            id,
            call_id: "call-1".into(),
            seq: id.unsigned_abs(),
            at_ms: 0,
            json: String::new(),
        }
    }

    fn ids(events: &VecDeque<Arc<StoredEvent>>) -> Vec<i64> {
        events.iter().map(|event| event.id).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_is_there_for_all_and_read_again_when_more_was_written() {
        let mut newest = Newest::after(10);
        assert!(newest.is_stale(0), "nothing was read");
        newest.take(vec![event(12), event(13)], 1);
        assert_eq!(ids(&newest.beyond(10)), [12, 13]);
        assert_eq!(ids(&newest.beyond(12)), [13]);
        assert_eq!(ids(&newest.beyond(20)), [0; 0]);
        assert!(!newest.is_stale(1));
        assert!(newest.is_stale(2), "more was written");
        newest.take(Vec::new(), 2);
        assert!(!newest.is_stale(2));
        tokio::time::advance(LOOK_EVERY).await;
        assert!(newest.is_stale(2), "another server may have written");
    }

    #[test]
    fn only_the_newest_are_kept_and_a_full_page_is_not_all() {
        let page = i64::from(PAGE);
        let mut newest = Newest::after(0);
        newest.take((1..=page).map(event).collect(), 1);
        assert!(newest.is_stale(1), "there may be more");
        newest.take((page + 1..=page + 10).map(event).collect(), 1);
        assert_eq!((newest.before, newest.last()), (10, page + 10));
        assert_eq!(newest.events.len(), PAGE as usize);
    }
}
