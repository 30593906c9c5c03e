//! What happens in calls, for those who watch: nothing lost, nothing twice, however often they
//! reconnect.
//!
//! The store has what is old, the engine tells what is new, and for a moment an event is in
//! neither's hands. The feed keeps it for that moment, and hands over from one to the other.
//! Nothing here holds up a call: it all hangs on a subscription to the engine's events.

mod all;
mod call;
mod tail;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sidetone::{CallId, Engine, EventRecord, EventStream};
use tokio::{
    sync::{broadcast, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use all::AllEvents;
pub(crate) use call::CallEvents;
use tail::Tail;

use crate::store::{Store, StoreWriter, writer::is_kept};

/// An event is kept this long at least, and until a flush of the store's writer that began after
/// that has returned.
const KEPT: Duration = Duration::from_secs(10);
/// How often it is seen to what is kept.
const SWEEP: Duration = Duration::from_secs(2);
/// How many events are kept at most, while the database takes none: as many as may wait to be written.
/// They are the same in memory.
const MOST_KEPT: usize = 131_072;
/// How many events somebody who watches a call may be behind.
const BEHIND: usize = 256;
/// Those who watch all calls are woken this often at most.
const WAKE_EVERY: Duration = Duration::from_millis(20);

/// Where events can be watched. Clones are handles of the same feed.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    engine: Engine,
    store: Store,
    shared: Arc<Shared>,
    /// The feed's tasks end with its last handle.
    _end: Arc<DropGuard>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Counts what is known to be in the store, for those who watch all calls.
    written: watch::Sender<u64>,
    tail: Tail,
    closing: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<(Instant, Arc<EventRecord>)>,
    watched: HashMap<CallId, broadcast::Sender<Heard>>,
}

/// What somebody who watches a call hears.
#[derive(Clone, Debug)]
enum Heard {
    Event(Arc<EventRecord>),
    /// The feed itself missed events: the store may have them.
    Gap,
}

impl Feed {
    /// Watches `engine`, whose events `writer` writes to `store`.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub(crate) fn new(engine: Engine, store: Store, writer: StoreWriter) -> Self {
        let events = engine.events();
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            written: watch::Sender::new(0),
            tail: Tail::default(),
            closing: CancellationToken::new(),
        });
        tokio::spawn(take_in(Arc::clone(&shared), events));
        tokio::spawn(tell_of_writes(Arc::clone(&shared), writer.clone()));
        tokio::spawn(sweep(Arc::clone(&shared), writer));
        let end = shared.closing.clone().drop_guard();
        Self {
            engine,
            store,
            shared,
            _end: Arc::new(end),
        }
    }

    /// The events of one call after number `after_seq`, those to come among them. `is_complete`: the store
    /// has them all.
    pub(crate) fn call(&self, id: CallId, after_seq: u64, is_complete: bool) -> CallEvents {
        CallEvents::new(self.clone(), id, after_seq, is_complete)
    }

    /// The events of all calls after the one that the store has under `after`; without it those to come.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub(crate) async fn all(
        &self,
        after: Option<i64>,
    ) -> Result<AllEvents, crate::store::StoreError> {
        AllEvents::new(self.clone(), after).await
    }

    /// Ends everything that is watched: the server is going down.
    pub(crate) fn close(&self) {
        self.shared.closing.cancel();
    }

    /// The events of a call that may not be in the store yet, and those to come.
    fn watch(&self, id: &CallId) -> (VecDeque<Arc<EventRecord>>, broadcast::Receiver<Heard>) {
        let mut state = self.shared.state();
        let kept = state
            .kept
            .iter()
            .filter(|(_, record)| record.call_id == *id)
            .map(|(_, record)| Arc::clone(record))
            .collect();
        let sender = state
            .watched
            .entry(id.clone())
            .or_insert_with(|| broadcast::channel(BEHIND).0);
        (kept, sender.subscribe())
    }
}

impl Shared {
    /// A panic while the lock was held cannot leave it half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes on what happens, until nothing more will.
async fn take_in(shared: Arc<Shared>, mut events: EventStream) {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = shared.closing.cancelled() => return,
        };
        let Some(event) = event else {
            return;
        };
        let mut state = shared.state();
        match event {
            Ok(record) => {
                if let Some(watched) = state.watched.get(&record.call_id) {
                    let _ = watched.send(Heard::Event(Arc::clone(&record)));
                }
                if is_kept(&record.event) {
                    if state.kept.len() == MOST_KEPT {
                        state.kept.pop_front();
                    }
                    state.kept.push_back((Instant::now(), record));
                }
            }
            Err(_) => {
                for watched in state.watched.values() {
                    let _ = watched.send(Heard::Gap);
                }
            }
        }
    }
}

/// Has what happens written at once while somebody watches all calls, and tells them.
async fn tell_of_writes(shared: Arc<Shared>, writer: StoreWriter) {
    let mut taken = writer.taken();
    loop {
        tokio::select! {
            changed = taken.changed() => if changed.is_err() { return },
            () = shared.closing.cancelled() => return,
        }
        if shared.written.receiver_count() == 0 {
            continue;
        }
        writer.flush().await;
        shared.written.send_modify(|times| *times += 1);
        sleep(WAKE_EVERY).await;
    }
}

/// Forgets what is in the store by now, and whom nobody watches.
async fn sweep(shared: Arc<Shared>, writer: StoreWriter) {
    loop {
        tokio::select! {
            () = sleep(SWEEP) => {}
            () = shared.closing.cancelled() => return,
        }
        let began = Instant::now();
        shared
            .state()
            .watched
            .retain(|_, watched| watched.receiver_count() > 0);
        let is_old = |at: &Instant| began.duration_since(*at) >= KEPT;
        if !shared
            .state()
            .kept
            .front()
            .is_some_and(|(at, _)| is_old(at))
        {
            continue;
        }
        tokio::select! {
            // What is that old was in the writer's hands before this began.
            () = writer.flush() => {}
            () = shared.closing.cancelled() => return,
        }
        let mut state = shared.state();
        while state.kept.front().is_some_and(|(at, _)| is_old(at)) {
            state.kept.pop_front();
        }
    }
}
