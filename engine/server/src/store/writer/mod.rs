//! Writes down what the engine tells, off the calls' path.
//!
//! One task takes events from the engine and puts them into a bounded queue; another writes what is in
//! it, in batches, each in one transaction. A database that is slow, locked, away or full holds up
//! neither calls nor the first task: batches are tried again until they are written, and what the queue
//! cannot hold meanwhile is counted.

mod batch;
mod ledger;
mod queue;
#[cfg(test)]
pub(crate) mod tests;
mod unwritten;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use serde::Serialize;
use serde_json::{Map, Value};
use sidetone::{CallId, EventRecord, EventStream, EventsMissed};
use sidetone_core::event::CallEvent;
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use super::{
    CallRecord, Direction, RecordingFile, Store, StoreError, UnansweredCall, presence::Presence,
};
use ledger::Ledger;
use queue::{Entry, Queue};
use unwritten::Unwritten;

/// Events are written this long after they happened at the latest, if the database is quick.
const WINDOW: Duration = Duration::from_millis(250);
/// How many events are written at once.
const BATCH: usize = 512;
/// How many events may wait. Twice as many if they begin or end a call, or hold what was said.
const QUEUE: usize = 65_536;
/// The pauses between attempts to write.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often the log says again that the database fails.
const REMINDER: Duration = Duration::from_secs(60);
/// A batch that the database refuses for what is in it is given up after so many attempts.
const ATTEMPTS: u32 = 3;

/// Writes the engine's events to a [`Store`]. Clones are handles of the same writer; it ends when the
/// last is dropped, or by [`shutdown`](Self::shutdown).
#[derive(Clone, Debug)]
pub struct StoreWriter(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Shared {
    queue: Queue,
    /// Counts the events that were taken from the engine.
    taken: watch::Sender<u64>,
    unwritten: Unwritten,
    written: AtomicU64,
    missed: AtomicU64,
    retries: AtomicU64,
    failure: Mutex<Option<String>>,
}

/// How the writer fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WriterStatus {
    /// Events that wait to be written.
    pub queued: u64,
    /// Events that were written.
    pub written: u64,
    /// Events that are missing from the store, for lack of room in the queue.
    pub missed: u64,
    /// Attempts to write that failed.
    pub retries: u64,
    /// Why the last attempt failed; none where it did not. For operators: no word of a call, no number.
    pub failure: Option<String>,
}

/// What is known of a call before it begins: it is noted with the call when it does.
#[derive(Clone, Default, PartialEq)]
pub struct ExpectedCall {
    /// The provider's id of the call, by which it is recognised.
    pub provider_call_id: String,
    /// Who calls whom.
    pub direction: Direction,
    /// The number of who calls.
    pub from: String,
    /// The number that is called.
    pub to: String,
    /// What else there is to note.
    pub metadata: Map<String, Value>,
}

/// Without numbers and notes.
impl std::fmt::Debug for ExpectedCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExpectedCall")
            .field("provider_call_id", &self.provider_call_id)
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

impl StoreWriter {
    /// Begins to write `events` to `store`. Calls that a server left live when it went are marked as
    /// lost first. `events` must have been subscribed to before the engine takes calls.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the database does not take a write now.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub async fn start(store: Store, events: EventStream) -> Result<Self, StoreError> {
        let writer = Self::without_events(store, QUEUE).await?;
        let Handle {
            shared,
            stop,
            tasks,
        } = &*writer.0;
        tasks.spawn(take_in(Arc::clone(shared), events, stop.clone()));
        tasks.close();
        Ok(writer)
    }

    /// Writes what is put into its queue.
    async fn without_events(store: Store, capacity: usize) -> Result<Self, StoreError> {
        let presence = Presence::begin(&store).await?;
        let lost = presence.mark_lost(&store).await?;
        if lost > 0 {
            warn!(calls = lost, "marked calls as lost whose server is gone");
        }
        let shared = Arc::new(Shared {
            queue: Queue::new(capacity),
            taken: watch::Sender::new(0),
            unwritten: Unwritten::default(),
            written: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            failure: Mutex::new(None),
        });
        let tasks = TaskTracker::new();
        tasks.spawn(write_out(Arc::clone(&shared), store, presence));
        Ok(Self(Arc::new(Handle {
            shared,
            stop: CancellationToken::new(),
            tasks,
        })))
    }

    /// Tells of a call that is about to begin, or has just begun. Never waits.
    pub fn expect_call(&self, call: ExpectedCall) {
        self.0.shared.unwritten.expect(&call);
        self.0.shared.push(Entry::Expected(Box::new(call)));
    }

    /// Tells of a call that was placed and will not come about. Never waits.
    pub(crate) fn note_unanswered(&self, call: UnansweredCall) {
        self.0.shared.push(Entry::Unanswered(Box::new(call)));
    }

    /// Tells where a call is being recorded. Never waits.
    pub(crate) fn note_recording(&self, call_id: &CallId, file: RecordingFile) {
        self.0
            .shared
            .push(Entry::Recording(call_id.clone(), Box::new(file)));
    }

    /// A call of which the database has nothing yet.
    pub(crate) fn unwritten(&self, id: &CallId) -> Option<CallRecord> {
        self.0.shared.unwritten.call(id)
    }

    /// All calls of which the database has nothing yet, the newest first.
    pub(crate) fn all_unwritten(&self) -> Vec<CallRecord> {
        self.0.shared.unwritten.calls()
    }

    /// Waits until everything that was taken from the engine so far is written.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        self.0.shared.push(Entry::Flush(done));
        // A writer that has ended has nothing to write.
        let _ = flushed.await;
    }

    /// Changes when an event is taken from the engine: a flush that begins then writes it.
    pub(crate) fn taken(&self) -> watch::Receiver<u64> {
        self.0.shared.taken.subscribe()
    }

    /// How the writer fares.
    #[must_use]
    pub fn status(&self) -> WriterStatus {
        let shared = &self.0.shared;
        WriterStatus {
            queued: shared.queue.len() as u64,
            written: shared.written.load(Ordering::Relaxed),
            missed: shared.missed.load(Ordering::Relaxed),
            retries: shared.retries.load(Ordering::Relaxed),
            failure: shared.failure().clone(),
        }
    }

    /// Takes what the engine told so far, writes it within `patience`, and ends. Other handles can
    /// still ask for the status.
    pub async fn shutdown(&self, patience: Duration) {
        self.0.stop.cancel();
        if timeout(patience, self.0.tasks.wait()).await.is_err() {
            let events = self.status().queued;
            error!(
                events,
                "the database did not take the last events: they are lost"
            );
            self.0.shared.queue.abandon();
            self.0.tasks.wait().await;
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn push(&self, entry: Entry) {
        if !self.queue.push(entry) {
            self.miss(1);
        }
    }

    fn miss(&self, events: u64) {
        let before = self.missed.fetch_add(events, Ordering::Relaxed);
        // The first one is worth a line, and then each order of magnitude.
        if before == 0 || before.ilog10() != (before + events).ilog10() {
            let missed = before + events;
            warn!(
                missed,
                "events are missing from the store: it is slower than the calls"
            );
        }
    }

    fn failure(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes events from the engine until told to stop, and then those that are there.
async fn take_in(shared: Arc<Shared>, mut events: EventStream, stop: CancellationToken) {
    let take = |event: Result<Arc<EventRecord>, EventsMissed>| match event {
        Ok(record) if is_kept(&record.event) => {
            shared.unwritten.record(&record);
            shared.push(Entry::Record(record));
            shared.taken.send_modify(|events| *events += 1);
        }
        Ok(_) => {}
        Err(missed) => shared.miss(missed.missed),
    };
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Some(event) => take(event),
                None => break,
            },
            () = stop.cancelled() => break,
        }
    }
    while let Some(Some(event)) = events.recv().now_or_never() {
        take(event);
    }
    shared.queue.close();
}

/// Whether an event is worth keeping. Partial transcripts are superseded by the final one, and there
/// are more of them than of everything else.
pub(crate) fn is_kept(event: &CallEvent) -> bool {
    !matches!(event, CallEvent::TranscriptPartial { .. })
}

/// Writes what is in the queue until that is closed and empty.
async fn write_out(shared: Arc<Shared>, store: Store, presence: Presence) {
    let mut ledger = Ledger::new(presence.server.clone());
    while let Some(entries) = shared.queue.next(BATCH, WINDOW).await {
        let mut flushes = Vec::new();
        let mut batch = batch::Batch::default();
        for entry in entries {
            match entry {
                Entry::Record(record) => ledger.record(&record, &mut batch),
                Entry::Expected(call) => ledger.expect(*call),
                Entry::Unanswered(call) => batch.unanswered.push(*call),
                Entry::Recording(call_id, file) => ledger.recorded(&call_id, *file),
                Entry::Flush(done) => flushes.push(done),
            }
        }
        batch.calls = ledger.changed();
        if !batch.is_empty() {
            write_batch(&shared, &store, &batch).await;
            shared.unwritten.forget(batch.calls.iter());
        }
        for done in flushes {
            // Who asked may have gone.
            let _ = done.send(());
        }
    }
    drop(presence);
}

/// Writes a batch, however often it takes; gives up one that the database will never take.
async fn write_batch(shared: &Shared, store: &Store, batch: &batch::Batch) {
    let mut pause = FIRST_PAUSE;
    let mut failing: Option<(Instant, Instant)> = None;
    let mut attempts = 0;
    loop {
        let failure = match batch.write(store).await {
            Ok(()) => {
                shared.written.fetch_add(batch.events(), Ordering::Relaxed);
                break;
            }
            Err(failure) => failure,
        };
        attempts += 1;
        shared.retries.fetch_add(1, Ordering::Relaxed);
        let why = batch::reason(&failure);
        *shared.failure() = Some(why.clone());
        if batch::is_hopeless(&failure) && attempts >= ATTEMPTS {
            error!(
                why,
                events = batch.events(),
                "the database refuses events: they are given up"
            );
            shared.miss(batch.events());
            break;
        }
        let now = Instant::now();
        let (since, said) = failing.get_or_insert((now, now));
        if attempts == 1 || now.duration_since(*said) >= REMINDER {
            *said = now;
            let since_s = now.duration_since(*since).as_secs();
            warn!(
                why,
                since_s, "the database does not take events: calls go on, and it is tried again"
            );
        }
        tokio::select! {
            () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = shared.queue.abandoned() => return,
        }
    }
    *shared.failure() = None;
    if let Some((since, _)) = failing {
        info!(
            after_ms = since.elapsed().as_millis(),
            "the database takes events again"
        );
    }
}
