//! Calls of which the database has nothing yet: while it takes nothing, whoever asks still finds the calls
//! that go on.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sidetone::{CallId, EventRecord};
use sidetone_core::event::CallEvent;

use super::{ExpectedCall, batch::CallRow};
use crate::store::{
    CallRecord, Latency, UnixMs,
    calls::{storable, to_i64},
};

/// How many calls there may be, and how many may be expected. A writer that works has a handful.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Unwritten(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By the provider's id.
    expected: HashMap<String, ExpectedCall>,
    calls: HashMap<CallId, CallRow>,
}

impl Unwritten {
    /// A call is about to begin, or has just begun.
    pub(super) fn expect(&self, call: &ExpectedCall) {
        let id = storable(&call.provider_call_id);
        let mut state = self.state();
        let mut begun = state.calls.values_mut();
        match begun.find(|row| row.provider_call_id.as_ref() == Some(&id)) {
            Some(row) => row.describe(call.clone()),
            None => {
                if state.expected.len() >= MOST {
                    // Those who never came are most of them.
                    state.expected.clear();
                }
                state.expected.insert(id, call.clone());
            }
        }
    }

    /// Something happened in a call.
    pub(super) fn record(&self, record: &EventRecord) {
        match &record.event {
            CallEvent::CallStarted {
                provider_call_id, ..
            } => {
                let began = UnixMs::now().before(Duration::from_millis(record.at_ms));
                let mut row = CallRow::new(record.call_id.clone(), String::new(), began);
                row.provider_call_id = provider_call_id.as_deref().map(storable);
                let mut state = self.state();
                let id = row.provider_call_id.as_ref();
                if let Some(call) = id.and_then(|id| state.expected.remove(id)) {
                    row.describe(call);
                }
                if state.calls.len() < MOST {
                    state.calls.insert(record.call_id.clone(), row);
                }
            }
            CallEvent::CallEnded { reason, .. } => {
                if let Some(row) = self.state().calls.get_mut(&record.call_id) {
                    row.end(to_i64(record.at_ms), reason);
                }
            }
            _ => {}
        }
    }

    /// The database has these calls, or never will.
    pub(super) fn forget<'a>(&self, calls: impl Iterator<Item = &'a CallRow>) {
        let mut state = self.state();
        for row in calls {
            state.calls.remove(&row.id);
        }
    }

    /// A call, as far as it is known.
    pub(super) fn call(&self, id: &CallId) -> Option<CallRecord> {
        self.state().calls.get(id).map(view)
    }

    /// All of them, the newest first.
    pub(super) fn calls(&self) -> Vec<CallRecord> {
        let mut calls: Vec<_> = self.state().calls.values().map(view).collect();
        calls.sort_by_key(|call| std::cmp::Reverse(call.started_at));
        calls
    }

    /// A panic while the lock was held cannot leave it half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn view(row: &CallRow) -> CallRecord {
    CallRecord {
        id: row.id.clone(),
        direction: row.direction,
        state: row.state,
        from: row.from.clone(),
        to: row.to.clone(),
        provider_call_id: row.provider_call_id.clone(),
        started_at: row.started_at,
        ended_at: row.ended_at.map(UnixMs),
        end_reason: row.end_reason.clone(),
        duration_ms: row.duration_ms.and_then(|ms| u64::try_from(ms).ok()),
        turns: 0,
        interruptions: 0,
        takeovers: 0,
        latency: Latency::default(),
        metadata: serde_json::from_str(&row.metadata).unwrap_or_default(),
        recording: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{ended, heard, started},
        *,
    };
    use crate::store::CallState;

    fn record(call: &str, seq: u64, event: CallEvent) -> EventRecord {
        EventRecord {
            call_id: CallId::from(call.to_owned()),
            at_ms: seq * 1_000,
            seq,
            event,
        }
    }

    fn expected(sid: &str) -> ExpectedCall {
        ExpectedCall {
            provider_call_id: sid.into(),
            from: "+14155550123".into(),
            to: "+14155550199".into(),
            ..ExpectedCall::default()
        }
    }

    #[test]
    fn a_call_is_known_until_the_database_has_it() {
        let unwritten = Unwritten::default();
        unwritten.expect(&expected("CA1"));
        unwritten.record(&record("call-1", 1, started("CA1")));
        unwritten.record(&record("call-1", 2, heard(1, "hello")));
        unwritten.record(&record("call-2", 1, started("CA2")));
        // A webhook may come after the stream.
        unwritten.expect(&expected("CA2"));
        for id in ["call-1", "call-2"] {
            let call = unwritten.call(&CallId::from(id.to_owned())).unwrap();
            assert_eq!((call.state, &*call.from), (CallState::Live, "+14155550123"));
            assert_eq!(call.to, "+14155550199");
        }
        unwritten.record(&record("call-1", 5, ended()));
        let call = unwritten.call(&CallId::from("call-1".to_owned())).unwrap();
        assert_eq!(
            (call.state, call.duration_ms),
            (CallState::Ended, Some(5_000))
        );
        assert_eq!(call.end_reason.as_deref(), Some("caller_hung_up"));
        assert_eq!(unwritten.calls().len(), 2);
        let row = CallRow::new(CallId::from("call-1".to_owned()), String::new(), UnixMs(0));
        unwritten.forget([&row].into_iter());
        assert_eq!(unwritten.calls().len(), 1);
        assert!(unwritten.state().expected.is_empty());
    }

    #[test]
    fn who_never_comes_takes_no_room_for_good() {
        let unwritten = Unwritten::default();
        for n in 0..=MOST {
            unwritten.expect(&expected(&format!("CA{n}")));
        }
        assert_eq!(unwritten.state().expected.len(), 1);
    }
}
