//! Who holds the call: the agent, or people.

use serde::{Deserialize, Serialize};

use crate::{
    event::TurnId,
    person::{Mode, Person, PersonId},
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
    /// Who is on the call beside caller and agent, in the order they came.
    pub people: Vec<Person>,
}
