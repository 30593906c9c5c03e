//! Who holds the call: the agent, or people.

use serde::{Deserialize, Serialize};

use crate::{
    event::TurnId,
    person::{Mode, Person, PersonId},
    time::CallTime,
};

/// How far the call is on its way between the agent and people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum HandoffState {
    /// The call is the agent's.
    #[default]
    Agent,
    /// Somebody is to be called to the phone.
    Requested,
    /// Their phone rings.
    Ringing,
    /// Somebody speaks with the caller: beside the agent, or in its place.
    Bridged {
        /// Who: the one who took over, else who came first.
        by: PersonId,
        /// [`Mode::Barge`] or [`Mode::Takeover`].
        mode: Mode,
    },
}

/// Who holds the floor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "speaker", rename_all = "snake_case")]
pub enum Floor {
    /// Nobody speaks.
    #[default]
    Nobody,
    /// The caller speaks.
    Caller {
        /// The turn.
        turn: TurnId,
    },
    /// The agent speaks, or is about to.
    Agent {
        /// The turn.
        turn: TurnId,
    },
    /// A person whom the caller hears speaks.
    Person {
        /// Who.
        id: PersonId,
    },
}

/// A call at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallState {
    /// The stream has started.
    pub started: bool,
    /// The call is over.
    pub ended: bool,
    /// Who holds the floor.
    pub floor: Floor,
    /// Who holds the call.
    pub handoff: HandoffState,
    /// The agent was told to pause.
    pub paused: bool,
    /// The call is being recorded.
    pub recording: bool,
    /// How much of what the agent was told to say waits to be said.
    #[serde(default)]
    pub unsaid: u32,
    /// Who is on the call beside caller and agent, in the order they came.
    pub people: Vec<Person>,
}

/// Follows the call between the agent and people.
#[derive(Debug, Default)]
pub(crate) struct Handoff {
    holder: Holder,
    pause: Pause,
    /// The agent has only just got the call back, and is to be heard by then.
    due: Option<CallTime>,
}

/// Who has the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Holder {
    /// The agent.
    #[default]
    Agent,
    /// The agent, until somebody comes, or it is too late.
    Requested { until: CallTime },
    /// The same, and their phone rings.
    Ringing { until: CallTime },
    /// People, or the agent with people.
    Bridged { by: PersonId, mode: Mode },
}

/// Whether the agent was told to be silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pause {
    #[default]
    Off,
    /// It was; since `alone` nobody else spoke with the caller.
    On { alone: CallTime },
}

impl Handoff {
    /// How far the call is.
    pub(crate) fn state(&self) -> HandoffState {
        match self.holder {
            Holder::Agent => HandoffState::Agent,
            Holder::Requested { .. } => HandoffState::Requested,
            Holder::Ringing { .. } => HandoffState::Ringing,
            Holder::Bridged { by, mode } => HandoffState::Bridged { by, mode },
        }
    }

    /// The agent was told to be silent.
    pub(crate) fn is_paused(&self) -> bool {
        self.pause != Pause::Off
    }

    /// A person speaks in the agent's place.
    pub(crate) fn is_taken_over(&self) -> bool {
        matches!(
            self.holder,
            Holder::Bridged {
                mode: Mode::Takeover,
                ..
            }
        )
    }

    /// The agent takes no part.
    pub(crate) fn rests(&self) -> bool {
        self.is_paused() || self.is_taken_over()
    }

    /// Nobody but the agent has the call, or is to have it.
    pub(crate) fn is_agents(&self) -> bool {
        matches!(self.holder, Holder::Agent)
    }

    /// The caller waits: for somebody to come, or for the agent.
    pub(crate) fn caller_waits(&self) -> bool {
        match self.holder {
            Holder::Requested { .. } | Holder::Ringing { .. } => true,
            Holder::Agent => self.is_paused(),
            Holder::Bridged { .. } => false,
        }
    }

    /// Somebody is to come until `until`; `false` if they are on their way, or there.
    pub(crate) fn request(&mut self, until: CallTime) -> bool {
        let is_new = self.is_agents();
        if is_new {
            self.holder = Holder::Requested { until };
        }
        is_new
    }

    /// Their phone rings, until `until`, which a call that rings already is put off to; `false` if it did
    /// before, or they are there.
    pub(crate) fn ring(&mut self, until: CallTime) -> bool {
        let is_new = matches!(self.holder, Holder::Agent | Holder::Requested { .. });
        if is_new || matches!(self.holder, Holder::Ringing { .. }) {
            self.holder = Holder::Ringing { until };
        }
        is_new
    }

    /// Nobody comes; `false` if nobody was to.
    pub(crate) fn fail(&mut self) -> bool {
        let was_waited_for = matches!(
            self.holder,
            Holder::Requested { .. } | Holder::Ringing { .. }
        );
        if was_waited_for {
            self.holder = Holder::Agent;
        }
        was_waited_for
    }

    /// Whoever speaks with the caller now, the one who took over before all others. Whether that
    /// is news.
    pub(crate) fn speakers(&mut self, now: CallTime, first: Option<(PersonId, Mode)>) -> bool {
        let was = self.state();
        match first {
            Some((by, mode)) => self.holder = Holder::Bridged { by, mode },
            None => {
                if let Holder::Bridged { .. } = self.holder {
                    self.holder = Holder::Agent;
                    if let Pause::On { alone } = &mut self.pause {
                        *alone = now;
                    }
                }
            }
        }
        self.state() != was
    }

    /// The agent has the call back, and is to be heard by `due`.
    pub(crate) fn is_due(&mut self, due: CallTime) {
        self.due = Some(due);
    }

    /// The agent was heard, or the caller told to hold.
    pub(crate) fn is_settled(&mut self) {
        self.due = None;
    }

    /// The agent is told to be silent; `false` if it was before.
    pub(crate) fn pause(&mut self, now: CallTime) -> bool {
        let is_new = !self.is_paused();
        if is_new {
            self.pause = Pause::On { alone: now };
        }
        is_new
    }

    /// The agent may speak; `false` if it might before.
    pub(crate) fn unpause(&mut self) -> bool {
        std::mem::take(&mut self.pause) != Pause::Off
    }

    /// When the agent is to be heard that has just got the call back.
    pub(crate) fn due(&self) -> Option<CallTime> {
        self.due.filter(|_| !self.rests())
    }

    /// When nobody comes any more.
    pub(crate) fn ring_deadline(&self) -> Option<CallTime> {
        match self.holder {
            Holder::Requested { until } | Holder::Ringing { until } => Some(until),
            Holder::Agent | Holder::Bridged { .. } => None,
        }
    }

    /// Since when the agent is paused with nobody to speak with the caller.
    pub(crate) fn paused_alone_since(&self) -> Option<CallTime> {
        match (self.pause, self.holder) {
            (Pause::Off, _) | (_, Holder::Bridged { .. }) => None,
            (Pause::On { alone }, _) => Some(alone),
        }
    }
}

/// What the agent says when somebody is called to the phone, as configured or in `language`.
pub(crate) fn connecting<'a>(configured: &'a str, language: &str) -> &'a str {
    match (configured, language) {
        ("", "es") => "Un momento, le paso con un compañero.",
        ("", "pt") => "Um momento, vou passar a ligação a um colega.",
        ("", _) => "One moment, I will connect you with a colleague.",
        (configured, _) => configured,
    }
}
