//! Who did what, on its way to the audit log.
//!
//! Nobody waits for the log: who has to end a call must be able to while the database is locked. What
//! cannot be written down at once is tried again, and if there is ever too much of it, that is said
//! in the server's log.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};
use tracing::{error, warn};

use crate::store::{NewAuditEntry, Store, UnixMs};

/// How many entries may wait for the database.
const QUEUE: usize = 1_024;

/// When an entry that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Reading the same again within this time is no news: players ask for a recording in many pieces,
/// and streams reconnect.
const SAME_READING: Duration = Duration::from_secs(10 * 60);

/// Readings are swept when there are this many.
const READINGS: usize = 4_096;

/// What may be done that the log keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// A session of the console was opened.
    SessionOpen,
    /// A session of the console was ended.
    SessionEnd,
    /// A call was placed.
    CallPlace,
    /// A call was ended.
    CallHangUp,
    /// The agent was silenced.
    AgentPause,
    /// The agent takes part again.
    AgentResume,
    /// The agent was given words to say.
    AgentSay,
    /// The agent was given guidance.
    AgentWhisper,
    /// Keys were pressed.
    CallDtmf,
    /// A call was given back to the agent.
    CallHandBack,
    /// A call was taken over.
    CallTakeOver,
    /// Somebody listens to a call.
    CallListen,
    /// Somebody coaches the agent.
    CallCoach,
    /// Somebody joined in.
    CallBarge,
    /// Somebody was called to the phone, to come on a call.
    CallInvite,
    /// Somebody was taken off a call.
    CallRemove,
    /// A call was given away.
    CallTransfer,
    /// A transcript was read.
    TranscriptRead,
    /// The events of a call were read.
    EventsRead,
    /// A recording was heard.
    RecordingRead,
    /// The audit log was read.
    AuditRead,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::SessionOpen => "session.open",
            Self::SessionEnd => "session.end",
            Self::CallPlace => "call.place",
            Self::CallHangUp => "call.hangup",
            Self::AgentPause => "agent.pause",
            Self::AgentResume => "agent.resume",
            Self::AgentSay => "agent.say",
            Self::AgentWhisper => "agent.whisper",
            Self::CallDtmf => "call.dtmf",
            Self::CallHandBack => "call.handback",
            Self::CallTakeOver => "call.takeover",
            Self::CallListen => "call.listen",
            Self::CallCoach => "call.coach",
            Self::CallBarge => "call.barge",
            Self::CallInvite => "call.invite",
            Self::CallRemove => "call.remove",
            Self::CallTransfer => "call.transfer",
            Self::TranscriptRead => "transcript.read",
            Self::EventsRead => "events.read",
            Self::RecordingRead => "recording.read",
            Self::AuditRead => "audit.read",
        }
    }

    /// Whether doing it again and again is no news.
    fn is_reading(self) -> bool {
        matches!(
            self,
            Self::TranscriptRead | Self::EventsRead | Self::RecordingRead | Self::AuditRead
        )
    }
}

/// The way to the audit log.
#[derive(Debug)]
pub(crate) struct Audit {
    queue: mpsc::Sender<Queued>,
    readings: Mutex<HashMap<Reading, Instant>>,
}

/// Who reads what of which call.
type Reading = (String, Action, Option<String>);

#[derive(Debug)]
enum Queued {
    /// With when it was done: it may be written much later.
    Entry(UnixMs, NewAuditEntry),
    Flush(oneshot::Sender<()>),
}

impl Audit {
    /// Writes to `store`, in a task of its own.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub(crate) fn new(store: Store) -> Self {
        let (queue, queued) = mpsc::channel(QUEUE);
        tokio::spawn(write(store, queued));
        Self {
            queue,
            readings: Mutex::default(),
        }
    }

    /// Notes that `who` (a token's id) did something, to a call where it was one.
    pub(crate) fn note(&self, who: &str, action: Action, call_id: Option<&str>) {
        self.note_with(who, action, call_id, Map::new());
    }

    /// The same with what else there is to say: nothing that was said in a call.
    pub(crate) fn note_with(
        &self,
        who: &str,
        action: Action,
        call_id: Option<&str>,
        detail: Map<String, Value>,
    ) {
        let call_id = call_id.map(str::to_owned);
        if action.is_reading() && !self.is_new((who.to_owned(), action, call_id.clone())) {
            return;
        }
        let entry = NewAuditEntry {
            who: who.to_owned(),
            action: action.as_str().to_owned(),
            call_id,
            detail,
        };
        if let Err(lost) = self.queue.try_send(Queued::Entry(UnixMs::now(), entry)) {
            let action = action.as_str();
            error!(who, action, %lost, "the audit log misses an entry");
        }
    }

    /// Waits until everything so far is written, or cannot be.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.queue.send(Queued::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }

    fn is_new(&self, reading: Reading) -> bool {
        // A panic while the lock was held cannot leave the map half changed.
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if readings.len() >= READINGS {
            readings.retain(|_, last| now.duration_since(*last) < SAME_READING);
        }
        let last = readings.insert(reading, now);
        last.is_none_or(|last| now.duration_since(last) >= SAME_READING)
    }
}

async fn write(store: Store, mut queued: mpsc::Receiver<Queued>) {
    while let Some(next) = queued.recv().await {
        match next {
            Queued::Flush(done) => {
                let _ = done.send(());
            }
            Queued::Entry(at, entry) => {
                let mut told = false;
                while let Err(error) = store.audit(at, &entry).await {
                    if !told {
                        warn!(%error, "the audit log cannot be written; trying until it can");
                        told = true;
                    }
                    sleep(RETRY).await;
                }
            }
        }
    }
}
