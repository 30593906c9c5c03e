//! Nobody waits in silence: what a caller who is handed about hears, and when.

use std::{collections::BTreeSet, time::Duration};

use sidetone_core::{
    event::{BackReason, CallEvent, TurnId},
    handoff::HandoffState,
    person::Mode,
    time::CallTime,
};

/// A call that is handed back is the agent's within this time: a second.
const BACK: Duration = Duration::from_secs(1);
/// Who speaks with nobody but the agent hears something at least this often, whatever the services do. They
/// are asked whether they are there after 8 s, are kept company every 12 s, and told to hold after
/// 3.5 s at first, after 10.5 s at last. What the program wants said may begin at the end of one of
/// these, and have them wait for 3.5 s more; a mark that comes back late costs a second.
const SILENCE: Duration = Duration::from_millis(16_500);

/// Watches for how long the caller hears nothing.
#[derive(Debug)]
pub(crate) struct Waits {
    /// There are words to say that need no service.
    has_phrases: bool,
    handoff: HandoffState,
    paused: bool,
    /// The caller's turns that are going on.
    speaking: BTreeSet<TurnId>,
    /// When the caller will have heard all that was sent.
    heard_until: CallTime,
    /// Since when nothing else could be waited for.
    since: CallTime,
    /// The agent got the call back, and nothing was sent since.
    back: Option<CallTime>,
}

impl Waits {
    pub(crate) fn new(has_phrases: bool) -> Self {
        Self {
            has_phrases,
            handoff: HandoffState::Agent,
            paused: false,
            speaking: BTreeSet::new(),
            heard_until: CallTime::ZERO,
            since: CallTime::ZERO,
            back: None,
        }
    }

    /// Nothing happened until `now`.
    pub(crate) fn check(&self, now: CallTime) {
        if !self.has_phrases || !self.speaking.is_empty() {
            return;
        }
        if let Some(back) = self.back {
            let silent = now.since(back.max(self.heard_until));
            assert!(
                silent <= BACK,
                "the agent has the call again, and says nothing"
            );
        }
        let is_bridged = matches!(self.handoff, HandoffState::Bridged { .. });
        let silent = now.since(self.heard_until.max(self.since));
        assert!(is_bridged || silent <= SILENCE, "{silent:?} without a word");
    }

    /// Audio was sent, and will be heard by `until`.
    pub(crate) fn audio(&mut self, until: CallTime) {
        self.heard_until = until;
        self.back = None;
    }

    pub(crate) fn event(&mut self, now: CallTime, event: &CallEvent) {
        match event {
            CallEvent::Handoff { state, back } => {
                let was_taken_over = matches!(
                    self.handoff,
                    HandoffState::Bridged {
                        mode: Mode::Takeover,
                        ..
                    }
                );
                let is_back = matches!(
                    back,
                    Some(BackReason::HandedBack | BackReason::Left | BackReason::Stalled)
                );
                // A caller who speaks just then is answered as ever.
                let is_due = was_taken_over && is_back && !self.paused && self.speaking.is_empty();
                self.back = is_due.then_some(now);
                self.handoff = *state;
            }
            CallEvent::AgentPaused => {
                self.paused = true;
                self.back = None;
            }
            CallEvent::AgentUnpaused { .. } => self.paused = false,
            CallEvent::TurnStarted { turn } => {
                self.speaking.insert(*turn);
                self.back = None;
            }
            CallEvent::TurnEnded { turn, .. } => {
                self.speaking.remove(turn);
            }
            CallEvent::CallStarted { .. } => {}
            _ => return,
        }
        self.since = now;
    }
}
