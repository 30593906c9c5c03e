//! Calls that were placed and have not been answered yet.
//!
//! A placed call has its id from the moment in which it is asked for. Twilio asks the voice webhook what
//! to do with it once somebody answers, under a URL that names it, and opens the media stream under a path
//! that does; what was ordered for the call is waiting here until then. A call that nobody answers goes
//! to the store with Twilio's word for why.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Map, Value};
use sidetone::CallId;
use sidetone_core::{config::AgentConfig, conversation::Message};

use crate::{store::UnixMs, twilio::CallSid};

/// How long it may ring, in seconds: Twilio's default, said aloud.
pub(crate) const RING_SECONDS: u16 = 60;

/// After so long a placed call is answered, or Twilio has said that it will not be.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// What is done when a machine answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Machines {
    /// Nothing: it is not found out.
    #[default]
    Ignore,
    /// It is noted with the call, as `answered_by`.
    Note,
    /// The call is ended.
    HangUp,
}

/// A call that was placed.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// Who is called.
    pub(crate) to: String,
    /// The number that is shown to them.
    pub(crate) from: String,
    /// Who the agent is in this call.
    pub(crate) agent: AgentConfig,
    /// What was said before, where the call goes on from another.
    pub(crate) conversation: Vec<Message>,
    /// What to do when a machine answers.
    pub(crate) machines: Machines,
    /// What to note about it.
    pub(crate) metadata: Map<String, Value>,
    /// What opens its stream, and holds its place until then.
    pub(crate) token: String,
    /// Twilio's id, once that is known.
    pub(crate) sid: Option<CallSid>,
    /// When it was placed.
    pub(crate) placed_at: UnixMs,
    /// The same, for measuring.
    pub(crate) placed: Instant,
}

/// The calls of one server that were placed and have not been answered yet.
#[derive(Debug, Default)]
pub(crate) struct Placing(Mutex<HashMap<CallId, Placed>>);

impl Placing {
    /// Waits for a call.
    pub(crate) fn add(&self, id: CallId, placed: Placed) {
        self.calls().insert(id, placed);
    }

    /// Notes what Twilio calls it.
    pub(crate) fn is_called(&self, id: &CallId, sid: CallSid) {
        if let Some(placed) = self.calls().get_mut(id) {
            placed.sid = Some(sid);
        }
    }

    /// Notes something about it.
    pub(crate) fn note(&self, id: &CallId, key: &str, value: Value) {
        if let Some(placed) = self.calls().get_mut(id) {
            placed.metadata.insert(key.to_owned(), value);
        }
    }

    /// A call that is waited for.
    pub(crate) fn get(&self, id: &CallId) -> Option<Placed> {
        self.calls().get(id).cloned()
    }

    /// All calls that are waited for.
    pub(crate) fn all(&self) -> Vec<(CallId, Placed)> {
        let calls = self.calls();
        let mut all: Vec<_> = calls
            .iter()
            .map(|(id, placed)| (id.clone(), placed.clone()))
            .collect();
        all.sort_by_key(|(_, placed)| std::cmp::Reverse(placed.placed_at));
        all
    }

    /// Waits no longer: its stream is there, or will not come.
    pub(crate) fn take(&self, id: &CallId) -> Option<Placed> {
        self.calls().remove(id)
    }

    /// Takes the calls of which nothing was heard for too long. Those that go on stay, however old they
    /// are: what was ordered for them is wanted as long as they last.
    pub(crate) fn take_forgotten(
        &self,
        now: Instant,
        goes_on: impl Fn(&CallId) -> bool,
    ) -> Vec<(CallId, Placed)> {
        let mut calls = self.calls();
        calls
            .extract_if(|id, placed| {
                now.saturating_duration_since(placed.placed) >= PATIENCE && !goes_on(id)
            })
            .collect()
    }

    /// A panic while the lock was held cannot leave the map half changed.
    fn calls(&self) -> MutexGuard<'_, HashMap<CallId, Placed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(now: Instant) -> Placed {
        Placed {
            to: "+12025550143".into(),
            from: "+12025550199".into(),
            agent: AgentConfig::default(),
            conversation: Vec::new(),
            machines: Machines::Note,
            metadata: Map::new(),
            token: "token".into(),
            sid: None,
            placed_at: UnixMs(0),
            placed: now,
        }
    }

    #[test]
    fn a_placed_call_is_taken_once() {
        let (placing, id, now) = (Placing::default(), CallId::random(), Instant::now());
        placing.add(id.clone(), placed(now));
        placing.note(&id, "answered_by", "human".into());
        assert_eq!(placing.all().len(), 1);
        let taken = placing.take(&id).unwrap();
        assert_eq!(taken.metadata["answered_by"], "human");
        assert!(placing.take(&id).is_none());
        assert!(placing.get(&id).is_none());
    }

    #[test]
    fn calls_of_which_nothing_is_heard_are_forgotten() {
        let (placing, now) = (Placing::default(), Instant::now());
        placing.add(CallId::random(), placed(now));
        placing.add(CallId::random(), placed(now + Duration::from_secs(1)));
        let forgotten = placing.take_forgotten(now + PATIENCE, |_| false);
        assert_eq!(forgotten.len(), 1);
        assert_eq!(placing.all().len(), 1);
    }

    #[test]
    fn a_call_that_goes_on_is_not_forgotten() {
        let (placing, now) = (Placing::default(), Instant::now());
        let (live, gone) = (CallId::random(), CallId::random());
        placing.add(live.clone(), placed(now));
        placing.add(gone.clone(), placed(now));
        let later = now + 10 * PATIENCE;
        let forgotten = placing.take_forgotten(later, |id| *id == live);
        assert_eq!(forgotten.len(), 1);
        assert_eq!(forgotten[0].0, gone);
        assert!(placing.get(&live).is_some());
        assert_eq!(placing.take_forgotten(later, |_| false).len(), 1);
    }
}
