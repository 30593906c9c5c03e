//! Between the task that takes events in and the one that writes them out.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sidetone::{CallId, EventRecord};
use sidetone_core::event::CallEvent;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::ExpectedCall;
use crate::store::{RecordingFile, UnansweredCall};

/// A bounded queue that is emptied in batches.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    state: Mutex<State>,
    changed: Notify,
    abandoned: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Entry>,
    /// How many entries somebody waits for.
    flushes: usize,
    closed: bool,
}

#[derive(Debug)]
pub(super) enum Entry {
    Record(Arc<EventRecord>),
    Expected(Box<ExpectedCall>),
    Unanswered(Box<UnansweredCall>),
    Recording(CallId, Box<RecordingFile>),
    /// Somebody waits until everything before it is written.
    Flush(oneshot::Sender<()>),
}

impl Entry {
    /// Whether a call's row, or its transcript, would be wrong without it.
    fn is_essential(&self) -> bool {
        match self {
            Self::Record(record) => matches!(
                record.event,
                CallEvent::CallStarted { .. }
                    | CallEvent::CallEnded { .. }
                    | CallEvent::TranscriptFinal { .. }
                    | CallEvent::AgentFinished { .. }
                    | CallEvent::AgentInterrupted { .. }
                    | CallEvent::AgentRetracted { .. }
            ),
            Self::Expected(_) | Self::Unanswered(_) | Self::Recording(..) | Self::Flush(_) => true,
        }
    }
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
            changed: Notify::new(),
            abandoned: CancellationToken::new(),
        }
    }

    /// False where there is no room for it, or nobody takes it any more.
    pub(super) fn push(&self, entry: Entry) -> bool {
        let mut state = self.state();
        let capacity = self.capacity * if entry.is_essential() { 2 } else { 1 };
        if state.closed || state.entries.len() >= capacity {
            return false;
        }
        if matches!(entry, Entry::Flush(_)) {
            state.flushes += 1;
        }
        state.entries.push_back(entry);
        drop(state);
        self.changed.notify_one();
        true
    }

    pub(super) fn len(&self) -> usize {
        self.state().entries.len()
    }

    /// Takes nothing in any more.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// Whoever empties the queue shall give up.
    pub(super) fn abandon(&self) {
        self.close();
        self.state().entries.clear();
        self.abandoned.cancel();
        self.changed.notify_one();
    }

    pub(super) async fn abandoned(&self) {
        self.abandoned.cancelled().await;
    }

    /// The next entries: `most` of them, or those that came within `window` of the first; none when the
    /// queue is closed and empty.
    pub(super) async fn next(&self, most: usize, window: Duration) -> Option<Vec<Entry>> {
        let mut until: Option<Instant> = None;
        loop {
            {
                let mut state = self.state();
                let due = until.is_some_and(|until| Instant::now() >= until)
                    || state.entries.len() >= most
                    || state.flushes > 0
                    || state.closed;
                if due && !state.entries.is_empty() {
                    let count = state.entries.len().min(most);
                    let entries: Vec<_> = state.entries.drain(..count).collect();
                    let flushes = entries.iter().filter(|e| matches!(e, Entry::Flush(_)));
                    state.flushes -= flushes.count();
                    return Some(entries);
                }
                if state.closed {
                    return None;
                }
                if until.is_none() && !state.entries.is_empty() {
                    until = Some(Instant::now() + window);
                }
            }
            match until {
                // The window's end is looked at above.
                Some(until) => drop(timeout_at(until, self.changed.notified()).await),
                None => self.changed.notified().await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
