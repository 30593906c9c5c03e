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
    /// A notice has waited for others to finish for as long as a turn may last.
    Notice,
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
    /// The bridge's next tick.
    Bridge,
    /// A person stopped sending audio in the middle of a turn.
    PersonPaused,
    /// It is looked into whether what a person says holds words.
    PersonProbed,
    /// The leg of a person who took over sends no audio any more.
    PersonStalled,
    /// The call is the agent's again, and the caller has heard nothing of it yet.
    Back,
    /// Nobody came to the phone.
    Ring,
    /// A caller who waits for somebody is to hear a word.
    Company,
    /// The agent has been paused for too long.
    Paused,
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
