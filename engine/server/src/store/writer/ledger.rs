//! What the writer knows of the calls that go on: their rows, made anew from the events, so that writing
//! one twice changes nothing.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    time::Duration,
};

use sidetone::{CallId, EventRecord};
use sidetone_core::{event::CallEvent, person::Mode};
use tokio::time::Instant;

use super::{
    ExpectedCall,
    batch::{Answer, Batch, CallRow, Event, NewLine, Retraction},
};
use crate::store::{
    CallState, RecordingFile, UnixMs,
    calls::{storable, to_i64},
    search,
    transcript::Change,
};

/// How long a call is expected.
const PATIENCE: Duration = Duration::from_secs(600);
/// How many calls are expected at most.
const MOST_EXPECTED: usize = 10_000;

pub(super) struct Ledger {
    server: String,
    calls: HashMap<CallId, CallRow>,
    changed: HashSet<CallId>,
    expected: HashMap<String, (Instant, ExpectedCall)>,
    /// Of calls that have not told anything yet.
    recordings: HashMap<CallId, (Instant, RecordingFile)>,
}

impl Ledger {
    pub(super) fn new(server: String) -> Self {
        Self {
            server,
            calls: HashMap::new(),
            changed: HashSet::new(),
            expected: HashMap::new(),
            recordings: HashMap::new(),
        }
    }

    /// Notes an event; what is to be written of it goes to `batch`.
    pub(super) fn record(&mut self, record: &EventRecord, batch: &mut Batch) {
        let (call_id, seq) = (&record.call_id, to_i64(record.seq));
        let at_ms = to_i64(record.at_ms);
        let server = &self.server;
        let is_new = !self.calls.contains_key(call_id);
        let row = self.calls.entry(call_id.clone()).or_insert_with(|| {
            let began = UnixMs::now().before(Duration::from_millis(record.at_ms));
            CallRow::new(call_id.clone(), server.clone(), began)
        });
        if is_new {
            row.recording = self.recordings.remove(call_id).map(|(_, file)| file);
        }
        let before = (!is_new).then(|| row.clone());
        match &record.event {
            CallEvent::CallStarted {
                provider_call_id: Some(id),
                ..
            } => {
                row.provider_call_id = Some(storable(id));
                if let Some((_, call)) = self.expected.remove(id) {
                    row.describe(call);
                }
            }
            CallEvent::TranscriptFinal { text, .. } if !text.trim().is_empty() => row.turns += 1,
            CallEvent::AgentInterrupted { .. } => row.interruptions += 1,
            CallEvent::PersonJoined {
                mode: Mode::Takeover,
                ..
            }
            | CallEvent::PersonMode {
                mode: Mode::Takeover,
                ..
            } => row.takeovers += 1,
            CallEvent::TurnMetrics(metrics) => batch.answers.push(Answer {
                call_id: call_id.clone(),
                seq,
                at: row.started_at.0 + at_ms,
                total_ms: to_i64(metrics.total_ms),
            }),
            CallEvent::CallEnded { reason, counters } => {
                row.end(at_ms, reason);
                // What was counted, where this writer missed events.
                row.turns = row.turns.max(to_i64(counters.turns));
                row.interruptions = row.interruptions.max(to_i64(counters.interruptions));
                row.takeovers = row.takeovers.max(to_i64(counters.takeovers));
            }
            _ => {}
        }
        if before.as_ref() != Some(row) {
            self.changed.insert(call_id.clone());
        }
        match Change::of(&record.event) {
            Some(Change::Add {
                turn,
                speaker,
                name,
                text,
            }) => batch.lines.push(NewLine {
                call_id: call_id.clone(),
                seq,
                at_ms,
                turn: turn.into(),
                speaker,
                name: name.map(storable),
                text: storable(text),
                words: search::words(text).join(" "),
            }),
            Some(Change::Retract { turn }) => batch.retractions.push(Retraction {
                call_id: call_id.clone(),
                seq,
                turn: turn.into(),
            }),
            None => {}
        }
        batch.events.push(Event {
            call_id: call_id.clone(),
            seq,
            at_ms,
            json: serde_json::to_string(record).expect("an event is texts and numbers"),
        });
    }

    /// Notes what is known of a call that is to begin, or has begun.
    pub(super) fn expect(&mut self, mut call: ExpectedCall) {
        let id = storable(&call.provider_call_id);
        let going_on = self
            .calls
            .values_mut()
            .find(|row| row.state == CallState::Live && row.provider_call_id.as_ref() == Some(&id));
        if let Some(row) = going_on {
            self.changed.insert(row.id.clone());
            row.describe(call);
            return;
        }
        if let Some((_, before)) = self.expected.get_mut(&id)
            && call.metadata.is_empty()
        {
            call.metadata = std::mem::take(&mut before.metadata);
        }
        expect(&mut self.expected, id, call);
    }

    /// Notes where a call is being recorded.
    pub(super) fn recorded(&mut self, call_id: &CallId, file: RecordingFile) {
        match self.calls.get_mut(call_id) {
            Some(row) => {
                row.recording = Some(file);
                self.changed.insert(call_id.clone());
            }
            None => expect(&mut self.recordings, call_id.clone(), file),
        }
    }

    /// The rows that have changed since this was last asked. Those of calls that ended are forgotten.
    pub(super) fn changed(&mut self) -> Vec<CallRow> {
        let changed = self.changed.drain().filter_map(|id| {
            let row = self.calls.get(&id)?;
            Some(match row.state {
                CallState::Live => row.clone(),
                _ => self.calls.remove(&id)?,
            })
        });
        changed.collect()
    }
}

/// Keeps what is known ahead, for a while and within bounds.
fn expect<K: Eq + Hash, V>(expected: &mut HashMap<K, (Instant, V)>, key: K, value: V) {
    if expected.len() >= MOST_EXPECTED {
        expected.retain(|_, (since, _)| since.elapsed() < PATIENCE);
    }
    if expected.len() < MOST_EXPECTED {
        expected.insert(key, (Instant::now(), value));
    }
}
