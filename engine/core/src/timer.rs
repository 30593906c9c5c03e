//! Why a call wants to be woken.

use crate::time::CallTime;

/// The reasons for a wake-up, all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// The stream should have started.
    Start,
    /// The leg has been silent for too long.
    Idle,
    /// Audio stopped coming in the middle of the caller's turn.
    AudioStalled,
    /// A partial transcript is due.
    Partial,
    /// The caller stopped pressing keys.
    Keypad,
    /// The caller has waited without hearing anything.
    Hold,
    /// The caller has said nothing for too long.
    Prompt,
    /// Speech recognition has not answered.
    Stt,
    /// The language model has not gone on.
    Llm,
    /// Speech synthesis has not gone on.
    Tts,
    /// There is room for more audio in the leg's buffer.
    Playout,
    /// A mark did not come back.
    Mark,
}

/// The earliest of a set of timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Earliest(Option<(CallTime, Timer)>);

impl Earliest {
    /// Takes `timer` into account, if it is set.
    pub(crate) fn consider(&mut self, timer: Timer, at: Option<CallTime>) {
        if let Some(at) = at
            && self.0.is_none_or(|(earliest, _)| at < earliest)
        {
            self.0 = Some((at, timer));
        }
    }

    /// The earliest one and its time.
    pub(crate) fn get(self) -> Option<(CallTime, Timer)> {
        self.0
    }
}
